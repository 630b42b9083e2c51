"""RUSLE of HJ 1173-2021: closed forms, hand computation, a real Horn slope, any chunking."""

import datetime
import math

import dask.array as da
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import DATA, real

from eco_index.errors import InputError
from eco_index.indices import soil, terrain
from eco_index.indices.doors import over_blocks, with_halo
from eco_index.indices.soil_chain import RetentionChain, soil_retention
from eco_index.methods import load_method

M = load_method("hj1173_2021")


def plane(angle, toward, shape=(6, 7), dx=30.0, dy=20.0):
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    grade = math.tan(math.radians(angle))
    t = math.radians(toward)
    return 500 + grade * (columns * dx * math.cos(t) + rows * dy * math.sin(t))


def days_of(year):
    first = datetime.date(year, 1, 1)
    count = (datetime.date(year + 1, 1, 1) - first).days
    return [first + datetime.timedelta(days=i) for i in range(count)]


@pytest.mark.parametrize("angle", [0, 1, 5.14, 10.2, 28.81, 45, 70])
@pytest.mark.parametrize("toward", [0, 37, 90, 200])
def test_slope_of_a_plane_is_its_angle(angle, toward):
    padded = plane(angle, toward)
    assert terrain.horn_slope(padded, 30, 20) == pytest.approx(angle, abs=1e-9)


def test_slope_is_missing_beside_a_gap_and_at_the_border():
    dem = xr.DataArray(plane(10, 0), dims=("y", "x"))
    dem[2, 3] = np.nan
    slope = with_halo(lambda z: terrain.horn_slope(z, 30, 20), dem).to_numpy()
    known = ~np.isnan(slope)
    truth = np.zeros((6, 7), bool)
    truth[1:-1, 1:-1] = True
    truth[1:4, 2:5] = False
    assert np.array_equal(known, truth)
    assert slope[known] == pytest.approx(10)


def test_slope_on_a_grid_of_degrees_takes_a_width_for_each_row():
    width = 30 * np.cos(np.radians(np.array([[50.0], [51], [52]])))
    padded = np.tile(5.0 * np.arange(6), (5, 1))
    slope = terrain.horn_slope(padded, width, 30)
    np.testing.assert_allclose(slope, np.broadcast_to(np.degrees(np.arctan(5 / width)), (3, 4)))
    with pytest.raises(InputError, match="metres"):
        terrain.horn_slope(np.zeros((3, 3)), 0.00028, 0.00028)


@real
def test_slope_of_a_real_elevation_model():
    import rasterio

    folder = DATA / "dem_slope_aber_epsg27700"
    with rasterio.open(folder / "SRTM_aber.tif") as source:
        dem, (dx, dy) = source.read(1).astype(float), source.res
    with rasterio.open(folder / "SRTM_aber_slope_deg.tif") as source:
        truth = source.read(1).astype(float)
    ours = terrain.horn_slope(np.pad(dem, 1, constant_values=np.nan), dx, dy)
    inner = np.zeros(dem.shape, bool)
    inner[1:-1, 1:-1] = True
    # 0 is no-data (sea) in this file: its neighbours are treated in another way there.
    gap = np.pad(dem == 0, 1)
    for i in range(3):
        for j in range(3):
            inner &= ~gap[i : i + dem.shape[0], j : j + dem.shape[1]]
    off = np.abs(ours - truth)[inner]
    assert inner.sum() > 500_000
    assert np.median(off) < 1e-6 and np.percentile(off, 99) < 1e-5


def test_length_factor_by_hand():
    assert terrain.slope_length_factor(0, 100, M) == 1
    assert terrain.slope_length_factor(33, 22.13, M) == 1
    sine = math.sin(math.radians(5))
    beta = (sine / 0.089) / (3.0 * sine**0.8 + 0.56)
    truth = (100 / 22.13) ** (beta / (1 + beta))
    assert terrain.slope_length_factor(5, 100, M) == pytest.approx(truth, rel=1e-12)


