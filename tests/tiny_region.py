"""A region without files: grids, months and fakes for tests of the archive and the pipeline."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from outputs import written

from eco_index import cube
from eco_index.config import Region, load_region
from eco_index.grid import Grid, Tile
from eco_index.period import Month
from eco_index.sources import Asset, AssetFailure, Found, Manifest, Scene

ALBERS = "+proj=aea +lat_0=0 +lon_0=105 +lat_1=25 +lat_2=47 +ellps=GRS80 +units=m +no_defs"


def text(value: str) -> dict[str, str]:
    return {"zh": value, "en": value}


def region(folder: Path, **changes: Any) -> Region:
    """Write and load a tiny region; `changes` replaces keys of the region file (grid is merged)."""
    folder.mkdir(parents=True, exist_ok=True)
    common = {"licence": "CC0", "source": "simulated for a test"}
    imagery = {
        "title": text("imagery"),
        "access": {"type": "stac_folder", "path": "imagery"},
        "cover": {"bbox": [100, 40, 120, 50]},
        "bands": {b: {"asset": [b]} for b in ("red", "nir", "qa")},
        "mask": {"band": "qa", "recipe": "landsat_qa_pixel"},
    }
    zones = {"title": text("zones"), "access": {"type": "vector", "path": "zones.gpkg"}}
    datasets = {"img": imagery | common, "zones": zones | common} | written()
    catalog = {"version": 1, "datasets": datasets}
    layer = {"dataset": "zones", "title": text("zones"), "id": "id", "name": text("name")}
    config: dict[str, Any] = {
        "id": "tiny",
        "name": text("Tiny"),
        "catalog": "data_catalog.yaml",
        "output": "out",
        "grid": {
            "crs": ALBERS,
            "resolution": 30.0,
            # 3 x 2 tiles, the last ones not whole.
            "bounds": [900000.0, 4500000.0, 900000.0 + 30 * 80, 4500000.0 + 30 * 50],
            "tile": 32,
            "chunk": 16,
        },
        "years": {"first": 2024, "last": 2025},
        "months": {"first": 5, "last": 7},
        "season": {"first": 5, "last": 7},
        "imagery": ["img"],
        "layers": {"zones": layer},
        "programmes": ["all"],
        "min_season_months": 1,
    }
    config["grid"] |= changes.pop("grid", {})
    config |= changes
    programme = {
        "id": "all",
        "name": text("All"),
        "layer": "zones",
        "cadence": ["yearly"],
        "indicators": ["ndvi_max"],
    }
    # Programmes beside the region's folder come before the shipped ones.
    home = folder / "regions"
    home.mkdir(exist_ok=True)
    (folder / "programmes").mkdir(exist_ok=True)
    config["catalog"] = "../data_catalog.yaml"
    for path, data in (
        (folder / "data_catalog.yaml", catalog),
        (folder / "programmes" / "all.yaml", programme),
        (home / "tiny.yaml", config),
    ):
        path.write_text(yaml.safe_dump(data, allow_unicode=True), encoding="utf-8")
    return load_region(home / "tiny.yaml")


def scene(
    grid: Grid, month: Month, name: str, *, checksum: str = "a", tile: Tile | None = None
) -> Scene:
    """A scene that covers the grid, or only the inside of one tile."""
    bounds = grid.lonlat_bounds(grid.tile_bounds(tile) if tile else None)
    asset = Asset(f"/nowhere/{name}.tif", 1000, f"test:{name}{checksum}")
    assets = dict.fromkeys(("red", "nir", "qa"), asset)
    return Scene(name, "img", f"{month.id}-03T03:00:00Z", bounds, assets, {})


RECORD = cube.TaskRecord("d1", {"scenes": "x"}, {})


def put(archive: cube.Archive, group: str, time_id: str, tile: Any, **arrays: np.ndarray) -> str:
    fork = archive.fork()
    cube.write_tile(fork, group, time_id, tile, arrays)
    kind = "composite" if group == "monthly" else "product"
    return archive.commit("test", {f"{kind}/{time_id}/{tile.id}": RECORD}, forks=[fork])


def full(tile: Any, value: int, dtype: str) -> np.ndarray:
    return np.full(tile.shape, value, dtype)


class Sky:
    """Fake imagery: what sources offer, and what compositing makes of it.

    Attributes
    ----------
    scenes : dict
        Month id to scenes.
    broken : dict
        Scene id to tile id (or None for all): fails when read there.
    calls : list of (month of first scene or "", tile id)
        What was composited, in order.
    """

    def __init__(self, region: Region) -> None:
        self.scenes: dict[str, tuple[Scene, ...]] = {}
        self.bad: dict[str, tuple[AssetFailure, ...]] = {}
        self.broken: dict[str, str | None] = {}
        self.calls: list[tuple[tuple[str, ...], str]] = []
        self.products: list[str] = []
        self.raises: dict[str, BaseException] = {}
        for year in (2024, 2025):
            for m in (5, 6, 7):
                month = Month(year, m)
                names = (f"s{month.id}a", f"s{month.id}b")
                self.scenes[month.id] = tuple(scene(region.grid, month, n) for n in names)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> Sky:
        from eco_index import composite, months, period_products, sources

        monkeypatch.setattr(months, "search", self.search)
        monkeypatch.setattr(sources, "acquire", self.acquire)
        monkeypatch.setattr(composite, "composite_tile", self.composite_tile)
        monkeypatch.setattr(period_products, "compute_period", self.compute_period)
        return self

    def search(self, region: Region, month: Month) -> Found:
        return Found(self.scenes.get(month.id, ()), self.bad.get(month.id, ()))

    def acquire(self, region: Region, month: Month) -> Manifest:
        return Manifest(month.id, self.scenes.get(month.id, ()), self.bad.get(month.id, ()))

    def composite_tile(
        self, scenes: Iterable[Scene], catalog: Any, grid: Grid, tile: Tile, how: Any = None
    ) -> Any:
        from eco_index.composite import Composite

        scenes = tuple(scenes)
        self.calls.append((tuple(s.id for s in scenes), tile.id))
        if tile.id in self.raises:
            raise self.raises[tile.id]
        out = Composite.empty(tile.shape)
        out.failures = tuple(
            AssetFailure(s.dataset, s.id, "red", "cannot be read: broken block")
            for s in scenes
            if s.id in self.broken and self.broken[s.id] in (None, tile.id)
        )
        if out.failures:
            return out
        rows, columns = np.mgrid[tile.slices]
        for s in scenes:
            values = ((rows * 7 + columns * 3 + sum(s.id.encode())) % 9000).astype("int16")
            out.ndvi_max = np.maximum(out.ndvi_max, values)
        out.clear_count[:] = out.obs_count[:] = len(scenes)
        return out

    def compute_period(
        self, region: Region, tile: Tile, period: Any, monthly: Any
    ) -> dict[str, np.ndarray]:
        self.products.append(f"{period.id} {tile.id}")
        ndvi = np.max([ndvi for ndvi, _ in monthly.values()], axis=0)
        clear = np.sum([clear for _, clear in monthly.values()], axis=0).astype("uint16")
        fvc = np.where(ndvi == -32768, 65535, np.clip(ndvi.astype("int32"), 0, 10000)).astype(
            "uint16"
        )
        months = np.sum([c > 0 for _, c in monthly.values()], axis=0).astype("uint8")
        return {
            "ndvi_max": ndvi,
            "clear_count": clear,
            "ndvi_mean": ndvi,
            "valid_months": months,
            "fvc": fvc,
        }
