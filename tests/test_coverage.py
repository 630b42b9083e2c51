"""Exact coverage: shares of pixels against polygon overlays and exactextract."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import MultiPolygon
from zone_fakes import RES, make_region, pixel_box, pixel_polygon, random_zones

from eco_index.change import ChangeSpec, ChangeSums
from eco_index.grid import Grid, Tile
from eco_index.products import LUCC
from eco_index.shares import WHOLE, Sums
from eco_index.zonal import SumSpec, ZoneSums, stored
from eco_index.zone_raster import ZonePixels, together, zone_ids, zone_pixels
from eco_index.zones import ZoneLayer, load_layer

OUTER = pixel_polygon([(3.3, 2.1), (40.7, 5.2), (37.1, 44.4), (5.9, 40.3)])
HOLE = pixel_polygon([(12.2, 12.4), (26.1, 14.7), (22.6, 30.2), (11.6, 26.8)])
SHAPES = {
    "hole": OUTER.difference(HOLE),
    "parts": MultiPolygon([HOLE, pixel_polygon([(45.2, 3), (62.8, 9.1), (50.1, 20.6)])]),
    "below a pixel": pixel_polygon([(50.2, 30.3), (50.5, 30.4), (50.3, 30.7)]),
    "level sliver": pixel_polygon([(41, 25.5), (60, 25.5), (60, 25.501), (41, 25.501)]),
    "slanted sliver": pixel_polygon([(42, 26), (60, 33), (60, 33.002), (42, 26.002)]),
    "upright sliver": pixel_box(61.999, 22, 62.001, 43),
    "beyond the grid": pixel_polygon([(-5, 45), (70, 45.5), (70, 50), (-5, 50)]),
    "whole pixels": pixel_box(52, 36, 56, 40),
}
SPEC = SumSpec(
    ("fvc", "ndvi_mean", "clear_count"),
    ("landcover", "forest"),
    "landcover",
    (("fvc", tuple(stored("fvc", b) for b in (0.1, 0.5, 0.9))),),
)


def whole(grid: Grid) -> Tile:
    return Tile(0, 0, 0, grid.shape[0], 0, grid.shape[1])


def cut(grid: Grid, size: int) -> list[Tile]:
    return Grid(grid.crs_wkt, grid.resolution, grid.bounds, size, size).tiles()


def load(folder, shapes: list, coverage: str = "exact", **extra) -> tuple[ZoneLayer, Grid]:
    layer = {"coverage": coverage, "partition": False} | extra
    region = make_region(folder, {"counties": shapes}, layer_extra={"counties": layer})
    return load_layer(region, "counties"), region.grid


def shares_of(drawn: ZonePixels, zone: int) -> np.ndarray:
    """Return a zone's share of each pixel, in 2^-36ths."""
    out = np.where(drawn.ids == zone + 1, WHOLE, 0).reshape(-1)
    own = drawn.shares.zone == zone
    np.add.at(out, drawn.shares.at[own], drawn.shares.share[own])
    return out.reshape(drawn.ids.shape)


def overlay(shape, grid: Grid) -> np.ndarray:
    """Return the share of each pixel by intersecting polygons: the slow, independent way."""
    height, width = grid.shape
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    xmin, ymax = grid.bounds[0], grid.bounds[3]
    pixels = shapely.box(xmin + x * RES, ymax - (y + 1) * RES, xmin + (x + 1) * RES, ymax - y * RES)
    return shapely.area(shapely.intersection(pixels, shape)) / RES**2


