"""HJ 1172-2021 ecosystem quality: by hand, by pandas, any chunking, bad input, eco index."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_inputs import overlay_text

from eco_index.errors import InputError
from eco_index.indicators import evaluate, grade, index_command_data, index_text
from eco_index.indices import quality
from eco_index.methods import load_method

METHOD = load_method("hj1172_2021")
NAN = math.nan


def scene(seed: int, shape=(23, 31), zones: int = 3) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    gone = rng.random(shape) < 0.1
    out = {
        "lai": rng.uniform(0, 8, shape), "fvc": rng.uniform(0, 1, shape),
        "gpp": rng.uniform(0, 2000, shape),
    }  # fmt: skip
    out["fvc"][gone] = NAN
    return out | {
        "zones": rng.integers(0, zones + 1, shape).astype(np.int32),
        "types": rng.integers(0, 5, shape).astype(np.uint8),
    }


def maps(data: dict[str, np.ndarray], chunks=None) -> dict[str, xr.DataArray]:
    arrays = {k: xr.DataArray(v, dims=("y", "x")) for k, v in data.items()}
    return {k: a.chunk(chunks) for k, a in arrays.items()} if chunks else arrays


def run(data, chunks=None, **options) -> xr.DataArray:
    arrays = maps(data, chunks)
    values = {k: arrays[k] for k in ("lai", "fvc", "gpp")}
    return quality.ecosystem_quality(values, arrays["zones"], arrays["types"], 3, METHOD, **options)


def test_relative_density_by_hand() -> None:
    values = np.array([[2.0, 4.0, 3.0], [6.0, NAN, 5.0]])
    zones = np.array([[1, 1, 2], [1, 1, 0]])
    types = np.array([[1, 1, 1], [3, 1, 1]])
    found = quality.extremes(values, zones, types, 2)
    assert found.high[1, 1] == 4
    assert found.low[1, 1] == 2
    assert found.high[2, 1] == 3
    assert np.isnan(found.high[0]).all()
    density = quality.relative_density(values, zones, types, found)
    np.testing.assert_array_equal(density, [[0.5, 1, 1], [1, NAN, NAN]])
    limits = quality.extremes(density, zones, types, 2)
    np.testing.assert_array_equal(
        quality.scaled(density, zones, types, limits.everywhere()), [[0, 1, 1], [1, NAN, NAN]]
    )
    # Alone in its zone and type: neither least nor greatest.
    np.testing.assert_array_equal(
        quality.scaled(density, zones, types, limits), [[0, 1, NAN], [NAN, NAN, NAN]]
    )


def test_index_and_grades_by_hand() -> None:
    assert quality.quality_index(0.9, 0.6, 0.3, METHOD) == pytest.approx(60)
    assert np.isnan(quality.quality_index(0.9, NAN, 0.3, METHOD))
    values = [100, 75, 74.999, 55, 54.9, 35, 34.9, 20, 19.9, 0, NAN]
    assert quality.quality_grade(values, METHOD).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 255]


@pytest.mark.parametrize(("value", "title"), [(75, "优"), (74.9, "良"), (55, "良"), (35, "中"),
                                              (20, "低"), (19.9, "差")])  # fmt: skip
def test_grades_of_a_table_are_the_same(value: float, title: str) -> None:
    assert grade(METHOD, value).title.zh == title
    name = quality.GRADES[int(quality.quality_grade(value, METHOD))]
    assert grade(METHOD, value).id == name


@pytest.mark.parametrize("how", ["region", "zone_type", "none"])
def test_the_same_as_pandas(how: str) -> None:
    data = scene(1)
    frame = pd.DataFrame({k: v.ravel() for k, v in data.items()})
    frame = frame[(frame.zones > 0) & (frame.types > 0)]
    by = [frame.zones, frame.types]
    total = 0.0
    for name in ("lai", "fvc", "gpp"):
        part = frame[name] / frame[name].groupby(by).transform("max")
        if how == "region":
            part = (part - part.min()) / (part.max() - part.min())
        elif how == "zone_type":
            group = part.groupby(by)
            part = (part - group.transform("min")) / (
                group.transform("max") - group.transform("min")
            )
        total = total + part
    expected = np.full(data["lai"].size, NAN)
    expected[frame.index] = 100 * total / 3
    found = run(data, normalisation=how).to_numpy().ravel()
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("how", ["region", "zone_type", "none"])
@pytest.mark.parametrize("chunks", [{"y": 7, "x": 31}, {"y": 5, "x": 4}])
def test_any_chunking_gives_the_same_bits(how: str, chunks: dict) -> None:
    data = scene(2)
    whole = run(data, normalisation=how)
    lazy = run(data, chunks, normalisation=how)
    assert lazy.chunks is not None
    np.testing.assert_array_equal(lazy.to_numpy(), whole.to_numpy())
    assert lazy.attrs == whole.attrs
    assert whole.attrs["long_name_zh"].startswith("生态系统质量")
    assert whole.attrs["provisional"] == 1  # what is scaled over what is not in the text


def test_a_reference_of_many_years_makes_years_comparable() -> None:
    one, two = scene(3), scene(3)
    for name in ("lai", "gpp", "fvc"):
        two[name] = two[name] * 0.5
    alone = [run(d, normalisation="none") for d in (one, two)]
    np.testing.assert_allclose(alone[0], alone[1])  # each year against itself: no change is seen
    tables = {
        n: quality.extremes(one[n], one["zones"], one["types"], 3).merge(
            quality.extremes(two[n], two["zones"], two["types"], 3)
        )
        for n in ("lai", "fvc", "gpp")
    }
    both = [run(d, normalisation="none", reference=tables) for d in (one, two)]
    np.testing.assert_allclose(both[1], both[0] / 2)
    assert both[0].attrs["reference"] == "years"
    # A reference that does not hold the year is refused, not clipped.
    less = {n: quality.extremes(two[n], two["zones"], two["types"], 3) for n in tables}
    with pytest.raises(InputError, match="exceed the greatest"):
        run(one, reference=less)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.sampled_from(["region", "zone_type", "none"]))
def test_quality_stays_in_range_and_names_of_zones_do_not_matter(seed: int, how: str) -> None:
    data = scene(seed, (6, 7))
    found = run(data, normalisation=how).to_numpy()
    assert np.nanmin(found, initial=0) >= 0
    assert np.nanmax(found, initial=0) <= 100
    # Missing in, missing out; outside zones and types nothing.
    assert np.isnan(
        found[np.isnan(data["fvc"]) | (data["zones"] == 0) | (data["types"] == 0)]
    ).all()
    swapped = data | {"zones": np.array([0, 3, 1, 2], np.int32)[data["zones"]]}
    np.testing.assert_array_equal(run(swapped, normalisation=how).to_numpy(), found)


def test_all_missing_stays_missing() -> None:
    data = scene(4, (4, 4))
    data["gpp"][:] = NAN
    assert np.isnan(run(data)).all()


@pytest.mark.parametrize(
    ("form", "coefficients", "x", "expected"),
    [
        ("cubic", (1.0, 2.0, 3.0, 4.0), 0.5, 0.125 + 0.5 + 1.5 + 4),
        ("power", (0.5, 4.0, 2.0), 0.5, 1.5),
        ("exponential", (0.25,), 0.5, 2 * math.log(2)),
        ("cubic", (0.0, 0.0, 1.0, -1.0), 0.2, 0.0),
    ],
)
def test_leaf_area_forms_by_hand(form, coefficients, x, expected) -> None:
    assert quality.leaf_area(x, form, coefficients) == pytest.approx(expected)


def test_leaf_area_without_a_value() -> None:
    assert np.isnan(quality.leaf_area([1.0], "exponential", (0.5,))).all()
    assert np.isnan(quality.leaf_area([-0.5], "power", (0.0, 1.0, 0.5))).all()
    with pytest.raises(InputError, match="coefficients"):
        quality.leaf_area(0.5, "cubic", (1.0,))
    with pytest.raises(InputError, match="scaled integers"):
        quality.leaf_area(5000, "power", (0.0, 1.0, 0.5))
    with pytest.raises(InputError, match="above 0"):
        quality.leaf_area(0.5, "exponential", (-1.0,))


def test_bad_input_gets_one_clear_message() -> None:
    data = scene(5)
    with pytest.raises(InputError, match="per cent"):
        run(data | {"fvc": data["fvc"] * 100})
    with pytest.raises(InputError, match=r"7 \(3 pixels\)"):
        odd = data["types"].copy()
        odd[0, :3] = 7
        run(data | {"types": odd})
    with pytest.raises(InputError, match="0 .outside. to 3"):
        run(data | {"zones": data["zones"] + 1})
    with pytest.raises(InputError, match="normalisation 'year'"):
        run(data, normalisation="year")
    arrays = maps(data)
    with pytest.raises(InputError, match="'gpp' is missing"):
        quality.ecosystem_quality({k: arrays[k] for k in ("lai", "fvc")}, arrays["zones"],
                                  arrays["types"], 3, METHOD)  # fmt: skip
    arrays["gpp"].attrs["units"] = "kgC/(m2 a)"
    with pytest.raises(InputError, match="kgC"):
        quality.ecosystem_quality({k: arrays[k] for k in ("lai", "fvc", "gpp")}, arrays["zones"],
                                  arrays["types"], 3, METHOD)  # fmt: skip


def test_eco_index_from_a_table(tmp_path: Path) -> None:
    path = tmp_path / "zones.csv"
    rows = [{"unit_id": "I-01-02", "area_km2": 5000, "lai_density": 0.7, "fvc_density": 0.8,
             "gpp_density": 0.6}]  # fmt: skip
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    data = index_command_data("hj1172_2021", path)
    unit = data["units"][0]
    assert unit["value"] == pytest.approx(70)
    assert unit["grade_title"]["zh"] == "良"
    assert unit["provisional"]
    text = index_text(data, "zh")
    assert "生态系统质量指数" in text
    assert "EQI" not in text.split("\n")[0]
    assert "生态系统质量指数" not in index_text(index_command_data("eqi_2021", path), "zh")
    with pytest.raises(InputError, match="0 to 1"):
        evaluate(METHOD, rows[0] | {"fvc_density": 80})
    assert evaluate(METHOD, rows[0] | {"fvc_density": None}).value is None
    overlay = tmp_path / "o.yaml"
    overlay.write_text(overlay_text("hj1172_2021"), encoding="utf-8")
    assert not evaluate(load_method("hj1172_2021", overlay), rows[0]).provisional
