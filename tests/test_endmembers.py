"""End members by percentile and by map: numpy as peer, any chunking, fallbacks, drone cover."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import DATA, real

from eco_index.errors import InputError
from eco_index.indices import endmember_maps as maps
from eco_index.indices import endmembers as em
from eco_index.indices.landcover import load_crosswalk
from eco_index.indices.vegetation import stored_fvc

SHAPE = (40, 60)
GEN = np.random.default_rng(5)
TYPES = GEN.integers(0, 6, SHAPE).astype(np.uint8)
ZONES = (np.arange(60) // 30 + 1)[None, :].repeat(40, 0).astype(np.int32)
NDVI = np.clip(
    GEN.normal(2500, 1200, SHAPE) + TYPES.astype(int) * 400 + ZONES * 300, -10000, 10000
).astype(np.int16)
NDVI[GEN.random(SHAPE) < 0.1] = -32768


def members(**options: object) -> em.EndMembers:
    counted = em.histograms(NDVI, ZONES, TYPES)
    return em.fit(counted, (5, 95), 10, ("a", "b"), True, **options)  # type: ignore[arg-type]


def test_pairs_are_percentiles_of_their_group() -> None:
    found = members()
    assert len(found.pairs) == 5 + 2 * 5
    for zone, name in ((1, "a"), (2, "b")):
        for kind, (text, _) in em.TYPES.items():
            own = NDVI[(zone == ZONES) & (kind == TYPES) & (NDVI != -32768)]
            pair = found.pairs[f"{name}|{text}"]
            expected = np.percentile(own, (5, 95), method="inverted_cdf") / 1e4
            assert (pair.soil, pair.veg, pair.pixels) == (*expected, own.size)
    both = NDVI[(TYPES == 3) & (NDVI != -32768)]
    grass = found.pairs["all|grass"]
    assert [grass.soil, grass.veg] == (
        np.percentile(both, (5, 95), method="inverted_cdf") / 1e4
    ).tolist()


@settings(max_examples=15, deadline=None)
@given(st.integers(7, 40), st.integers(7, 60))
def test_any_chunking_gives_the_same(rows: int, columns: int) -> None:
    given_maps = [xr.DataArray(a, dims=("y", "x")) for a in (NDVI, ZONES, TYPES)]
    lazy = [m.chunk({"y": rows, "x": columns}) for m in given_maps]
    lazy[1] = given_maps[1].chunk({"x": 13})
    counted = maps.histograms_of(*lazy)
    found = em.fit(counted, (5, 95), 10, ("a", "b"), True)
    assert found == members()
    cover = maps.cover(lazy[0], found, lazy[1], lazy[2])
    assert cover.chunks is not None and "percentiles 5 and 95" in cover.attrs["end_members"]
    np.testing.assert_array_equal(cover, em.stored_fvc_of(NDVI, found, ZONES, TYPES))


def test_cover_uses_the_pair_of_each_group() -> None:
    found = members()
    got = em.stored_fvc_of(NDVI, found, ZONES, TYPES)
    for zone, kind in ((1, 3), (2, 1)):
        here = (zone == ZONES) & (kind == TYPES)
        pair = found.pair(zone, kind)
        np.testing.assert_array_equal(got[here], stored_fvc(NDVI, pair.soil, pair.veg)[here])
        valid = got[here & (NDVI != -32768)]
        # By construction at least 5 % lie at either end.
        assert (valid == 0).mean() >= 0.05 and (valid == 10000).mean() >= 0.05
    unknown = TYPES == 0
    pair = found.pair(1, 0)
    assert pair == found.whole
    np.testing.assert_array_equal(
        got[unknown], stored_fvc(NDVI, found.whole.soil, found.whole.veg)[unknown]
    )
    assert (got[NDVI == -32768] == 65535).all() and (got[NDVI != -32768] <= 10000).all()


def test_one_table_for_all_years_shows_change_that_own_tables_hide() -> None:
    greener = np.where(NDVI == -32768, NDVI, np.minimum(NDVI + 800, 10000)).astype(np.int16)
    own = em.fit(em.histograms(greener), (5, 95), 10)
    base = em.fit(em.histograms(NDVI), (5, 95), 10)
    valid = NDVI != -32768
    before = em.stored_fvc_of(NDVI, base)[valid].mean()
    assert em.stored_fvc_of(greener, own)[valid].mean() == pytest.approx(before, abs=15)
    assert em.stored_fvc_of(greener, base)[valid].mean() > before + 500


def test_small_or_flat_groups_fall_back() -> None:
    types = np.where(TYPES == 2, 3, TYPES).astype(np.uint8)
    types[0, :5] = 2  # a few shrubs, all in zone 1
    ndvi = NDVI.copy()
    ndvi[TYPES == 5] = 1000  # another type that does not vary at all
    found = em.fit(em.histograms(ndvi, ZONES, types), (5, 95), 50, ("a", "b"), True)
    assert found.pairs["all|other"].of == found.pairs["b|other"].of == "all|all"
    assert found.pairs["a|shrub"].of == "all|all" and found.pairs["a|shrub"].pixels <= 5
    assert found.pairs["b|shrub"].pixels == 0
    assert found.pairs["a|grass"].of == "a|grass"
    few = em.fit(em.histograms(ndvi, ZONES, types), (5, 95), 300, ("a", "b"), True)
    assert few.pairs["a|forest"].of in ("all|forest", "a|forest")
    with pytest.raises(InputError, match="too alike"):
        em.fit(em.histograms(np.full(SHAPE, 3000, np.int16)), (5, 95), 10)
    with pytest.raises(InputError, match="0 pixels"):
        em.fit(em.histograms(np.full(SHAPE, -32768, np.int16)), (5, 95), 10)


def test_a_table_survives_its_file() -> None:
    found = members(base=("2020",), inputs="d")
    assert em.EndMembers.from_json(found.to_json(), "x") == found
    with pytest.raises(InputError, match="no table of end members"):
        em.EndMembers.from_json('{"whole": 3}', "x")


def test_types_follow_the_crosswalk() -> None:
    crosswalk = load_crosswalk("worldcover_v200")
    codes = np.array([[10, 20, 30, 40, 50, 0, -1]], np.int32)
    assert em.types_of(codes, crosswalk, None, "x").tolist() == [[1, 2, 3, 4, 5, 0, 0]]
    with pytest.raises(InputError, match=r"11 \(1 pixels\)"):
        em.types_of(np.array([[11]], np.int32), crosswalk, None, "x")


def test_maps_of_end_members() -> None:
    ndvi = np.array([[2000, 5000, -32768, 9000]], np.int16)
    soil = np.array([[0.1, 0.2, 0.1, np.nan]], np.float32)
    veg = np.array([[0.9, 0.8, 0.9, 0.9]], np.float32)
    assert em.stored_fvc_of_maps(ndvi, soil, veg).tolist() == [[1250, 5000, 65535, 65535]]
    same = em.stored_fvc_of_maps(NDVI, np.full(SHAPE, 0.15), np.full(SHAPE, 0.9))
    np.testing.assert_array_equal(same, stored_fvc(NDVI, 0.15, 0.9))
    with pytest.raises(InputError, match=r"soil holds 1 values"):
        em.stored_fvc_of_maps(ndvi, np.array([[10.0, 0.2, 0.1, 0.1]]), veg)
    with pytest.raises(InputError, match=r"in 1 pixels"):
        em.stored_fvc_of_maps(ndvi, soil, np.array([[0.15, 0.8, 0.9, 0.9]]))


@pytest.mark.parametrize(
    ("call", "complaint"),
    [
        (lambda: em.histograms(NDVI.astype(float)), "type float64"),
        (lambda: em.histograms(NDVI, ZONES[:3]), "'zones'"),
        (lambda: em.histograms(np.full((2, 2), 12000, np.int16)), "4 values"),
        (lambda: em.fit(em.histograms(NDVI), (95, 5), 10), "percentiles"),
    ],
)
def test_bad_input(call: object, complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        call()  # type: ignore[operator]


@real
def test_percentile_pair_retrieves_drone_cover() -> None:
    """Cover by the pair of the river's own NDVI against cover measured from drones (Kuiseb)."""
    from test_groundtruth_real import table

    folder = DATA / "kuiseb_uav_fvc"
    cover, ndvi = [], []
    for path in sorted((folder / "UAV_FVC_Tables").glob("*_Cover.xls")):
        flight = path.name.removesuffix("_Cover.xls")
        index = table(folder / "Landsat_2016_VI_Tables" / f"{flight}_NDVI.xls")
        for fid, value in table(path).items():
            if fid in index:
                cover.append(value)
                ndvi.append(index[fid])
    measured = np.array(cover)
    stored = np.rint(np.array(ndvi) * 1e4).astype(np.int16)[None, :]
    own = em.fit(em.histograms(stored), (5, 95), 100)
    fixed = stored_fvc(stored, 0.15, 0.90)[0] / 1e4
    fitted = em.stored_fvc_of(stored, own)[0] / 1e4

    def rmse(retrieved: np.ndarray) -> float:
        return float(np.sqrt(np.mean((retrieved - measured) ** 2)))

    assert np.corrcoef(fitted, measured)[0, 1] > 0.85
    # In a desert the usual fixed pair finds far too little cover; the river's own pair does not.
    assert rmse(fitted) < 0.15 and abs(np.mean(fitted - measured)) < 0.02
    assert rmse(fixed) > 0.24 and np.mean(fixed - measured) < -0.15
