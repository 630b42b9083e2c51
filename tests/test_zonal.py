from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zone_fakes import make_region, random_zones

from eco_index.grid import Grid, Tile
from eco_index.indicators.records import GRASSLAND
from eco_index.products import LUCC, PRODUCTS
from eco_index.zonal import SumSpec, ZoneSums, stored
from eco_index.zone_raster import zone_ids
from eco_index.zones import load_layer

BREAKS = tuple(stored("fvc", b) for b in (0.1, 0.3, 0.5, 0.7, 0.9))
SPEC = SumSpec(
    ("fvc", "ndvi_mean", "clear_count"), ("landcover", "forest"), "landcover", (("fvc", BREAKS),)
)
N = 4


def random_tile(seed: int, height: int = 40, width: int = 50):
    rng = np.random.default_rng(seed)
    shape = (height, width)
    fvc = rng.integers(0, 10001, shape).astype(np.uint16)
    fvc[rng.random(shape) < 0.3] = 65535
    ndvi = rng.integers(-10000, 10001, shape).astype(np.int16)
    ndvi[rng.random(shape) < 0.3] = -32768
    landcover = rng.choice([0, *LUCC], shape).astype(np.uint8)
    forest = rng.choice([0, 1, 255], shape).astype(np.uint8)
    clear = rng.integers(0, 60, shape).astype(np.uint16)
    ids = rng.integers(0, N + 1, shape).astype(np.int32)
    return ids, {
        "fvc": fvc,
        "ndvi_mean": ndvi,
        "landcover": landcover,
        "forest": forest,
        "clear_count": clear,
    }


def sums_of(ids, arrays, cuts_y=(), cuts_x=(), spec=SPEC):
    """Sums over a tiling: one object per tile, merged in reverse order."""
    parts = []
    for y0, y1 in zip((0, *cuts_y), (*cuts_y, ids.shape[0]), strict=True):
        for x0, x1 in zip((0, *cuts_x), (*cuts_x, ids.shape[1]), strict=True):
            part = ZoneSums(spec, N)
            part.add(ids[y0:y1, x0:x1], {k: v[y0:y1, x0:x1] for k, v in arrays.items()})
            parts.append(part)
    total = ZoneSums(spec, N)
    for part in reversed(parts):
        total.merge(part)
    return total


def same(a: ZoneSums, b: ZoneSums) -> bool:
    return all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ZoneSums._ARRAYS)


def test_equals_plain_numpy():
    ids, arrays = random_tile(1)
    sums = sums_of(ids, arrays)
    for z in range(N):
        inside = ids == z + 1
        fvc = arrays["fvc"][inside]
        ok = fvc[fvc != 65535].astype(float) * 1e-4
        assert sums.pixels[z] == inside.sum()
        assert sums.n_valid("fvc")[z] == ok.size
        assert sums.mean("fvc")[z] == pytest.approx(ok.mean(), rel=1e-12)
        assert sums.variance("fvc")[z] == pytest.approx(ok.var(), rel=1e-9)
        clear = arrays["clear_count"][inside]
        assert sums.mean("clear_count")[z] == pytest.approx(clear.mean(), rel=1e-12)
        ndvi = arrays["ndvi_mean"][inside]
        assert sums.mean("ndvi_mean")[z] == pytest.approx(ndvi[ndvi != -32768].mean() * 1e-4)
        land = arrays["landcover"][inside]
        assert sums.n_class("landcover", (21, 22))[z] == np.isin(land, (21, 22)).sum()
        assert sums.n_valid("landcover")[z] == (land != 0).sum()
        assert sums.n_class("forest", (1,))[z] == (arrays["forest"][inside] == 1).sum()
        assert sums.n_valid("forest")[z] == (arrays["forest"][inside] != 255).sum()
        grass = np.isin(land, GRASSLAND) & (fvc != 65535)
        assert sums.mean("fvc", GRASSLAND)[z] == pytest.approx(fvc[grass].mean() * 1e-4)
        binned = np.histogram(fvc[fvc != 65535], [0, *BREAKS, 10001])[0]
        assert [sums.n_bin("fvc", b)[z] for b in range(6)] == binned.tolist()


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    cuts_y=st.sets(st.integers(1, 39), max_size=4),
    cuts_x=st.sets(st.integers(1, 49), max_size=4),
)
def test_any_tiling_gives_identical_sums(seed, cuts_y, cuts_x):
    ids, arrays = random_tile(seed)
    assert same(sums_of(ids, arrays), sums_of(ids, arrays, sorted(cuts_y), sorted(cuts_x)))