def test_steepness_by_hand_and_at_its_limits():
    s = terrain.steepness_factor(np.array([0, 5.1399, 5.14, 10.1999, 10.2, 28.80, 28.81, 60]), M)
    sine = np.sin(np.radians([0, 5.1399, 5.14, 10.1999, 10.2, 28.80]))
    truth = [10.8 * sine[0] + 0.03, 10.8 * sine[1] + 0.03, 16.8 * sine[2] - 0.5]
    truth += [16.8 * sine[3] - 0.5, 21.9 * sine[4] - 0.96, 21.9 * sine[5] - 0.96]
    assert s == pytest.approx([*truth, 9.5988, 9.5988])
    # The pieces nearly meet: a wrong sign or coefficient would tear them apart.
    assert abs(s[2] - s[1]) < 0.01 and abs(s[4] - s[3]) < 0.45 and abs(s[6] - s[5]) < 0.01
    assert np.isnan(terrain.steepness_factor(np.nan, M))


def test_erosivity_of_one_erosive_day_in_each_season():
    dates = days_of(2023)
    rain = np.zeros((365, 2))
    rain[dates.index(datetime.date(2023, 7, 15)), 0] = 20
    rain[dates.index(datetime.date(2023, 7, 16)), 0] = 9.99
    rain[dates.index(datetime.date(2023, 12, 31)), 1] = 10
    got = soil.erosivity(rain, dates, M)
    assert got.annual == pytest.approx([0.3937 * 20**1.7265, 0.3101 * 10**1.7265])
    assert np.flatnonzero(got.half_months[:, 0]).tolist() == [12]
    assert np.flatnonzero(got.half_months[:, 1]).tolist() == [23]


def test_erosivity_is_the_mean_of_complete_years():
    dates = days_of(2023) + days_of(2024)
    rain = np.zeros(len(dates))
    rain[dates.index(datetime.date(2023, 2, 20))] = 30
    rain[dates.index(datetime.date(2024, 2, 29))] = 50
    whole = soil.erosivity(rain, dates, M)
    assert whole.annual == pytest.approx(0.3101 * (30**1.7265 + 50**1.7265) / 2)
    rain[dates.index(datetime.date(2024, 2, 17))] = np.nan
    gap = soil.erosivity(rain, dates, M)
    assert gap.annual == pytest.approx(0.3101 * 30**1.7265)
    assert gap.years[3] == 1 and gap.years[4] == 2
    rain[dates.index(datetime.date(2023, 2, 17))] = np.nan
    assert np.isnan(soil.erosivity(rain, dates, M).annual)
    assert np.isnan(soil.erosivity(rain[:40], dates[:40], M).annual)


def test_erosivity_refuses_what_is_no_daily_rain():
    dates = days_of(2023)
    rain = np.zeros(365)
    rain[5] = -9999
    with pytest.raises(InputError, match="mm/d"):
        soil.erosivity(rain, dates, M)
    with pytest.raises(InputError, match="one date"):
        soil.erosivity(np.zeros(12), dates, M)
    with pytest.raises(InputError, match="rise"):
        soil.erosivity(np.zeros(365), [dates[1], dates[0], *dates[2:]], M)


@real
def test_erosivity_of_days_agrees_in_rank_with_measured_events():
    """Events of half-hour gauges against the daily model: another quantity, so order only."""
    import pandas as pd
    from scipy.stats import spearmanr

    name = "test_data_verstraeten_maximum_intensity.csv"
    rows = pd.read_csv(DATA / "rfactor_events_flanders" / name, parse_dates=["datetime"])
    rows = rows.loc[:, ~rows.columns.duplicated()]
    measured, ours = [], []
    for _, part in rows.groupby("tag"):
        daily = part.groupby(part["datetime"].dt.date)["event_rain_cum"].sum()
        dates = days_of(int(part["year"].iloc[0]))
        rain = np.array([daily.get(d, 0.0) for d in dates])
        ours.append(float(soil.erosivity(rain, dates, M).annual))
        measured.append(part["erosivity"].sum())
    assert len(ours) == 10 and min(ours) > 0
    assert spearmanr(ours, measured).statistic > 0.5


