"""Habitat quality: the formulas of InVEST restated by brute force, invariants, any chunking."""

import math

import dask.array as da
import numpy as np
import pytest
import xarray as xr
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.errors import InputError, UsageError
from eco_index.indices import habitat_kernels as kernels
from eco_index.indices.habitat import habitat_quality
from eco_index.indices.habitat_parameters import HabitatParameters, load_habitat

TEXT = {"zh": "x", "en": "x"}
SAID = {"evidence": "secondary", "source": "test"}


def parameters(**changes):
    """Three classes, a threat that is a class and one that is a map."""
    given = {
        "id": "test",
        "version": 1,
        "title": TEXT,
        "half_saturation": 0.3,
        "half_saturation_evidence": "secondary",
        "half_saturation_source": "test",
        "threats": {
            "town": {
                **SAID,
                "name": TEXT,
                "weight": 1.0,
                "max_distance_m": 130,
                "decay": "exponential",
                "classes": [5],
            },
            "road": {
                **SAID,
                "name": TEXT,
                "weight": 0.6,
                "max_distance_m": 90,
                "decay": "linear",
            },
        },
        "classes": {
            1: {"name": TEXT, "habitat": 1.0, "sensitivity": {"town": 0.9, "road": 0.5}, **SAID},
            2: {"name": TEXT, "habitat": 0.4, "sensitivity": {"town": 0.3, "road": 1.0}, **SAID},
            5: {"name": TEXT, "habitat": 0.0, **SAID},
        },
    }
    return HabitatParameters.model_validate(given | changes)


def maps(seed, shape, shares=False):
    g = np.random.default_rng(seed)
    cover = g.choice([0, 1, 2, 5], shape, p=[0.05, 0.5, 0.35, 0.1]).astype(np.uint8)
    road = (g.random(shape) < 0.06).astype(np.uint8)
    if shares:
        road = np.round(g.random(shape) * (g.random(shape) < 0.3), 2)
    access = g.random(shape)
    return [xr.DataArray(a, dims=("y", "x")) for a in (cover, road, access)]


def run(p, cover, road, access=None, pixel=(30.0, 20.0)):
    return habitat_quality(cover, p, pixel=pixel, threats={"road": road}, access=access)