def test_strips_do_not_matter(monkeypatch):
    ids, arrays = random_tile(2)
    expected = sums_of(ids, arrays)
    monkeypatch.setattr("eco_index.zonal.STRIP_ROWS", 7)
    assert same(sums_of(ids, arrays), expected)


def test_zone_without_data_has_no_mean():
    ids, arrays = random_tile(3)
    arrays["fvc"][ids == 2] = 65535
    ids[ids == 3] = 0
    sums = sums_of(ids, arrays)
    mean = sums.mean("fvc")
    assert np.isnan(mean[1])
    assert sums.pixels[1] > 0
    assert sums.n_valid("fvc")[1] == 0
    assert np.isnan(mean[2])
    assert sums.pixels[2] == 0
    assert np.isnan(sums.variance("fvc")[1])
    assert np.isfinite(mean[[0, 3]]).all()


def test_a_valid_zero_is_not_missing():
    ids = np.ones((4, 4), np.int32)
    arrays = {"fvc": np.zeros((4, 4), np.uint16)}
    sums = ZoneSums(SumSpec(("fvc",)), 1)
    sums.add(ids, arrays)
    assert sums.mean("fvc")[0] == 0.0
    assert sums.n_valid("fvc")[0] == 16


def test_all_zones_is_the_sum():
    ids, arrays = random_tile(4)
    one = sums_of(ids, arrays).all_zones()
    fvc = arrays["fvc"][(ids > 0) & (arrays["fvc"] != 65535)]
    assert one.mean("fvc")[0] == pytest.approx(fvc.mean() * 1e-4)
    assert one.pixels[0] == (ids > 0).sum()


def test_large_sums_stay_exact():
    sums = ZoneSums(SumSpec(("fvc",)), 1)
    tile = np.full((256, 256), 9999, np.uint16)
    tile[0, 0] = 10000
    sums.add(np.ones((256, 256), np.int32), {"fvc": tile})
    for _ in range(14):  # doubled until about 1e9 pixels
        sums.merge(sums)
    n = int(sums.n_valid("fvc")[0])
    assert n == 256 * 256 * 2**14
    assert int(sums.total[0, 0, 0]) == (256 * 256 * 9999 + 1) * 2**14
    assert sums.variance("fvc")[0] == pytest.approx(np.var(tile) * 1e-8, rel=1e-6)


def test_breaks_in_stored_units():
    assert [stored("fvc", b) for b in (0.1, 0.3, 0.7)] == [1000, 3000, 7000]


def test_refuses_unlike_sums_and_shapes():
    ids, arrays = random_tile(5)
    with pytest.raises(ValueError, match="cannot be merged"):
        ZoneSums(SPEC, 2).merge(ZoneSums(SPEC, 3))
    with pytest.raises(ValueError, match="has shape"):
        ZoneSums(SPEC, N).add(ids[:5], arrays)


def test_means_agree_with_exactextract(tmp_path):
    """Pixel-centre means lie within the border's share of exact-coverage means."""
    exactextract = pytest.importorskip("exactextract")
    import rasterio

    rng = np.random.default_rng(7)
    region = make_region(
        tmp_path, {"counties": random_zones(rng, 3, 240, 200)}, width=240, height=200
    )
    grid: Grid = region.grid
    layer = load_layer(region, "counties")
    y, x = np.mgrid[0:200, 0:240]
    smooth = (0.5 + 0.3 * np.sin(x / 30) * np.cos(y / 25)) * 1e4
    arrays = {"fvc": smooth.round().astype(np.uint16)}
    sums = ZoneSums(SumSpec(("fvc",)), len(layer))
    for tile in grid.tiles():
        sums.add(zone_ids(layer, grid, tile), {"fvc": arrays["fvc"][tile.slices]})
    path = tmp_path / "fvc.tif"
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        width=240,
        height=200,
        count=1,
        dtype="uint16",
        crs=grid.crs.to_wkt(),
        transform=grid.transform,
    ) as file:
        file.write(arrays["fvc"], 1)
    found = exactextract.exact_extract(str(path), layer.gdf, ["mean", "count"], output="pandas")
    assert sums.mean("fvc") == pytest.approx(found["mean"].to_numpy() * 1e-4, rel=2e-3)
    assert sums.pixels == pytest.approx(found["count"].to_numpy(), rel=2e-2)


def test_products_of_the_spec_are_read_once():
    assert SPEC.products == ("fvc", "ndvi_mean", "clear_count", "landcover", "forest")
    assert all(p in PRODUCTS for p in SPEC.products)
    assert Tile(0, 0, 0, 2, 0, 3).shape == (2, 3)