def arrays_of(seed: int, shape: tuple[int, int]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    fvc = rng.integers(0, 10001, shape).astype(np.uint16)
    fvc[rng.random(shape) < 0.3] = 65535
    ndvi = rng.integers(-10000, 10001, shape).astype(np.int16)
    ndvi[rng.random(shape) < 0.3] = -32768
    return {
        "fvc": fvc,
        "ndvi_mean": ndvi,
        "clear_count": rng.integers(0, 60, shape).astype(np.uint16),
        "landcover": rng.choice([0, *LUCC], shape).astype(np.uint8),
        "forest": rng.choice([0, 1, 255], shape).astype(np.uint8),
    }


def sums_of(layer: ZoneLayer, grid: Grid, arrays, tiles: list[Tile]) -> ZoneSums:
    """Sums of every sheet, one object a tile, merged in reverse order."""
    parts = []
    for tile in tiles:
        parts.append(ZoneSums(SPEC, len(layer)))
        for sheet in range(layer.n_sheets):
            drawn = zone_pixels(layer, grid, tile, sheet)
            here = {k: v[tile.slices] for k, v in arrays.items()}
            parts[-1].add(drawn.ids, here, drawn.shares)
    total = ZoneSums(SPEC, len(layer))
    for part in reversed(parts):
        total.merge(part)
    return total


def same(a: ZoneSums, b: ZoneSums) -> bool:
    return all(np.array_equal(getattr(a, k), getattr(b, k)) for k in ZoneSums._ARRAYS)


class TestShares:
    @pytest.mark.parametrize("name", SHAPES)
    def test_equal_the_overlay(self, tmp_path, name):
        layer, grid = load(tmp_path, [SHAPES[name]])
        found = shares_of(zone_pixels(layer, grid, whole(grid)), 0) / WHOLE
        expected = overlay(layer.gdf.geometry.iloc[0], grid)
        assert np.abs(found - expected).max() < 1e-9
        assert found.sum() * RES**2 / 1e6 == pytest.approx(layer.inside_km2[0], rel=1e-8)
        assert ((found == 1) == (expected > 1 - 1e-9)).all()

    @settings(max_examples=12, deadline=None)
    @given(seed=st.integers(0, 10**6), size=st.integers(1, 40))
    def test_the_same_for_any_tile_size(self, tmp_path_factory, seed, size):
        shapes = [*random_zones(np.random.default_rng(seed), 3, 64, 48), *SHAPES.values()]
        layer, grid = load(tmp_path_factory.mktemp("z"), shapes)
        arrays = arrays_of(seed, grid.shape)
        once = sums_of(layer, grid, arrays, [whole(grid)])
        assert same(sums_of(layer, grid, arrays, cut(grid, size)), once)
        assert once.pixels * RES**2 / 1e6 == pytest.approx(layer.inside_km2, rel=1e-7)

    def test_neighbours_add_to_exactly_one(self, tmp_path):
        """A partition with slanted borders leaves no 2^-36th of a pixel over."""
        corners = [(7.3, 5.2), (57.1, 3.9), (55.8, 43.7), (5.4, 41.1)]
        middle = (31.7, 22.9)
        shapes = [pixel_polygon([corners[k], corners[(k + 1) % 4], middle]) for k in range(4)]
        layer, grid = load(tmp_path, shapes, partition=True)
        drawn = zone_pixels(layer, grid, whole(grid))
        total = sum(shares_of(drawn, k) for k in range(4))
        outline, _ = load(tmp_path / "all", [pixel_polygon(corners)])
        assert np.array_equal(total, shares_of(zone_pixels(outline, grid, whole(grid)), 0))
        assert total.max() == WHOLE

    def test_overlapping_zones_each_get_their_own(self, tmp_path):
        shapes = [pixel_box(2, 2, 20.5, 40), pixel_box(10.25, 2, 50, 40), pixel_box(3, 3, 9, 9.5)]
        layer, grid = load(tmp_path, shapes)
        sums = sums_of(layer, grid, arrays_of(1, grid.shape), cut(grid, 16))
        assert sums.pixels == pytest.approx([18.5 * 38, 39.75 * 38, 6 * 6.5], rel=1e-12)

    def test_centre_rule_is_as_before(self, tmp_path):
        layer, grid = load(tmp_path, list(SHAPES.values())[:2], "centre", partition=True)
        drawn = zone_pixels(layer, grid, whole(grid))
        assert len(drawn.shares) == 0
        assert np.array_equal(drawn.ids, zone_ids(layer, grid, whole(grid)))
        sums = sums_of(layer, grid, arrays_of(1, grid.shape), cut(grid, 16))
        assert all(getattr(sums, k).dtype == np.int64 for k in ZoneSums._ARRAYS)

    def test_auto_takes_shares_for_small_zones_only(self, tmp_path):
        large, small = pixel_box(2.4, 2.4, 42.4, 42.4), pixel_box(50.3, 2.2, 52.7, 3.4)
        layer, grid = load(tmp_path, [large, small], "auto", partition=True)
        assert layer.exact.tolist() == [False, True]
        assert layer.select({"code": ("z1",)}).exact.tolist() == [True]
        pixels = sums_of(layer, grid, arrays_of(1, grid.shape), cut(grid, 16)).pixels
        assert pixels[0] == 1600
        assert pixels[1] == pytest.approx(2.4 * 1.2, rel=1e-9)

    def test_together_counts_overlap_once(self, tmp_path):
        shapes = [pixel_box(2, 2, 4.5, 4), pixel_box(4.5, 2, 6, 4), pixel_box(3, 2.5, 5, 9)]
        layer, grid = load(tmp_path, shapes)
        drawn = [zone_pixels(layer, grid, whole(grid), s) for s in range(layer.n_sheets)]
        union = together(drawn)
        assert union.ids.sum() + union.shares.share.sum() / WHOLE == 4 * 2 + 2 * 5
        assert np.unique(union.shares.at).size == len(union.shares)

    def test_pixels_touched(self, tmp_path):
        layer, grid = load(tmp_path, [pixel_box(2.5, 2.5, 4.5, 3.5)])
        inside = zone_pixels(layer, grid, whole(grid)).inside
        assert inside.sum() == 6
        assert inside[2:4, 2:5].all()


class TestSums:
    def test_equal_weighted_sums_in_fractions(self, tmp_path):
        layer, grid = load(tmp_path, list(SHAPES.values()))
        arrays = arrays_of(3, grid.shape)
        sums = sums_of(layer, grid, arrays, cut(grid, 16))
        for k in range(len(layer)):
            share = sum(
                shares_of(zone_pixels(layer, grid, whole(grid), sheet), k)
                for sheet in range(layer.n_sheets)
            )
            fvc = arrays["fvc"].astype(object)
            ok = (arrays["fvc"] != 65535) & (share > 0)
            weights = [Fraction(int(w), WHOLE) for w in share[ok]]
            values = list(fvc[ok])
            n = sum(weights)
            mean = sum(w * v for w, v in zip(weights, values, strict=True)) / n
            spread = sum(w * (v - mean) ** 2 for w, v in zip(weights, values, strict=True)) / n
            assert sums.n_valid("fvc")[k] == pytest.approx(float(n), rel=1e-14)
            assert sums.mean("fvc")[k] == pytest.approx(float(mean) * 1e-4, rel=1e-13)
            assert sums.variance("fvc")[k] == pytest.approx(float(spread) * 1e-8, rel=1e-12)
            binned = [share[ok & (fvc >= a) & (fvc < b)].sum() / WHOLE for a, b in
                      ((0, 1000), (1000, 5000), (5000, 9000), (9000, 65535))]  # fmt: skip
            assert [sums.n_bin("fvc", b)[k] for b in range(4)] == pytest.approx(binned, rel=1e-12)
            forest = (arrays["landcover"] // 10 == 2) & ok
            within = (share * arrays["fvc"].astype(float))[forest].sum() * 1e-4
            weight = share[forest].sum()
            expected = within / weight if weight else np.nan
            assert sums.mean("fvc", (21, 22, 23, 24))[k] == pytest.approx(expected, nan_ok=True)

    def test_denominator_is_valid_and_missing(self, tmp_path):
        layer, grid = load(tmp_path, list(SHAPES.values()))
        arrays = arrays_of(5, grid.shape)
        sums = sums_of(layer, grid, arrays, cut(grid, 16))
        arrays["fvc"][:] = 65535
        arrays["landcover"][:] = 24
        gaps = sums_of(layer, grid, arrays, cut(grid, 16))
        assert np.isnan(gaps.mean("fvc")).all()
        assert np.array_equal(gaps.pixels, sums.pixels)
        assert (gaps.pixels - gaps.n_valid("landcover") == 0).all()
        classes = sum(sums.n_class("landcover", (c,)) for c in (0, *LUCC))
        assert classes == pytest.approx(sums.pixels, rel=1e-13)
        assert (sums.pixels - sums.n_valid("landcover") >= 0).all()

    def test_agree_with_exactextract(self, tmp_path):
        """Sums of zones large and small within 1e-6 (its shares of pixels are float32)."""
        exactextract = pytest.importorskip("exactextract")
        import rasterio

        layer, grid = load(tmp_path, list(SHAPES.values()))
        arrays = arrays_of(9, grid.shape)
        sums = sums_of(layer, grid, arrays, cut(grid, 16))
        path = tmp_path / "fvc.tif"
        profile = {"driver": "GTiff", "width": 64, "height": 48, "count": 1, "dtype": "uint16"}
        with rasterio.open(
            path, "w", crs=grid.crs.to_wkt(), transform=grid.transform, nodata=65535, **profile
        ) as file:
            file.write(arrays["fvc"], 1)
        wanted = ["count", "sum", "mean", "variance"]
        found = exactextract.exact_extract(str(path), layer.gdf, wanted, output="pandas")
        n = sums.n_valid("fvc")
        assert n == pytest.approx(found["count"].to_numpy(), rel=1e-6)
        assert sums.mean("fvc") * n * 1e4 == pytest.approx(found["sum"].to_numpy(), rel=1e-6)
        assert sums.mean("fvc") * 1e4 == pytest.approx(found["mean"].to_numpy(), rel=1e-6)
        assert sums.variance("fvc") * 1e8 == pytest.approx(found["variance"].to_numpy(), rel=1e-5)

    @settings(max_examples=50, deadline=None)
    @given(
        items=st.lists(
            st.tuples(st.integers(0, 3), st.integers(0, WHOLE), st.integers(-(2**32), 2**32)),
            max_size=30,
        ),
        at=st.integers(0, 30),
    )
    def test_products_keep_every_bit(self, items, at):
        table = np.array(items, np.int64).reshape(-1, 3).T
        first, second = Sums((4,)), Sums((4,))
        first.add_shares((table[0, :at],), table[1, :at], table[2, :at])
        second.add_shares((table[0, at:],), table[1, at:], table[2, at:])
        second.merge(first)
        for k in range(4):
            assert second.exact(k) == sum(w * v for i, w, v in items if i == k)
        assert second.over(0).exact() == sum(w * v for _, w, v in items)

    def test_groups_add_up(self, tmp_path):
        layer, grid = load(tmp_path, list(SHAPES.values()))
        sums = sums_of(layer, grid, arrays_of(2, grid.shape), cut(grid, 16))
        group = [0, 1, 0, 2, -1, 1, 2, 0]
        groups = sums.grouped(group, 3)
        for name in ZoneSums._ARRAYS:
            axis = 0 if name == "pixels" else 1
            for g in range(3):
                at = [k for k, own in enumerate(group) if own == g]
                alone = getattr(sums, name).take(at, axis).sum(axis)
                assert getattr(groups, name).take(g, axis) == pytest.approx(alone, rel=1e-13)
        kept = sums.grouped([0 if g >= 0 else -1 for g in group], 1)
        assert same(groups.all_zones(), kept)
        with pytest.raises(ValueError, match="group numbers"):
            sums.grouped([0, 1], 2)


def test_change_uses_the_same_shares(tmp_path):
    layer, grid = load(tmp_path, list(SHAPES.values()))
    spec = ChangeSpec(("landcover",), (("fvc", 1000),))
    before, after = arrays_of(1, grid.shape), arrays_of(2, grid.shape)

    def sums(tiles):
        out = ChangeSums(spec, len(layer))
        for tile in tiles:
            for sheet in range(layer.n_sheets):
                drawn = zone_pixels(layer, grid, tile, sheet)
                was, now = ({k: v[tile.slices] for k, v in a.items()} for a in (before, after))
                out.add(drawn.ids, was, now, drawn.shares)
        return out

    once, parts = sums([whole(grid)]), sums(cut(grid, 7))
    for name in ("pixels", "both", "fell", "rose", "difference"):
        assert np.array_equal(getattr(once, name), getattr(parts, name))
    assert np.array_equal(once.transitions["landcover"], parts.transitions["landcover"])
    share = shares_of(zone_pixels(replace(layer, sheets=0 * layer.sheets), grid, whole(grid)), 0)
    was, now = before["fvc"].astype(int), after["fvc"].astype(int)
    both = (was != 65535) & (now != 65535)
    assert once.n_both("fvc")[0] == pytest.approx(share[both].sum() / WHOLE, rel=1e-12)
    fell = both & (was - now >= 1000)
    assert once.n_fell("fvc", 1000)[0] == pytest.approx(share[fell].sum() / WHOLE, rel=1e-12)
    rose = both & (now - was >= 1000)
    assert once.n_rose("fvc", 1000)[0] == pytest.approx(share[rose].sum() / WHOLE, rel=1e-12)
    change = ((now - was) * (share / WHOLE))[both].sum()
    assert once.difference[0, 0] == pytest.approx(change, rel=1e-9)
    table = once.transitions["landcover"]
    assert table.sum(axis=(1, 2)) == pytest.approx(once.pixels, rel=1e-13)
    assert once.all_zones().pixels[0] == pytest.approx(once.pixels.sum(), rel=1e-13)