def test_erodibility_by_hand():
    sa, si, cl, c = 40.0, 40.0, 20.0, 1.5
    rest = 1 - sa / 100
    epic = (
        (0.2 + 0.3 * math.exp(-0.0256 * sa * (1 - si / 100)))
        * (si / (cl + si)) ** 0.3
        * (1 - 0.25 * c / (c + math.exp(3.72 - 2.95 * c)))
        * (1 - 0.7 * rest / (rest + math.exp(-5.51 + 22.9 * rest)))
    )
    k = soil.erodibility(sa, si, cl, c, M)
    assert k == pytest.approx((-0.01383 + 0.51575 * epic) * 0.1317, rel=1e-12)
    assert 0.01 < k < 0.06
    assert np.isnan(soil.erodibility(100, 0, 0, 0.1, M))
    assert np.isnan(soil.erodibility(40, np.nan, 20, 1, M))


def test_soil_in_another_unit_is_refused():
    with pytest.raises(InputError, match="multiplied by 100"):
        soil.erodibility(0.4, 0.4, 0.2, 1.5, M)
    with pytest.raises(InputError, match="per cent"):
        soil.erodibility(40, 40, 20, 150, M)


def test_cover_factor_at_the_limits_of_its_classes():
    f = soil.cover_factor
    cover = np.array([0, 0.0999, 0.1, 0.3, 0.5, 0.7, 0.9, 1])
    forest = [0.10, 0.10, 0.08, 0.06, 0.02, 0.004, 0.001, 0.001]
    assert f(np.full(8, 6), cover, M) == pytest.approx(forest)
    assert f(np.array([1, 2, 3, 4]), np.full(4, np.nan), M) == pytest.approx([0, 0, 0.01, 0.7])
    dry = f(np.full(3, 5), np.array([0, 0.5, 1]), M)
    assert dry == pytest.approx([1, 0.221 - 0.595 * math.log10(0.5), 0.221])
    assert np.isnan(f(np.array([0, 8]), np.array([0.5, np.nan]), M)).all()
    with pytest.raises(InputError, match="divided by 100"):
        f(np.array([6]), np.array([45.0]), M)
    with pytest.raises(InputError, match=r"77 \(2 pixels\)"):
        f(np.array([77, 77, 6]), np.array([0.5, 0.5, 0.5]), M)


def test_retention_by_hand():
    loss = soil.soil_loss(2000.0, 0.04, 2.0, 3.0, 0.25)
    assert (loss.potential, loss.actual, loss.retention) == pytest.approx((480, 120, 360))
    with pytest.raises(InputError, match=r"0\.1317"):
        soil.soil_loss(2000.0, 0.3, 2.0, 3.0, 0.25)


def maps(seed, shape):
    g = np.random.default_rng(seed)
    dem = g.normal(800, 25, shape)
    dem[g.random(shape) < 0.02] = np.nan
    cover = g.random(shape)
    cover[g.random(shape) < 0.1] = np.nan
    arrays = {
        "dem": dem,
        "r": g.uniform(0, 9000, shape),
        "k": g.uniform(0, 0.07, shape),
        "types": g.integers(0, 11, shape).astype(np.uint8),
        "cover": cover,
    }
    return {k: xr.DataArray(v, dims=("y", "x")) for k, v in arrays.items()}


def retention(inputs, pixel=(30.0, 30.0), **more):
    return soil_retention(**inputs, method=M, pixel=pixel, length=60.0, **more)


