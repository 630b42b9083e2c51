import pytest

from eco_index import yamlio
from eco_index.catalog import load_catalog
from eco_index.config import RegionConfig, load_region
from eco_index.errors import UsageError
from eco_index.programme import load_programme

CATALOG = """\
version: 1
datasets:
  scenes:
    title: {zh: 影像, en: scenes}
    source: simulated
    licence: CC0-1.0
    access: {type: stac_folder, path: data/scenes}
    bands:
      red: {asset: [red], scale: 2.75e-05, offset: -0.2, nodata: 0}
      nir: {asset: [nir08], scale: 2.75e-05, offset: -0.2, nodata: 0}
      qa: {asset: [qa_pixel]}
    mask: {band: qa, recipe: landsat_qa_pixel}
  zones:
    title: {zh: 区县, en: counties}
    source: simulated
    licence: CC0-1.0
    access: {type: vector, path: "${ECO_TEST_DATA}/zones.gpkg"}
"""
REGION = """\
id: small
name: {zh: 小区, en: Small}
catalog: catalog.yaml
output: out
grid:
  crs: "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +ellps=GRS80 +units=m"
  resolution: 30
  bounds: [0, 0, 3000, 3000]
  tile: 64
  chunk: 32
years: {first: 2024, last: 2025}
months: {first: 4, last: 9}
season: {first: 5, last: 9}
imagery: [scenes]
layers:
  counties:
    dataset: zones
    title: {zh: 区县, en: counties}
    id: code
    name: {zh: name_zh, en: name_en}
programmes: [p]
"""
PROGRAMME = """\
id: p
name: {zh: 项目, en: Programme}
layer: counties
cadence: [yearly]
indicators: [fvc_mean]
"""


@pytest.fixture
def files(tmp_path):
    for folder in ("regions", "programmes"):
        (tmp_path / folder).mkdir()
    (tmp_path / "regions" / "catalog.yaml").write_text(CATALOG, encoding="utf-8")
    (tmp_path / "regions" / "r.yaml").write_text(REGION, encoding="utf-8")
    (tmp_path / "programmes" / "p.yaml").write_text(PROGRAMME, encoding="utf-8")
    return tmp_path


def edit(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def message(files):
    with pytest.raises(UsageError) as error:
        load_region(files / "regions" / "r.yaml")
    assert error.value.exit_code == 2
    return str(error.value)


def test_a_good_region_is_read_with_catalogue_and_programmes(files):
    region = load_region(files / "regions" / "r.yaml")
    assert region.grid.shape == (100, 100)
    assert region.output == files / "regions" / "out"
    assert region.programmes["p"].layer == "counties"
    assert region.catalog.get("scenes", "test").bands["red"].offset == -0.2


def test_an_unknown_key_is_named_with_line_and_allowed_keys(files):
    edit(files / "regions" / "r.yaml", "  tile: 64", "  tile: 64\n  tilesize: 3")
    text = message(files)
    assert "r.yaml, line 10, key 'grid.tilesize': unknown key" in text
    assert "allowed: bounds, chunk, crs, resolution, tile" in text
    assert "did you mean 'tile'?" in text


def test_an_unknown_key_inside_a_dataset_is_named(files):
    edit(files / "regions" / "catalog.yaml", "nodata: 0}\n      nir", "nodatta: 0}\n      nir")
    text = message(files)
    assert "line 9" in text and "nodatta" in text and "did you mean 'nodata'?" in text
    assert "valid_range" in text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("resolution: 30", "resolution: thirty", "valid number"),
        ("resolution: 30", "resolution: -30", "greater than 0"),
        ("chunk: 32", "chunk: 48", "must divide"),
        ("3000, 3000]", "3000, 3001]", "whole number of pixels"),
        ("{first: 5, last: 9}", "{first: 9, last: 5}", "must not come after"),
        ("{first: 5, last: 9}", "{first: 3, last: 9}", "within the composited months"),
        ("id: small\n", "", "missing"),
        ("imagery: [scenes]", "imagery: []", "at least 1"),
        ("imagery: [scenes]", "imagery: [scenes, landsat]", "no dataset 'landsat'"),
        ("dataset: zones", "dataset: zonen", "no dataset 'zonen'"),
        ("programmes: [p]", "programmes: [q]", "no programme 'q'"),
        ("tile: 64", "tile: 64\n  tile: 32", "given twice"),
        ("tile: 64", "tile: [64", "not valid YAML"),
        ("  counties:", "  districts:", "does not have"),
        ('crs: "+proj=aea', 'crs: "+proj=nonsense', "not a CRS"),
        (
            'crs: "+proj=aea +lat_1=25 +lat_2=47 +lat_0=0 +lon_0=105 +ellps=GRS80 +units=m"',
            "crs: EPSG:4326",
            "geographic",
        ),
        ("years: {first: 2024", "years: {first: 20240", "less than or equal to 2100"),
    ],
)
def test_bad_regions_get_one_clear_message(files, old, new, words):
    edit(files / "regions" / "r.yaml", old, new)
    text = message(files)
    assert words in text
    assert "r.yaml" in text


def test_a_deleted_catalogue_entry_is_named_with_who_wants_it(files):
    edit(files / "regions" / "catalog.yaml", "  scenes:\n", "  other_scenes:\n")
    text = message(files)
    assert "no dataset 'scenes'" in text and "key 'imagery'" in text and "other_scenes" in text


def test_imagery_without_mask_is_refused(files):
    edit(files / "regions" / "catalog.yaml", "    mask: {band: qa, recipe: landsat_qa_pixel}\n", "")
    assert "imagery needs 'mask'" in message(files)


def test_environment_variables_in_paths(files, monkeypatch):
    region = load_region(files / "regions" / "r.yaml")
    monkeypatch.delenv("ECO_TEST_DATA", raising=False)
    with pytest.raises(UsageError, match="ECO_TEST_DATA is not set"):
        region.catalog.path_of("zones", "test")
    monkeypatch.setenv("ECO_TEST_DATA", str(files))
    assert region.catalog.path_of("zones", "test") == files / "zones.gpkg"
    assert yamlio.expand("${ECO_NOT_SET_EVER:-here}/x", "test") == "here/x"


@pytest.mark.parametrize("content", [b"", b"- a\n- b\n", b"\xff\xfe\x00", b"\t: x"])
def test_files_that_are_not_yaml_mappings(tmp_path, content):
    (tmp_path / "x.yaml").write_bytes(content)
    with pytest.raises(UsageError, match=r"x\.yaml"):
        yamlio.load(tmp_path / "x.yaml", RegionConfig)


def test_missing_files_are_named(tmp_path):
    for reader in (load_region, load_catalog, load_programme):
        with pytest.raises(UsageError, match="nowhere"):
            reader(tmp_path / "nowhere.yaml")


def test_what_is_written_has_an_entry_too(files):
    region = load_region(files / "regions" / "r.yaml")
    with pytest.raises(UsageError, match="no dataset 'cube'"):
        _ = region.archive_path
    entry = "  cube:\n    title: {zh: 档案, en: archive}\n    source: s\n    licence: l\n"
    with (files / "regions" / "catalog.yaml").open("a", encoding="utf-8") as file:
        file.write(entry + "    access: {type: written, path: a.icechunk}\n")
    region = load_region(files / "regions" / "r.yaml")
    assert region.archive_path == files / "regions" / "out" / "a.icechunk"
