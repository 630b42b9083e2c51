"""Records of sensors, dialects of archives, harmonisation: data that everything reads by."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_region
from hypothesis import given
from hypothesis import strategies as st
from imagery_fakes import catalog_of

from eco_index import sensors
from eco_index.catalog import Dataset, completed, harmonised, load_catalog
from eco_index.composite import parameters
from eco_index.config import configs_folder
from eco_index.errors import InputError, UsageError
from eco_index.records import known_records, load_dialect, load_harmonisation, load_record
from eco_index.records.dialect import known_dialects
from eco_index.records.harmonisation import known_harmonisations
from eco_index.records.page import sensors_page
from eco_index.records.sensor import platform_id

BASE = {"title": {"zh": "测", "en": "test"}, "source": "made here", "licence": "CC0-1.0"}


def dataset_of(record: str, access: dict[str, Any], **more: Any) -> Dataset:
    data = BASE | {"access": access, "record": record} | more
    return completed(Dataset.model_validate(data), "here")


def api(dialect: str, collection: str) -> dict[str, Any]:
    return {"type": "stac_api", "dialect": dialect, "collection": collection}


@pytest.mark.parametrize("record_id", known_records())
def test_records_are_whole(record_id: str) -> None:
    record = load_record(record_id)
    assert record.title.zh and record.title.en and record.references
    # Its recipes exist, in the version it names, and can tell clear from not.
    lut = sensors.mask_lut(record.mask.recipe, record.mask.version)
    assert (lut == sensors.CLEAR).any() and (lut != sensors.CLEAR).any()
    for guard in record.mask.also:
        assert sensors.guard_lut(guard.recipe, guard.version, (3,)).any()
    assert {"red", "nir"} <= set(record.bands) or "ndvi" in record.bands
    for band in record.bands.values():
        if band.wavelength_nm is not None:
            assert band.wavelength_nm[0] < band.wavelength_nm[1]
    for value in record.platforms:
        assert platform_id(value) == value


def test_shipped_catalogues_agree_with_the_records() -> None:
    """The numbers that catalogues wrote before there were records are those of the records."""
    pairs = {
        "amazon_l8_2020": ("amazon_landsat8_c2l2", "landsat_oli_c2l2"),
        "yakutia_2010": ("yakutia_mod13q1", "mod13q1"),
        "sahara_s2_2020": ("sahara_sentinel2_l2a", "sentinel2_l2a"),
    }
    for name, (dataset_id, record_id) in pairs.items():
        catalog = load_catalog(configs_folder() / "catalogs" / f"{name}.yaml")
        dataset, record = catalog.datasets[dataset_id], load_record(record_id)
        for band, entry in dataset.bands.items():
            ours = record.bands[band]
            assert (entry.scale, entry.offset) == (ours.scale, ours.offset), band
            assert (entry.nodata, entry.valid_range) == (ours.nodata, ours.valid_range), band
        assert dataset.mask is not None and dataset.mask.recipe == record.mask.recipe
        assert dataset.offset_rule == record.offset_rule


def test_new_fields_leave_the_digests_of_old_entries_alone() -> None:
    catalog = load_catalog(configs_folder() / "catalogs" / "amazon_l8_2020.yaml")
    dataset = catalog.datasets["amazon_landsat8_c2l2"]
    assert dataset.mask is not None
    assert set(dataset.mask.model_dump(mode="json")) == {"band", "recipe", "version"}
    keys = {"asset", "scale", "offset", "nodata", "valid_range", "units"}
    assert set(dataset.bands["red"].model_dump(mode="json")) == keys
    assert sensors.extra_parameters(dataset) == {}


@pytest.mark.parametrize("name", known_dialects())
def test_dialects_name_bands_that_their_records_have(name: str) -> None:
    dialect = load_dialect(name)
    for collection_id, collection in dialect.collections.items():
        for record_id in collection.records:
            record = load_record(record_id)
            assert set(collection.assets) <= set(record.bands), (collection_id, record_id)
            dataset = dataset_of(record_id, api(name, collection_id))
            for band in sensors.needed_bands(dataset):
                assert dataset.bands[band].asset == collection.assets[band]
            assert dataset.access.type == "stac_api" and dataset.access.url == dialect.url


def test_dialect_gives_address_and_signing_and_the_catalogue_comes_first() -> None:
    access = api("planetary_computer", "sentinel-2-l2a")
    nir = {"asset": ["B8A"], "scale": 1e-4, "offset": -0.1, "nodata": 0}
    dataset = dataset_of("sentinel2_l2a", access, bands={"nir": nir}, resolution_m=20)
    assert dataset.access.type == "stac_api" and dataset.access.sign == "planetary_computer"
    assert dataset.bands["nir"].asset == ("B8A",) and dataset.bands["red"].asset == ("B04",)
    assert dataset.resolution_m == 20 and dataset.offset_rule == "sentinel2_baseline_0400"


def test_names_that_do_not_exist() -> None:
    with pytest.raises(UsageError, match="(?s)no sensor record 'modis'.*mod13q1"):
        dataset_of("modis", {"type": "stac_folder", "path": "x"})
    with pytest.raises(UsageError, match="(?s)no archive dialect 'nasa'.*earth_search"):
        dataset_of("mod13q1", api("nasa", "x"))
    with pytest.raises(UsageError, match="(?s)no known collection 'x'.*landsat-c2l2-sr"):
        dataset_of("landsat_oli_c2l2", api("usgs", "x"))
    with pytest.raises(UsageError, match="(?s)does not hold 'mod13q1'.*landsat_tm"):
        dataset_of("mod13q1", api("usgs", "landsat-c2l2-sr"))
    with pytest.raises(UsageError, match="no address"):
        dataset_of("mod13q1", {"type": "stac_api", "collection": "x"})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("LANDSAT_8", "landsat-8"),
        ("LC09", "landsat-9"),
        ("LT05", "landsat-5"),
        ("Sentinel-2A", "sentinel-2a"),
        ("S2C", "sentinel-2c"),
        ("GF1", "gf1"),
        ("HJ2B", "hj2b"),
        ("Terra", "terra"),
    ],
)
def test_platforms_are_written_one_way(text: str, name: str) -> None:
    assert platform_id(text) == name


# ------------------------------------------------------------------ recipes added with the records


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (0b0000_0000_0000_1000, sensors.CLEAR),  # land
        (0b0000_0000_0000_1011, sensors.CLEAR),  # not set, assumed clear
        (0b0000_0000_0000_1001, sensors.CLOUD),
        (0b0000_0000_0000_1010, sensors.CLOUD),  # mixed
        (0b0000_0000_0000_1100, sensors.SHADOW),
        (0b0000_0011_0000_1000, sensors.CLOUD),  # high cirrus
        (0b0000_0010_0000_1000, sensors.CLEAR),  # average cirrus
        (0b0000_0100_0000_1000, sensors.CLOUD),  # internal algorithm
        (0b0001_0000_0000_1000, sensors.SNOW),
        (0b1000_0000_0000_1000, sensors.SNOW),
        (0b0010_0000_0000_1000, sensors.CLEAR),  # beside a cloud
        (65535, sensors.FILL),
    ],
)
def test_modis_state(value: int, code: int) -> None:
    assert sensors.mask_lut("modis_state")[value] == code


def test_mandatory_quality_of_mcd43_and_codes() -> None:
    lut = sensors.mask_lut("mcd43_mandatory")
    assert (lut[0], lut[1], lut[255]) == (sensors.CLEAR, sensors.BAD, sensors.FILL)
    assert sensors.mask_lut("codes")[:7].tolist() == [0, 1, 2, 3, 4, 5, 5]


@pytest.mark.parametrize(
    ("record_id", "red", "nir"), [("landsat_tm_c2l2", 2, 3), ("landsat_oli_c2l2", 3, 4)]
)
def test_saturation_counts_only_in_bands_that_are_read(record_id: str, red: int, nir: int) -> None:
    """Band 3 is red on TM, green on OLI: bit 2 spoils NDVI there and not here."""
    record = load_record(record_id)
    assert (record.bands["red"].saturation_bit, record.bands["nir"].saturation_bit) == (red, nir)
    lut = sensors.guard_lut(record.mask.also[0].recipe, 1, (red, nir))
    for bit in range(7):
        assert lut[1 << bit] == (sensors.BAD if bit in (red, nir) else sensors.CLEAR)
    assert lut[0] == sensors.CLEAR
    dropped, hidden = (sensors.BAD, sensors.CLEAR), (sensors.CLEAR, sensors.SHADOW)
    assert (lut[1 << 9], lut[1 << 11]) == (dropped if "tm" in record_id else hidden)


# ------------------------------------------------------------------ harmonisation


def of(platform: str, record: str, name: str | None, **more: Any) -> sensors.Decode:
    access = {"type": "stac_folder", "path": "x"}
    dataset = dataset_of(record, access, **more).model_copy(update={"harmonisation": name})
    return sensors.decode_of(
        dataset, "red", {"platform": platform, "s2:processing_baseline": "5.0"}
    )


@given(dn=st.integers(7273, 43636))
def test_harmonised_reflectance_is_the_published_line(dn: int) -> None:
    """Roy et al. 2016, table 2 (OLS, surface reflectance): red_OLI = 0.0061 + 0.9047 red_ETM+."""
    made = of("landsat-7", "landsat_etm_c2l2", "roy_2016_ols")
    plain = dn * 2.75e-5 - 0.2
    assert dn * made.scale + made.offset == pytest.approx(0.0061 + 0.9047 * plain, abs=1e-12)


def test_target_and_off_change_no_bit() -> None:
    off = of("LANDSAT_8", "landsat_oli_c2l2", None)
    assert of("LANDSAT_8", "landsat_oli_c2l2", "roy_2016_ols") == off
    assert (off.scale, off.offset) == (2.75e-5, -0.2)


def test_sentinel2_lines_and_what_they_do_not_hold_for() -> None:
    nir = {"asset": ["nir08"], "scale": 1e-4, "nodata": 0}
    made = of("Sentinel-2B", "sentinel2_l2a", "hls_2018", bands={"nir": nir})
    assert 3000 * made.scale + made.offset == pytest.approx(0.9761 * 0.2 + 0.0010, abs=1e-12)
    with pytest.raises(InputError, match="no coefficients for sentinel-2c"):
        of("sentinel-2c", "sentinel2_l2a", "hls_2018")
    dataset = dataset_of("sentinel2_l2a", {"type": "stac_folder", "path": "x"})
    dataset = dataset.model_copy(update={"harmonisation": "hls_2018"})
    stated = {"platform": "sentinel-2a", "s2:processing_baseline": "05.09"}
    with pytest.raises(InputError, match="narrow near infrared"):
        sensors.decode_of(dataset, "nir", stated)
    with pytest.raises(InputError, match="states no platform"):
        sensors.decode_of(dataset, "red", {"s2:processing_baseline": "05.09"})


def test_ordinary_and_reduced_axis_differ_as_published() -> None:
    """OLS of NDVI shrinks towards the mean, RMA does not: at high NDVI they part."""
    red, nir = np.array([0.04]), np.array([0.45])
    ndvi = {}
    for name in ("roy_2016_ols", "roy_2016_rma"):
        lines = load_harmonisation(name).of("landsat-7")
        assert lines is not None
        r = red * lines.lines["red"].slope + lines.lines["red"].intercept
        n = nir * lines.lines["nir"].slope + lines.lines["nir"].intercept
        ndvi[name] = float(((n - r) / (n + r))[0])
    assert ndvi["roy_2016_ols"] < 0.84 < ndvi["roy_2016_rma"]


def test_harmonisation_is_in_digests_and_checked(tmp_path: Path) -> None:
    access = {"type": "stac_folder", "path": "x"}
    catalog = catalog_of(tmp_path, l=BASE | {"access": access, "record": "landsat_tm_c2l2"})
    catalog.datasets["l"] = completed(catalog.datasets["l"], "here")
    changed = harmonised(catalog, ("l",), "roy_2016_ols")
    extra = sensors.extra_parameters(changed.datasets["l"])
    assert extra["harmonisation"]["id"] == "roy_2016_ols" and extra["harmonisation"]["version"] == 1
    assert sensors.extra_parameters(catalog.datasets["l"]) == {}
    with pytest.raises(UsageError, match="(?s)no harmonisation 'roy'.*roy_2016_ols"):
        harmonised(catalog, ("l",), "roy")
    catalog = catalog_of(tmp_path, m=BASE | {"access": access, "record": "mod13q1"})
    catalog.datasets["m"] = completed(catalog.datasets["m"], "here")
    with pytest.raises(UsageError, match="read as NDVI"):
        harmonised(catalog, ("m",), "roy_2016_ols")


def test_the_region_file_switches_it(tmp_path: Path) -> None:
    off = tiny_region.region(tmp_path / "off")
    on = tiny_region.region(tmp_path / "on", harmonisation="roy_2016_ols")
    before, after = (dict(parameters(r.catalog.datasets["img"])) for r in (off, on))
    changed = after.pop("harmonisation")
    assert before == after and changed["coefficients"][1]["lines"]["red"]["slope"] == 0.9047
    with pytest.raises(UsageError, match="no harmonisation 'mine'"):
        tiny_region.region(tmp_path / "no", harmonisation="mine")


@pytest.mark.parametrize("name", known_harmonisations())
def test_coefficients_have_sources_and_no_platform_twice(name: str) -> None:
    record = load_harmonisation(name)
    platforms = [p for c in record.coefficients for p in c.platforms]
    assert len(platforms) == len(set(platforms))
    for entry in record.coefficients:
        assert entry.source == "target" or re.search(r"doi:10\.\d+", entry.source)


def test_the_page_is_what_the_records_say() -> None:
    page = Path(__file__).parents[1] / "docs" / "reference" / "sensors.md"
    made = sensors_page(sensors.MASK_RECIPES)
    assert page.read_text(encoding="utf-8") == made, (
        "records have changed: python -m eco_index.records.page > docs/reference/sensors.md"
    )
