"""Where imagery comes from: scenes of STAC catalogues, plain folders, Earth Engine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from eco_index.catalog import IMAGERY
from eco_index.errors import UsageError
from eco_index.sources.preflight import check_scene
from eco_index.sources.raster import raster_env
from eco_index.sources.scene import Asset, AssetFailure, Found, Manifest, Scene, Source

if TYPE_CHECKING:
    from eco_index.catalog import Catalog, Dataset
    from eco_index.config import Region
    from eco_index.grid import Grid
    from eco_index.period import Month

__all__ = [
    "Asset",
    "AssetFailure",
    "Found",
    "Manifest",
    "Scene",
    "Source",
    "acquire",
    "open_source",
]

_LOOKERS = 4  # threads that look at files; mostly they wait for disk or network


def open_source(dataset_id: str, catalog: Catalog, grid: Grid | None = None) -> Source:
    """Return the source behind an imagery dataset of the catalogue.

    Parameters
    ----------
    dataset_id : str
        Key in the catalogue.
    catalog : Catalog
        The catalogue.
    grid : Grid, optional
        The region's grid: scenes that have RPC only are put on its lattice.

    Raises
    ------
    UsageError
        No such dataset, or not an imagery dataset.
    """
    from eco_index.sources.files import SceneFilesSource
    from eco_index.sources.stac import StacApiSource, StacFolderSource

    dataset = catalog.get(dataset_id, "imagery")
    kind = dataset.access.type
    if kind == "stac_folder":
        return StacFolderSource(dataset_id, dataset, catalog)
    if kind == "stac_api":
        return StacApiSource(dataset_id, dataset, catalog)
    if kind == "stac_static":
        from eco_index.sources.stac_static import StacStaticSource

        return StacStaticSource(dataset_id, dataset, catalog)
    if kind == "scene_files":
        return SceneFilesSource(dataset_id, dataset, catalog)
    if kind == "stac_geoparquet":
        from eco_index.sources.geoparquet import StacGeoparquetSource

        return StacGeoparquetSource(dataset_id, dataset, catalog)
    if kind == "product_folder":
        from eco_index.sources.products import ProductFolderSource

        if getattr(dataset.access, "layout", "") == "china_wfv":
            from eco_index.sources.china import ChinaWfvSource

            return ChinaWfvSource(dataset_id, dataset, catalog, grid)
        return ProductFolderSource(dataset_id, dataset, catalog, grid)
    if kind == "earth_engine":
        from eco_index.sources.earthengine import EarthEngineSource

        return EarthEngineSource(dataset_id, dataset, str(catalog.path))
    raise UsageError(
        f"dataset '{dataset_id}' is no imagery (access type {kind})",
        where=str(catalog.path),
        rule=f"imagery has access type {', '.join(IMAGERY)}",
    )


def acquire(region: Region, month: Month) -> Manifest:
    """List the scenes of a month and look at every file that will be read.

    Nothing is downloaded or decoded. Whatever is unusable is recorded, not raised.

    Returns
    -------
    Manifest
        Usable scenes, sorted by (datetime, id), with receipts; and the failures with reasons.

    Raises
    ------
    InputError, UsageError
        A source as a whole cannot be used (its folder is missing, its service silent).
    """
    bounds = region.grid.lonlat_bounds()
    scenes: list[Scene] = []
    failures: list[AssetFailure] = []
    for dataset_id in region.config.imagery:
        found = open_source(dataset_id, region.catalog, region.grid).search(
            bounds, month.start, month.end
        )
        failures += found.failures
        dataset = region.catalog.get(dataset_id, "imagery")

        with ThreadPoolExecutor(_LOOKERS) as pool:
            for checked in pool.map(partial(_look, dataset=dataset), found.scenes):
                if isinstance(checked, Scene):
                    scenes.append(checked)
                else:
                    failures.append(checked)
    scenes.sort(key=lambda s: s.key)
    return Manifest(month.id, tuple(scenes), tuple(sorted(failures)))


def _look(scene: Scene, dataset: Dataset) -> Scene | AssetFailure:
    with raster_env():
        return check_scene(scene, dataset)
