"""RSEI as a whole: peers for every input, pooled limits, any chunking, real samples, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from eco_index.errors import InputError, UsageError
from eco_index.indices import rsei_inputs as inputs
from eco_index.indices import rsei_map, rsei_zones
from eco_index.indices.rsei_kernels import MISSING
from eco_index.indices.tasselled import WetnessSet, wetness, wetness_set
from eco_index.methods import load_method

OLI = wetness_set("landsat-8", "sr")
SETS = sorted({k.partition(".")[0] for k in load_method("tasselled_cap").numbers})


def scene(seed: int, shape: tuple[int, int] = (30, 40), hot: float = 0.0) -> xr.Dataset:
    """A dry to green gradient: bands of bare soil mixed with bands of vegetation."""
    gen = np.random.default_rng(seed)
    green_part = np.clip(gen.beta(1.2, 1.2, shape), 0, 1)
    soil = {"blue": 0.12, "green": 0.17, "red": 0.23, "nir": 0.30, "swir1": 0.36, "swir2": 0.31}
    plant = {"blue": 0.03, "green": 0.06, "red": 0.04, "nir": 0.40, "swir1": 0.17, "swir2": 0.08}
    out = {}
    for band, bare in soil.items():
        mix = bare + (plant[band] - bare) * green_part
        out[band] = (("y", "x"), (mix * gen.uniform(0.97, 1.03, shape)).astype(np.float32))
    lst = 318 - 18 * green_part + gen.normal(0, 0.8, shape) + hot
    out["lst"] = (("y", "x"), lst.astype(np.float32), {"units": "K"})
    data = xr.Dataset(out)
    data["red"][0, 0] = np.nan
    water = {"blue": 0.05, "green": 0.06, "red": 0.04, "nir": 0.02, "swir1": 0.01, "swir2": 0.01}
    for band, value in water.items():
        data[band][3, 4:9] = value
    return data


def year(name: str = "2020", **kwargs: float) -> rsei_map.Year:
    return rsei_map.Year(name, scene(int(name), **kwargs), OLI)


# ------------------------------------------------------------------ wetness


def test_coefficients_have_unit_length_and_their_bands() -> None:
    for name in SETS:
        sensor, level, *author = name.split("_")
        found = wetness_set(sensor, level, "".join(author))
        # Unit length is a property of the published transformation, not of our file.
        assert np.linalg.norm(found.coefficients) == pytest.approx(1, abs=6e-4)
        assert found.evidence == "secondary" and found.source
        # Wet is dark in the short-wave infrared: both weights are negative and the largest.
        weight = dict(zip(found.bands, found.coefficients, strict=True))
        assert weight["swir1"] < 0 and weight["swir2"] < 0


def test_wetness_is_orthogonal_to_published_brightness_and_greenness() -> None:
    # Brightness and greenness of the same papers (Crist 1985; Zhai et al. 2022), r-earthengine/
    # ee_extra: a slip in the wetness of either would break the right angle.
    others = {
        "tm": (
            (0.2043, 0.4158, 0.5524, 0.5741, 0.3124, 0.2303),
            (-0.1603, -0.2819, -0.4934, 0.7940, -0.0002, -0.1446),
        ),
        "oli": (
            (0.4596, 0.5046, 0.5458, 0.4114, 0.2589),
            (-0.3374, -0.4901, 0.7909, 0.0177, -0.1416),
        ),
    }
    for sensor, rows in others.items():
        for row in rows:
            assert abs(np.dot(row, wetness_set(sensor, "sr").coefficients)) < 1e-4


@pytest.mark.parametrize(
    ("sensor", "level", "author"),
    [("sentinel-2a", "sr", ""), ("landsat-7", "sr", ""), ("tm", "toa", ""), ("oli", "sr", "baig")],
)
def test_unsourced_coefficients_are_refused(sensor: str, level: str, author: str) -> None:
    with pytest.raises(UsageError, match="no wetness coefficients"):
        wetness_set(sensor, level, author)


def test_a_misprint_is_seen(tmp_path: Path) -> None:
    # The red weight 0.3012 of a published table instead of 0.3102.
    (tmp_path / "o.yaml").write_text(
        'method: tasselled_cap\nmethod_version: "1"\ndocument: d\nentered_by: e\n'
        'date: 2026-01-01\nnumbers:\n  tm_sr.red: {value: 0.3012, page: "1"}\n',
        encoding="utf-8",
    )
    with pytest.raises(UsageError, match="length 0.997"):
        wetness_set("tm", "sr", method=load_method("tasselled_cap", tmp_path / "o.yaml"))


def test_unknown_sensor_and_missing_band() -> None:
    with pytest.raises(UsageError, match="unknown sensor 'spot'"):
        wetness_set("spot", "sr")
    with pytest.raises(InputError, match="swir2"):
        wetness({b: np.ones(2) for b in ("green", "red", "nir", "swir1")}, OLI)


# ------------------------------------------------------------------ inputs against peers


def samples() -> dict[str, np.ndarray]:
    spyndex = pytest.importorskip("spyndex")
    frame = spyndex.datasets.open("spectral")
    names = ("blue", "green", "red", "nir", "swir1", "swir2")
    out = {n: frame[f"SR_B{k}"].to_numpy() for k, n in enumerate(names, 2)}
    return out | {"lst": frame["ST_B10"].to_numpy(), "class": frame["class"].to_numpy()}


@pytest.mark.parametrize(
    ("name", "function", "bands"),
    [
        ("MNDWI", inputs.mndwi, ("green", "swir1")),
        ("BI", inputs.soil_index, ("blue", "red", "nir", "swir1")),
        ("IBI", inputs.built_index, ("green", "red", "nir", "swir1")),
    ],
)
def test_indices_agree_with_spyndex(name: str, function: object, bands: tuple[str, ...]) -> None:
    import spyndex

    data = samples()
    letters = {"B": "blue", "G": "green", "R": "red", "N": "nir", "S1": "swir1"}
    known = {k: data[v] for k, v in letters.items()}
    if name == "IBI":
        # The form with ratios is that of normalised differences with each difference plus 1.
        built = spyndex.computeIndex("NDBI", known)
        other = (spyndex.computeIndex("NDVI", known) + spyndex.computeIndex("MNDWI", known)) / 2
        expected = (built - other) / (built + other + 2)
    else:
        expected = spyndex.computeIndex(name, known)
    got = function(*(data[b] for b in bands))  # type: ignore[operator]
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


def test_real_samples_lie_as_they_should() -> None:
    data = samples()
    kind = data.pop("class")
    wet = wetness(data, OLI)
    dry = inputs.ndbsi(*(data[b] for b in inputs.BANDS))
    middle = {
        k: tuple(float(np.median(a[kind == k])) for a in (wet, dry, data["lst"]))
        for k in ("Vegetation", "Urban", "Water")
    }
    assert middle["Water"][0] > middle["Vegetation"][0] > middle["Urban"][0]
    assert middle["Urban"][1] > middle["Vegetation"][1]
    assert middle["Urban"][2] > middle["Vegetation"][2]
    steps, water = inputs.steps_of(data, data["lst"], OLI, 0.0)
    assert water == 37  # every water sample, and nothing else
    assert ((steps[0] == MISSING) == (kind == "Water")).all()
    np.testing.assert_allclose(steps[1, kind != "Water"] / 1e4, wet[kind != "Water"], atol=5.1e-5)
    np.testing.assert_allclose(steps[3, kind != "Water"] / 1e4, dry[kind != "Water"], atol=5.1e-5)


def test_real_samples_give_an_index() -> None:
    data = samples()
    kind = data.pop("class")
    table = xr.Dataset({k: (("y", "x"), v.reshape(10, 12)) for k, v in data.items()})
    one = rsei_map.Year("samples", table, OLI)
    model = rsei_map.fit([one])
    assert model.water == 37 and model.pixels == 83 and model.share > 0.8
    index = rsei_map.apply(model, one).to_numpy().ravel()
    assert np.median(index[kind == "Vegetation"]) > 0.75 > 0.3 > np.median(index[kind == "Urban"])
    assert np.isnan(index[kind == "Water"]).all()


def test_surface_temperature() -> None:
    method = load_method("rsei")
    # A black body seen without atmosphere keeps its temperature; Planck's law gives its radiance.
    wavelength, kelvin = 10.9e-6, 300.0
    c1, c2 = 1.191042972e-16, 1.438776877e-2  # W m2 sr-1, m K
    radiance = c1 / wavelength**5 / (np.exp(c2 / (wavelength * kelvin)) - 1) * 1e-6
    k1, k2 = c1 / wavelength**5 * 1e-6, c2 / wavelength
    seen = inputs.brightness_temperature(np.array([radiance]), k1, k2)
    assert seen[0] == pytest.approx(kelvin, abs=1e-9)
    assert inputs.land_surface_temperature(seen, 1.0, "tirs", method)[0] == pytest.approx(kelvin)
    cooler = inputs.land_surface_temperature(seen, np.array([0.95]), "tirs", method)[0]
    assert 303 < cooler < 304  # a grey body is warmer than it looks
    with pytest.raises(InputError, match="273.15"):
        inputs.land_surface_temperature(np.array([27.0]), 0.97, "tirs", method)


# ------------------------------------------------------------------ the whole


def scaled(one: rsei_map.Year, model: rsei_map.RseiModel) -> np.ndarray:
    """The four inputs of a year scaled by hand, (n, 4), valid pixels only."""
    d = {k: v.to_numpy().astype(float).ravel() for k, v in one.data.items()}
    ndvi = (d["nir"] - d["red"]) / (d["nir"] + d["red"])
    wet = sum(d[b] * c for b, c in zip(OLI.bands, OLI.coefficients, strict=True))
    dry = inputs.ndbsi(*(d[b] for b in inputs.BANDS))
    stack = np.stack([ndvi, wet, d["lst"], dry])
    stack[:, inputs.mndwi(d["green"], d["swir1"]) > 0] = np.nan
    stack = stack[:, ~np.isnan(stack).any(axis=0)]
    low, high = np.array(model.limits).T
    return np.clip((stack.T - low) / (high - low), 0, 1)


def test_one_year_against_sklearn() -> None:
    decomposition = pytest.importorskip("sklearn.decomposition")
    one = year()
    model = rsei_map.fit([one])
    x = scaled(one, model)
    peer = decomposition.PCA(4).fit(x)
    first = peer.components_[0] * np.sign(peer.components_[0][0])
    np.testing.assert_allclose(model.loadings, first, atol=2e-4)
    assert model.share == pytest.approx(peer.explained_variance_ratio_[0], abs=2e-4)
    assert tuple(np.sign(model.loadings)) == (1, 1, -1, -1)
    score = x @ first
    expected = (score - score.min()) / (score.max() - score.min())
    index = rsei_map.apply(model, one).to_numpy().ravel()
    np.testing.assert_allclose(np.sort(index[~np.isnan(index)]), np.sort(expected), atol=1e-3)
    assert index[~np.isnan(index)].min() == 0 and index[~np.isnan(index)].max() == 1
    assert model.water == 5 and model.pixels == 1200 - 6


def test_percentiles_are_those_of_the_distribution() -> None:
    one = year()
    model = rsei_map.fit([one], percent=(1, 99))
    whole = rsei_map.RseiModel(
        ((0.0, 1.0),) * 4, model.loadings, 1, (0, 1), (0, 100), 1, 0, ("x",), 0.0
    )
    raw = scaled(one, whole)  # NDVI lies in 0-1 here: unscaled
    expected = np.percentile(raw[:, 0], (1, 99), method="inverted_cdf")
    np.testing.assert_allclose(model.limits[0], expected, atol=1e-4)


@settings(max_examples=8, deadline=None)
@given(st.integers(9, 30), st.integers(9, 40), st.integers(9, 30), st.booleans())
def test_any_chunking_gives_the_same(rows: int, columns: int, other: int, pooled: bool) -> None:
    plain = [year("2000"), year("2020", hot=3.0)][: 1 + pooled]
    lazy = []
    for one in plain:
        data = one.data.chunk({"y": rows, "x": columns})
        data["lst"] = one.data["lst"].chunk({"y": other})  # inputs may be chunked differently
        lazy.append(rsei_map.Year(one.name, data, OLI))
    model = rsei_map.fit(plain)
    assert rsei_map.fit(lazy) == model
    index = rsei_map.apply(model, lazy[-1])
    assert index.chunks is not None
    expected = rsei_map.apply(model, plain[-1])
    np.testing.assert_array_equal(index.compute(), expected)
    zones = xr.DataArray(np.arange(1200).reshape(30, 40) // 400, dims=("y", "x"))
    assert rsei_zones.zone_means(index, zones.chunk({"x": 7})) == rsei_zones.zone_means(
        expected, zones
    )
    np.testing.assert_array_equal(rsei_zones.classes(index).compute(), rsei_zones.classes(expected))


def test_pooling_keeps_a_change_that_single_years_hide() -> None:
    cool, hot = year("2001"), rsei_map.Year("2001h", scene(2001, hot=6.0), OLI)
    alone = [float(rsei_map.apply(rsei_map.fit([y]), y).mean()) for y in (cool, hot)]
    assert alone[0] == pytest.approx(alone[1], abs=1e-3)  # min-max of each year hides the heat
    model = rsei_map.fit([cool, hot])
    pooled = [float(rsei_map.apply(model, y).mean()) for y in (cool, hot)]
    assert pooled[1] < pooled[0] - 0.03
    # A model that was fitted once serves a later year unchanged.
    again = rsei_map.RseiModel.from_json(model.to_json())
    assert again == model
    np.testing.assert_array_equal(rsei_map.apply(again, hot), rsei_map.apply(model, hot))
    assert rsei_map.apply(model, hot).attrs["rsei_model"] == model.to_json()


def test_wrong_signs_are_refused() -> None:
    data = scene(7)
    data["lst"] = 600 - data["lst"]  # hot where it is green: no gradient of ecology
    with pytest.raises(InputError, match="not valid here"):
        rsei_map.fit([rsei_map.Year("7", data, OLI)])


def test_zone_means_and_classes_by_hand() -> None:
    values = np.array([[0.0, 0.2, 0.4, 0.6], [0.8, 1.0, np.nan, 0.1999]], np.float32)
    index = xr.DataArray(values, dims=("y", "x"))
    assert rsei_zones.classes(index).to_numpy().tolist() == [[1, 2, 3, 4], [5, 5, 255, 1]]
    zones = xr.DataArray([[1, 1, 1, 1], [2, 2, 2, 0]], dims=("y", "x"))
    one, two = rsei_zones.zone_means(index, zones)
    assert (one.zone, one.valid, one.missing) == (1, 4, 0)
    assert one.mean == pytest.approx(0.3) and one.shares == (0.25, 0.25, 0.25, 0.25, 0.0)
    assert (two.valid, two.missing, two.mean) == (2, 1, pytest.approx(0.9))
    empty = rsei_zones.zone_means(index * np.nan, zones)
    assert [z.mean for z in empty] == [None, None] and empty[0].missing == 4


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda d: d.assign(red=d["red"] * 10_000), r"'red' holds \d+ values"),
        (lambda d: d.assign(lst=(d["lst"] - 273.15).assign_attrs(units="K")), "273.15"),
        (lambda d: d.assign(lst=d["lst"].assign_attrs(units="degC")), "degC"),
        (lambda d: d.drop_vars("swir2"), "swir2"),
        (lambda d: d * np.nan, "0 valid pixels"),
        (lambda d: d.assign(lst=d["lst"] * 0 + 300), "'lst' does not vary"),
        (lambda d: d.assign(nir=d["nir"].astype(int)), "type int"),
    ],
)
def test_bad_inputs(change: object, complaint: str) -> None:
    data = change(scene(3))  # type: ignore[operator]
    with pytest.raises(InputError, match=complaint):
        rsei_map.fit([rsei_map.Year("3", data, OLI)])


def test_bad_arguments() -> None:
    with pytest.raises(InputError, match="no year"):
        rsei_map.fit([])
    with pytest.raises(InputError, match="percentiles"):
        rsei_map.fit([year()], percent=(99, 1))
    with pytest.raises(InputError, match="no model of RSEI"):
        rsei_map.RseiModel.from_json("{}")
    with pytest.raises(InputError, match="zones of type float"):
        rsei_zones.zone_means(xr.DataArray(np.zeros((2, 2))), xr.DataArray(np.zeros((2, 2))))


def test_sensors_may_differ_between_years() -> None:
    tm = WetnessSet("tm_sr", *_tm())
    model = rsei_map.fit([year("2020"), rsei_map.Year("1990", scene(1990), tm)])
    assert model.years == ("2020", "1990")


def _tm() -> tuple[tuple[str, ...], tuple[float, ...], str, str]:
    found = wetness_set("landsat-5", "sr")
    return found.bands, found.coefficients, found.source, found.evidence