def invest(p, cover, road, access, pixel):
    """Every pixel and every threat pixel: the formulas as they stand in the user's guide."""
    dx, dy = pixel
    total = sum(t.weight for t in p.threats.values())
    rows, columns = np.indices(cover.shape)
    d, q = np.full(cover.shape, np.nan), np.full(cover.shape, np.nan)
    for y, x in np.ndindex(cover.shape):
        code = int(cover[y, x])
        if code == 0:
            continue
        away = np.hypot((rows - y) * dy, (columns - x) * dx)
        worn = 0.0
        for name, t in p.threats.items():
            source = np.isin(cover, t.classes).astype(float) if t.classes else road.astype(float)
            near = away <= t.max_distance_m
            ratio = away / t.max_distance_m
            decay = np.exp(-2.99 * ratio) if t.decay == "exponential" else 1 - ratio
            decay = np.where(near, decay, 0.0)
            if p.influence == "nearest":
                influence = decay[source > 0].max(initial=0.0)
            else:
                n_y, n_x = int(t.max_distance_m // dy), int(t.max_distance_m // dx)
                ky, kx = np.mgrid[-n_y : n_y + 1, -n_x : n_x + 1]
                k = np.hypot(ky * dy, kx * dx) / t.max_distance_m
                whole = np.exp(-2.99 * k) if t.decay == "exponential" else 1 - k
                influence = (decay * source).sum() / whole[k <= 1].sum()
            s = p.classes[code].sensitivity.get(name, 0.0)
            worn += t.weight / total * s * influence
        d[y, x] = worn * access[y, x]
        raised = d[y, x] ** 2.5
        q[y, x] = p.classes[code].habitat * (1 - raised / (raised + p.half_saturation**2.5))
    return d, q


@pytest.mark.parametrize("influence", ["nearest", "density"])
@pytest.mark.parametrize("pixel", [(30.0, 20.0), (30.0, 30.0), (100.0, 140.0)])
def test_as_invest_by_brute_force(influence, pixel):
    p = parameters(influence=influence)
    shares = influence == "density"
    cover, road, access = maps(3, (23, 31), shares)
    ours = run(p, cover, road, access, pixel)
    d, q = invest(p, cover.to_numpy(), road.to_numpy(), access.to_numpy(), pixel)
    assert np.nanmax(d) > 0.02 and np.nanmin(q) < 0.9
    np.testing.assert_allclose(ours.degradation, d, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(ours.quality, q, rtol=1e-6, atol=1e-8)


def test_by_hand():
    cover = np.ones((1, 9), np.uint8)
    cover[0, 0] = 5
    none = xr.DataArray(np.zeros((1, 9), np.uint8), dims=("y", "x"))
    land = xr.DataArray(cover, dims=("y", "x"))
    got = run(parameters(), land, none)
    d = 1.0 / 1.6 * 0.9 * math.exp(-2.99 * 60 / 130)
    assert got.degradation[0, 2] == pytest.approx(d)
    assert got.quality[0, 2] == pytest.approx(1 - d**2.5 / (d**2.5 + 0.3**2.5))
    assert (got.degradation[0, 5:] == 0).all() and (got.quality[0, 5:] == 1).all()
    assert got.quality[0, 0] == 0
    half = run(parameters(half_saturation=float(d)), land, none)
    assert half.quality[0, 2] == pytest.approx(0.5)  # what half-saturation means


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(["nearest", "density"]))
def test_more_threat_never_raises_quality_and_all_stays_in_range(seed, influence):
    p = parameters(influence=influence)
    cover, road, access = maps(seed, (17, 14))
    before = run(p, cover, road, access)
    more = road.copy()
    g = np.random.default_rng(seed)
    more[g.integers(0, 17), g.integers(0, 14)] = 1
    after = run(p, cover, more, access)
    gone = run(p, cover, road * 0, access)
    for worse, better in ((after, before), (before, gone)):
        assert (worse.quality <= better.quality + 1e-12).where(cover > 0, True).all()
    for one in (before, after):
        for name in ("degradation", "quality"):
            values = one[name].to_numpy()
            assert np.array_equal(np.isnan(values), cover.to_numpy() == 0)
            assert np.nanmin(values) >= 0 and np.nanmax(values) <= 1
    closed = run(p, cover, road, access * 0)
    assert (closed.degradation == 0).where(cover > 0, True).all()


def cut(data, n):
    parts = []
    while sum(parts) < n:
        parts.append(min(data.draw(st.integers(1, 9)), n - sum(parts)))
    return tuple(parts)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_same_bits_for_any_chunking(data):
    shape = data.draw(st.tuples(st.integers(1, 25), st.integers(1, 25)))
    p = parameters(influence=data.draw(st.sampled_from(["nearest", "density"])))
    shares = p.influence == "density" and data.draw(st.booleans())
    inputs = maps(data.draw(st.integers(0, 99)), shape, shares)
    whole = run(p, *inputs)
    lazy = [
        a.copy(data=da.from_array(a.to_numpy(), tuple(cut(data, n) for n in shape))) for a in inputs
    ]
    result = run(p, *lazy)
    assert result.quality.chunks is not None
    for name, values in result.compute(scheduler="sync").items():
        assert np.array_equal(values, whole[name], equal_nan=True)


@pytest.mark.parametrize("levels", [1, kernels.LEVELS])
def test_sums_of_a_large_transform_are_the_exact_whole_numbers(levels):
    weights = kernels.decay_weights(3000, (30.0, 30.0), True)
    density = kernels.Density(weights, levels)
    assert density.reach == (100, 100)
    g = np.random.default_rng(2)
    size = 1100
    threat = np.full((size, size), levels)  # the greatest sums, where errors are greatest
    threat[g.random(threat.shape) < 0.02] = 0
    sums = np.concatenate([part for _, part in density.by_fft(threat)])
    whole = density.weights.astype(np.int64)
    for y, x in g.integers(0, size - 200, (60, 2)):
        exact = int((whole * threat[y : y + 201, x : x + 201]).sum())
        assert abs(sums[y, x] - exact) < 0.2
    assert 1 / density.scale == whole.sum() * levels


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.001, 0.3), st.floats(20, 190))
def test_both_ways_to_sum_and_both_ways_to_the_nearest_agree(seed, share, distance):
    pixel = (20.0, 20.0)
    density = kernels.Density(kernels.decay_weights(distance, pixel, seed % 2 == 0), 1)
    ry, rx = density.reach
    g = np.random.default_rng(seed)
    marked = (g.random((19 + 2 * ry, 23 + 2 * rx)) < share).astype(np.uint8)
    by_fft, by_edges = (
        np.concatenate([np.rint(sums) for _, sums in way(marked)])
        for way in (density.by_fft, density.by_edges)
    )
    assert by_fft.max() > 0 or not marked[ry:-ry, rx:-rx].any()
    assert np.array_equal(by_fft, by_edges)
    table = kernels.decay_by_square(distance, 20.0, seed % 2 == 0)
    codes, shares = g.integers(0, 5, (19, 23)), np.array([0.0, 0.5, 1.0, 0.25])
    fast, slow = np.zeros((2, 19, 23))
    kernels.add_nearest(marked, ry, table, codes, shares, fast)
    form = ((ry, rx), (*pixel, distance), seed % 2 == 0)
    kernels.add_nearest_aside(marked, *form, codes, shares, slow)
    assert (fast[codes % 4 == 0] == 0).all()  # no class, or one beyond the table
    np.testing.assert_allclose(fast, slow, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("influence", ["nearest", "density"])
def test_half_the_memory_is_the_same_rounded(influence):
    p = parameters(influence=influence)
    cover, road, access = maps(8, (40, 31))
    whole = run(p, cover, road, access)
    half = habitat_quality(
        cover, p, pixel=(30.0, 20.0), threats={"road": road}, access=access, dtype="float32"
    )
    for name, values in whole.items():
        assert half[name].dtype == np.float32
        assert np.array_equal(half[name], values.astype(np.float32), equal_nan=True)
    with pytest.raises(UsageError, match="float32"):
        habitat_quality(cover, p, pixel=(30.0, 20.0), threats={"road": road}, dtype="uint8")


def test_a_map_larger_than_one_transform_is_cut():
    p = parameters(influence="density")
    road = xr.DataArray(np.zeros((5, 3000), np.uint8), dims=("y", "x"))
    road[2, ::7] = 1
    cover = xr.full_like(road, 1)
    whole = run(p, cover, road)
    assert len(kernels.tiles_of(3000, 4)) == 3
    period = whole.quality[2, 700:1400].to_numpy()
    assert np.array_equal(period, whole.quality[2, 1400:2100].to_numpy())


def test_missing_threat_is_not_no_threat():
    cover, road, access = maps(1, (9, 9))
    road = road.astype(float)
    road[3, 3] = np.nan
    with pytest.raises(InputError, match="missing at 1 pixels"):
        run(parameters(), cover, road)
    access[2, 2], cover[2, 2] = np.nan, 1
    got = run(parameters(), cover, road.fillna(0), access)
    assert np.isnan(got.quality[2, 2]) and np.isfinite(got.quality.where(cover > 0)).sum() > 50


@pytest.mark.parametrize(
    ("what", "value", "word"),
    [
        ("cover", 77, r"77 \(1 pixels\)"),
        ("road", 255, "'road'"),
        ("access", 60.0, "accessibility"),
    ],
)
def test_says_what_is_wrong(what, value, word):
    cover, road, access = maps(1, (9, 9))
    {"cover": cover, "road": road, "access": access}[what][4, 4] = value
    with pytest.raises(InputError, match=word):
        run(parameters(), cover, road, access)


def test_refuses_other_threats_grids_and_shares_without_a_distance():
    cover, road, _ = maps(1, (9, 9))
    with pytest.raises(UsageError, match="missing: road"):
        habitat_quality(cover, parameters(), pixel=(30.0, 30.0))
    with pytest.raises(InputError, match="grid"):
        run(parameters(), cover, road[:8])
    with pytest.raises(InputError, match="metres"):
        run(parameters(), cover, road, pixel=(0.0003, 0.0003))
    with pytest.raises(InputError, match="density"):
        run(parameters(), cover, road * 0.5)
    with pytest.raises(InputError, match="integer codes"):
        run(parameters(), cover.astype(float), road)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda d: d["threats"]["roads"].update(weight=0), "weight"),
        (lambda d: d["classes"][21]["sensitivity"].pop("roads"), "without sensitivity to 'roads'"),
        (lambda d: d["classes"][21]["sensitivity"].update(mines=1), "unknown threat 'mines'"),
        (lambda d: d["classes"][21].update(habitat=1.5), "habitat"),
        (lambda d: d["threats"]["built_up"].update(classes=[99]), "unknown class 99"),
        (lambda d: d.update(half_saturation=0), "half_saturation"),
    ],
)
def test_parameter_files_are_checked(tmp_path, change, word):
    shipped = load_habitat("example")
    data = shipped.model_dump(mode="json", exclude={"note"})
    data["classes"] = {int(k): v for k, v in data["classes"].items()}
    change(data)
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    with pytest.raises(UsageError, match=word):
        load_habitat(path)


def test_shipped_example_is_provisional_and_results_say_so():
    p = load_habitat("example")
    assert p.provisional and all(c.evidence == "placeholder" for c in p.classes.values())
    cover = xr.DataArray(np.full((4, 4), 21, np.uint8), dims=("y", "x"))
    got = habitat_quality(cover, p, pixel=(30.0, 30.0), threats={"roads": cover * 0})
    assert got.attrs["provisional"] == 1 and got.attrs["parameters"] == "example@1"
    assert got.quality.attrs["long_name_zh"] and (got.quality == 1).all()
    assert not parameters().provisional
    with pytest.raises(UsageError, match="known: example"):
        load_habitat("nowhere")