def test_fused_chain_equals_the_functions():
    inputs = maps(1, (83, 61))
    chain = RetentionChain(M, 30, 30, 60)
    padded = np.pad(inputs["dem"].to_numpy(), 1, constant_values=np.nan)
    plain = chain.plain(padded, *(inputs[k].to_numpy() for k in ("r", "k", "types", "cover")))
    fused = retention(inputs).to_numpy()
    assert np.array_equal(np.isnan(plain), np.isnan(fused))
    assert 1000 < np.isfinite(fused).sum() < fused.size
    np.testing.assert_allclose(fused, plain, rtol=1e-11, atol=1e-12)


def test_half_the_memory_is_the_same_rounded():
    inputs = maps(2, (40, 31))
    half, whole = retention(inputs, dtype=np.float32), retention(inputs)
    assert half.dtype == np.float32
    assert np.array_equal(half, whole.astype(np.float32), equal_nan=True)
    chain, single = (RetentionChain(M, 30, 30, 60, dtype=t) for t in (np.float64, np.float32))
    given = (np.pad(inputs["dem"], 1, constant_values=np.nan), inputs["r"], inputs["k"])
    assert np.array_equal(
        single.potential(*given), chain.potential(*given).astype(np.float32), equal_nan=True
    )


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_chain_gives_the_same_bits_for_any_chunking(data):
    shape = data.draw(st.tuples(st.integers(1, 25), st.integers(1, 25)))
    inputs = maps(data.draw(st.integers(0, 99)), shape)
    whole = retention(inputs)

    chunks = []
    for n in shape:
        parts: list[int] = []
        while sum(parts) < n:
            parts.append(min(data.draw(st.integers(1, 9)), n - sum(parts)))
        chunks.append(tuple(parts))
    lazy = {k: v.copy(data=da.from_array(v.to_numpy(), tuple(chunks))) for k, v in inputs.items()}
    result = retention(lazy)
    assert result.chunks is not None
    assert np.array_equal(result.compute(scheduler="sync"), whole, equal_nan=True)


def test_pixel_functions_give_the_same_bits_for_any_chunking():
    inputs = maps(3, (40, 33))
    whole = over_blocks(lambda t, c: soil.cover_factor(t, c, M), inputs["types"], inputs["cover"])
    for size in (1, 7, 16):
        lazy = [inputs[k].chunk({"y": size, "x": 9}) for k in ("types", "cover")]
        result = over_blocks(lambda t, c: soil.cover_factor(t, c, M), *lazy)
        assert np.array_equal(result.compute(scheduler="sync"), whole, equal_nan=True)


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("dem", -9999.0, "elevation"),
        ("r", -1.0, "R"),
        ("k", 0.4, "K"),
        ("cover", 55.0, "cover"),
        ("types", 99, r"99 \(1 pixels\)"),
    ],
)
def test_fused_chain_says_what_is_wrong(name, value, word):
    inputs = maps(5, (9, 9))
    inputs["dem"] = inputs["dem"].fillna(800)
    inputs[name][4, 4] = value
    with pytest.raises(InputError, match=word):
        retention(inputs)


def test_chain_refuses_other_units_grids_and_degrees():
    inputs = maps(6, (9, 9))
    inputs["cover"].attrs["units"] = "%"
    with pytest.raises(InputError, match="'%'"):
        retention(inputs)
    inputs = maps(6, (9, 9))
    inputs["cover"] = inputs["cover"][:8]
    with pytest.raises(InputError, match="grid"):
        retention(inputs)
    with pytest.raises(InputError, match="metres"):
        retention(maps(6, (9, 9)), pixel=(0.00028, 0.00028))


def test_result_names_its_method_and_is_provisional():
    attrs = retention(maps(7, (5, 5))).attrs
    assert attrs["method"] == "hj1173_2021@1" and attrs["provisional"] == 1
    assert attrs["long_name_zh"] and attrs["units"] == "t hm-2 a-1"
