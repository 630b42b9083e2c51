"""Reflectance layers of medoid, geometric median and best pixel: of what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_composite_methods as methods
import tiny_region
import yaml
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import ValidationError
from scipy import optimize
from test_composite_methods import FILL, GRID, make, on_grid
from test_composite_season import HALF, WHOLE, compute, place, view_of

from eco_index import cube
from eco_index.catalog import Catalog
from eco_index.composite_methods import stored_reflectance
from eco_index.compositing import BestPixel, CompositeConfig
from eco_index.config import load_region
from eco_index.errors import UsageError
from eco_index.grid import Tile
from eco_index.products import products_of
from eco_index.release.plain_zarr import copy_period

catalog, scenes = methods.catalog, methods.scenes  # fixtures
BANDS = ("red", "nir", "swir16")
CHOSEN = [
    CompositeConfig(method="medoid", bands=("swir16",), source_index=True, reflectance=BANDS),
    CompositeConfig(
        method="best_pixel", source_index=True, reflectance=BANDS,
        best_pixel=BestPixel(cloud=2, cloud_distance=200),
    ),
]  # fmt: skip
MEDIAN = CompositeConfig(method="geometric_median", bands=("swir16",), reflectance=BANDS)


def of(made: Any) -> np.ndarray:
    return np.stack([made.layers[f"reflectance_{band}"] for band in BANDS])


@pytest.mark.parametrize("wanted", CHOSEN, ids=lambda w: w.method)
def test_it_is_that_of_the_scene_of_the_index(
    tmp_path: Path, catalog: Catalog, wanted: CompositeConfig
) -> None:
    """Stored integers decoded by hand, picked by the index layer; no NDVI or count changes."""
    grid = methods.grid_of(40, 36)
    made_scenes, spectra, _ = on_grid(tmp_path, grid, 6, 5)
    numbers = (7, 3, 9, 0, 4, 2)  # places on the month's list are no places here
    made = make(made_scenes, catalog, wanted, grid, numbers=numbers)
    index = made.layers["source_index"]
    seen = index != 65535
    at = np.searchsorted(np.sort(numbers), np.where(seen, index, 0))
    of_number = np.argsort(numbers)[np.minimum(at, 5)]
    picked = np.take_along_axis(spectra, of_number[None, None], axis=1)[:, 0]
    lacks = np.zeros((3, *seen.shape), bool)
    if wanted.method == "best_pixel":  # an observation may lack what it is not chosen by
        lacks[2] = np.isclose(picked[2], -0.2)  # stored 0
        assert (lacks[2] & seen).any()
    expected = np.where(seen & ~lacks, methods.half_away(picked.astype(np.float32) * 1e4), FILL)
    assert (np.abs(of(made) - expected) <= 1).all()  # float32 at a half
    assert (of(made) == expected).mean() > 0.99 and seen.mean() > 0.2
    plain = wanted.model_copy(update={"reflectance": ()})
    without = make(made_scenes, catalog, plain, grid, numbers=numbers)
    for name, values in without.arrays().items():
        np.testing.assert_array_equal(made.arrays()[name], values)


def test_the_geometric_median_is_the_place_itself(tmp_path: Path, catalog: Catalog) -> None:
    grid = methods.grid_of(20, 18)
    made_scenes, spectra, valid = on_grid(tmp_path, grid, 6, 2)
    made = make(made_scenes, catalog, MEDIAN, grid)
    found = of(made)
    ndvi = made.layers["ndvi_geometric_median"]
    np.testing.assert_array_equal(found == FILL, np.broadcast_to(ndvi == FILL, found.shape))
    for y, x in np.argwhere(np.arange(360).reshape(grid.shape) % 11 == 0).tolist():
        points = spectra[:, valid[:, y, x], y, x].T
        if not len(points):
            assert ndvi[y, x] == FILL
            continue

        def cost(centre: np.ndarray, points: np.ndarray = points) -> float:
            return float(np.sqrt(((points - centre) ** 2).sum(axis=1)).sum())

        options = {"xatol": 1e-9, "fatol": 1e-12, "maxiter": 20000, "maxfev": 20000}
        best = optimize.minimize(cost, points.mean(axis=0), method="Nelder-Mead", options=options)
        # Rounded to 1e-4, it costs no more than that many steps beyond the least.
        here = found[:, y, x] * 1e-4
        assert cost(here) <= best.fun + len(points) * np.sqrt(3) * 0.5e-4 + 1e-6
        red, nir = here[:2]
        error = 1e4 * 0.5e-4 * 2 / (red + nir)  # of NDVI, by rounding both
        assert abs(ndvi[y, x] - 1e4 * (nir - red) / (nir + red)) <= error + 1


@pytest.mark.parametrize("wanted", [*CHOSEN, MEDIAN], ids=lambda w: w.method)
def test_same_bits_for_any_tiles(scenes: Any, catalog: Catalog, wanted: CompositeConfig) -> None:
    whole = of(make(scenes, catalog, wanted))
    assert (whole != FILL).mean() > 0.3
    parts = np.full_like(whole, -1)
    for y0, y1 in ((0, 17), (17, 50)):
        for x0, x1 in ((0, 33), (33, 60)):
            tile = Tile(0, 0, y0, y1, x0, x1)
            parts[:, y0:y1, x0:x1] = of(make(scenes, catalog, wanted, GRID, tile))
    np.testing.assert_array_equal(parts, whole)
    turned = of(make(scenes[::-1], catalog, wanted, numbers=(5, 4, 3, 2, 1, 0)))
    np.testing.assert_array_equal(turned, whole)


@pytest.mark.parametrize("wanted", [*CHOSEN, MEDIAN], ids=lambda w: w.method)
def test_without_scenes_everything_is_missing(catalog: Catalog, wanted: CompositeConfig) -> None:
    assert (of(make([], catalog, wanted)) == FILL).all()


@given(arrays.arrays(np.float32, 8, elements=st.floats(width=32)))
def test_stored_reflectance_is_within_its_range_or_missing(values: np.ndarray) -> None:
    stored = stored_reflectance(values)
    beyond = ~((values > -1.0001) & (values < 3.2769))
    assert (stored[beyond] == FILL).all()
    inside = (values > -0.9999) & (values < 3.2766)
    assert (np.abs(stored[inside] - values[inside].astype(float) * 1e4) <= 0.5 + 1e-6).all()
    np.testing.assert_array_equal(stored_reflectance(-values[inside & (values < 0.9999)]),
                                  -stored[inside & (values < 0.9999)])  # fmt: skip


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ({"reflectance": ["red"]}, "no spectrum"),
        ({"method": "median", "reflectance": ["red"]}, "no spectrum"),
        ({"method": "medoid", "reflectance": ["red", "blue"]}, "add blue to 'bands'"),
        ({"method": "best_pixel", "reflectance": ["red", "red"]}, "each once"),
        ({"method": "best_pixel", "reflectance": ["ndvi"]}, "names bands"),
    ],
)
def test_what_has_no_reflectance_is_refused(section: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        CompositeConfig.model_validate(section)


def test_bands_are_looked_for_in_the_catalogue(tmp_path: Path) -> None:
    section = {"method": "best_pixel", "reflectance": ["red", "heat"]}
    with pytest.raises(UsageError, match=r"(?s)no band heat.*best_pixel"):
        tiny_region.region(tmp_path, composite=section)
    file = tmp_path / "data_catalog.yaml"
    entries = yaml.safe_load(file.read_text(encoding="utf-8"))
    entries["datasets"]["img"]["bands"]["heat"] = {"asset": ["st"], "units": "K"}
    file.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    with pytest.raises(UsageError, match=r"(?s)no reflectances: heat \(K\)"):
        load_region(tmp_path / "regions" / "tiny.yaml")
    del entries["datasets"]["img"]["bands"]["heat"]["units"]
    file.write_text(yaml.safe_dump(entries, allow_unicode=True), encoding="utf-8")
    region = load_region(tmp_path / "regions" / "tiny.yaml")
    assert region.catalog.datasets["img"].also_read == ("heat",)
    layers = region.config.composite.layers
    assert [p.id for p in products_of("monthly", False, layers)][-2:] == [
        "reflectance_red", "reflectance_heat",
    ]  # fmt: skip
    assert not [p for p in products_of("yearly", False, layers) if "reflect" in p.id]


@pytest.mark.e2e
def test_through_the_cube_to_the_release(small_region: Path, tmp_path: Path) -> None:
    region = place(small_region, tmp_path, method="medoid", reflectance=["nir", "red"])
    compute(region)
    assert cube.verify(region.archive_path) == []
    view = view_of(region)
    month = region.config.season_months(HALF)[0].id
    red, nir, ndvi = (
        view.read("monthly", name, month, WHOLE).astype(float)
        for name in ("reflectance_red", "reflectance_nir", "ndvi_medoid")
    )
    np.testing.assert_array_equal(red == FILL, ndvi == FILL)
    seen = (ndvi != FILL) & (red + nir > 1000)
    assert seen.mean() > 0.3
    again = (nir - red) / (nir + red) * 1e4
    assert (np.abs(again - ndvi)[seen] <= 1e4 / (red + nir)[seen] + 1).all()
    attrs = dict(view.root["monthly/reflectance_red"].attrs)
    assert attrs["band"] == "red" and attrs["source_layer"] == "ndvi_medoid"
    assert attrs["scale_factor"] == 1e-4 and "nearest to all other" in attrs["cell_methods"]
    copy_period(view, HALF, [month], tmp_path / "with.zarr", {})
    assert (tmp_path / "with.zarr" / "monthly" / "reflectance_red").exists()
