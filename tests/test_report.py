"""Reports: words, numbers, figures, and what a reader may never meet."""

import csv
import io
import json
import re
import string
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from PIL import Image
from report_fakes import COLOURS, make_summary

from eco_index.errors import EcoError, InputError, UsageError
from eco_index.report import fonts, render
from eco_index.report.findings import findings
from eco_index.report.map_input import nice_length, north_angle, read_outlines, read_raster
from eco_index.report.maps import map_figure
from eco_index.report.render import TEMPLATES, environment, visible_text
from eco_index.report.tables import groups_of, headline_tables
from eco_index.report.text import LANGUAGES, NO_VALUE, Words, load_texts
from eco_index.summary import Evidence, read_summary


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Summary path and rendered files, made once."""
    path = make_summary(tmp_path_factory.mktemp("report"))
    return path, {p.name: p for p in render(path)}


# --- words -------------------------------------------------------------------------------------


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


def test_both_languages_have_the_same_keys_and_the_same_variables():
    zh, en = load_texts("zh"), load_texts("en")
    assert set(zh) == set(en)
    for key in zh:
        assert fields(zh[key]) == fields(en[key]), key
        assert zh[key].strip(), key
        assert en[key].strip(), key


def test_every_key_that_templates_and_code_use_exists():
    sources = [*TEMPLATES.glob("*.j2"), *TEMPLATES.parent.glob("*.py")]
    sources += TEMPLATES.parent.parent.glob("release/*.py")
    used = set()
    for source in sources:
        text = source.read_text(encoding="utf-8")
        used |= set(re.findall(r"""\b(?:t|words)\(\s*["']([a-z0-9_.]+)["'](?!\s*~)""", text))
    assert len(used) > 60
    assert used - set(load_texts("zh")) == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_words_that_are_looked_up_by_value_exist(language):
    known = load_texts(language)
    for evidence in get_args(Evidence):
        assert f"evidence.{evidence}" in known
    for badge in ("simulated", "provisional", "interim", "final"):
        assert f"badge.{badge}" in known
    for notice in ("simulated", "provisional", "interim"):
        assert f"notice.{notice}" in known


def test_unknown_words_and_missing_values_are_errors():
    words = Words("zh")
    with pytest.raises(UsageError, match="no text for 'no.such'"):
        words("no.such")
    with pytest.raises(UsageError, match="it names"):
        words("finding.failed")
    with pytest.raises(UsageError, match="no report language 'fr'"):
        Words("fr")


def test_a_missing_template_variable_is_an_error():
    env = environment("zh")
    with pytest.raises(UndefinedError):
        env.from_string("{{ nothing }}").render()


# --- numbers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (None, "%", "—"),
        (float("nan"), "%", "—"),
        (45.2, "%", "45.20"),
        (0.0, "km2", "0.00"),
        (-0.001, "km2", "0.00"),
        (1234567.891, "km2", "1,234,567.89"),
        (0.4312, "1", "0.431"),
        (-1.5, "%", "−1.50"),
    ],
)
def test_numbers_are_written_alike_everywhere(value, unit, text):
    assert Words("zh").number(value, unit) == Words("en").number(value, unit) == text


def test_changes_carry_their_sign_and_percentages_differ_by_points():
    zh, en = Words("zh"), Words("en")
    assert zh.change(1.4, "%") == "+1.40个百分点"
    assert en.change(-1.4, "%") == "−1.40\u00a0pp"
    assert en.change(0.0, "km2") == "0.00\u00a0km²"
    assert zh.change(None, "%") == NO_VALUE


@given(st.floats(allow_nan=False, allow_infinity=False, width=32))
def test_coefficients_are_printed_without_loss(value):
    assert float(Words("en").plain(value).replace("−", "-")) == value


@given(st.floats(min_value=10, max_value=1e7))
def test_the_scale_bar_is_round_and_fits(width):
    length = nice_length(width)
    assert 0.05 * width < length <= width / 4
    assert f"{length:.0e}"[0] in "125"


# --- the page ----------------------------------------------------------------------------------


def test_a_report_has_a_page_in_each_language_and_a_long_table(report):
    assert sorted(report[1]) == [
        "analyses.csv", "report.en.html", "report.zh.html", "table.csv", "units.csv",
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_is_self_contained_and_says_what_it_is(report, language):
    page = report[1][f"report.{language}.html"].read_text(encoding="utf-8")
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert not re.findall(r"url\((?!data:)|@import|https?://", page)
    assert "<script" not in page.lower()
    text, words = visible_text(page), Words(language)
    for badge in ("simulated", "provisional", "final"):
        assert words(f"badge.{badge}") in text
    assert words("notice.simulated") in text
    assert "key_counties/2025/150100/fvc_mean" in text
    assert "2025-r1" in text
    assert "LC08_L2SP_127032_20250611" in text
    assert "EPSG" in text or "Albers Equal Area" in text


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_character_of_the_page_is_in_its_own_font(report, language):
    from test_fonts import cmap, decode

    page = report[1][f"report.{language}.html"].read_text(encoding="utf-8")
    uri = re.search(r"data:font/woff2;base64,[A-Za-z0-9+/=]+", page)
    assert uri is not None
    shown = set(visible_text(page)) - set("\n\t\r")
    assert shown - cmap(decode(uri[0])) == set()


def test_missing_is_never_zero(report):
    page = report[1]["report.zh.html"].read_text(encoding="utf-8")
    cell = re.search(r'<td class="[^"]*" title="key_counties/2025/150102/fvc_mean">([^<]*)', page)
    assert cell is not None
    assert cell[1] == NO_VALUE
    assert "东胜旗没有可评价的像元（没有有效观测" in visible_text(page)


def test_what_could_not_be_evaluated_is_said_so(report):
    text = visible_text(report[1]["report.en.html"].read_text(encoding="utf-8"))
    assert "could not be evaluated for Dongsheng Banner" in text
    assert "not evaluated (missing: COD load, nh3n_t)" in text
    assert "100.00 (before limit 131.70)" in text


def test_choices_where_a_standard_is_ambiguous_are_said_in_the_language_of_the_page(report):
    wanted = {
        "zh": ("水资源量修正：按来源", "降水量单位：毫米（默认）"),
        "en": ("correction of water resources: as in the source", "millimetres (default)"),
    }
    for language, lines in wanted.items():
        page = report[1][f"report.{language}.html"].read_text(encoding="utf-8")
        assert all(line in visible_text(page) for line in lines)
    assert "as in the source" not in report[1]["report.zh.html"].read_text(encoding="utf-8")


def test_open_numbers_are_listed_with_their_evidence(report):
    text = visible_text(report[1]["report.zh.html"].read_text(encoding="utf-8"))
    assert "ndvi_soil = 0.05" in text
    assert "占位值" in text


def test_the_same_summary_gives_the_same_bytes(report):
    path, files = report
    before = {name: p.read_bytes() for name, p in files.items()}
    render(path)
    assert {name: p.read_bytes() for name, p in files.items()} == before


def test_hostile_names_stay_text(tmp_path):
    hostile = '<script>alert("x")</script>'
    path = make_summary(tmp_path, [(hostile, hostile), ('"><img src=x>', "'; DROP {{ 7*7 }}")])
    for page in render(path)[:2]:
        text = page.read_text(encoding="utf-8")
        assert "<script" not in text
        assert "<img src=x" not in text
        assert "&lt;script&gt;" in text
    assert "{{ 7*7 }}" in visible_text((tmp_path / "report.en.html").read_text(encoding="utf-8"))


def test_a_name_without_glyphs_stops_the_report_and_keeps_the_old_one(tmp_path):
    path = make_summary(tmp_path)
    (tmp_path / "report.zh.html").write_text("old", encoding="utf-8")
    document = json.loads(path.read_text(encoding="utf-8"))
    document["zones"][0]["name"]["zh"] = "ᠮᠣᠩᠭᠣᠯ"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match="no glyph"):
        render(path)
    assert (tmp_path / "report.zh.html").read_text(encoding="utf-8") == "old"


def test_a_missing_map_is_one_clear_error(tmp_path):
    path = make_summary(tmp_path)
    (tmp_path / "maps/fvc.tif").unlink()
    with pytest.raises(EcoError, match=r"a map of the summary cannot be read"):
        render(path)


def test_a_summary_without_maps_indices_or_failures_is_a_report_too(tmp_path):
    path = make_summary(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    document |= {"maps": [], "indices": [], "failures": [], "quality": [], "rows": []}
    document |= {"methods": [], "notes": [], "analyses": [], "status": "interim"}
    path.write_text(json.dumps(document), encoding="utf-8")
    render(path, ["en"])
    text = visible_text((tmp_path / "report.en.html").read_text(encoding="utf-8"))
    assert "no valid number from which a finding could be drawn" in text
    assert "No image file failed" in text
    assert "Interim" in text


def test_many_zones_become_rows(tmp_path):
    path = make_summary(tmp_path, [(f"第{i}旗", f"Banner {i}") for i in range(9)])
    summary = read_summary(path)
    (table,) = headline_tables(groups_of(summary), summary, Words("en"))
    assert [line.head for line in table.lines] == [z.name.en for z in summary.zones]


def test_findings_state_only_values_of_the_summary(report):
    summary = read_summary(report[0])
    text = "".join(findings(summary, groups_of(summary), Words("en")))
    values = [r.value for r in summary.rows] + [r.change for r in summary.rows]
    values += [v for i in summary.indices for v in (i.value, i.change)]
    values += [None if m.observed_share is None else 100 * m.observed_share
               for m in summary.quality]  # fmt: skip
    known = {f"{abs(v):.{d}f}" for v in values if v is not None for d in (2, 3)}
    found = re.findall(r"\d+\.\d+", text)
    assert found
    assert set(found) <= known


# --- the long table ----------------------------------------------------------------------------


def test_the_long_table_opens_in_a_spreadsheet_and_loses_nothing(report):
    data = report[1]["table.csv"].read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    rows = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"))))
    summary = read_summary(report[0])
    by_trace = {r["trace"]: r for r in rows if r["kind"] == "indicator"}
    assert set(by_trace) == {r.trace for r in summary.rows}
    for row in summary.rows:
        written = by_trace[row.trace]["value"]
        assert written == ("" if row.value is None else str(row.value))
        assert float(by_trace[row.trace]["denominator_km2"]) == row.denominator_km2
    assert len([r for r in rows if r["kind"] == "index"]) == len(summary.indices)


def test_formulas_in_names_do_not_run_in_a_spreadsheet(tmp_path):
    path = make_summary(tmp_path, [("=1+1", "=cmd|'/C calc'!A0"), ("乙", "B")])
    render(path, ["en"])
    text = (tmp_path / "table.csv").read_text(encoding="utf-8-sig")
    assert ",=" not in text
    assert "'=1+1" in text


# --- maps --------------------------------------------------------------------------------------


def test_class_colours_of_a_map_are_exact(tmp_path):
    path = make_summary(tmp_path)
    summary, words = read_summary(path), Words("zh")
    layer = summary.maps[1]
    raster = read_raster(tmp_path / layer.path)
    outlines = read_outlines(tmp_path / summary.zones_file, summary, words)
    otf = fonts.subset_otf(
        fonts.charset([*load_texts("zh").values(), path.read_text(encoding="utf-8")])
    )
    with fonts.figure_font(otf) as font:
        data = map_figure(layer, raster, outlines, words, font)
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).reshape(-1, 3)
    found = {"#" + "".join(f"{v:02x}" for v in p) for p in np.unique(pixels, axis=0).tolist()}
    assert set(COLOURS.values()) <= found


def test_a_class_without_legend_is_an_error(tmp_path):
    path = make_summary(tmp_path)
    document = json.loads(path.read_text(encoding="utf-8"))
    document["maps"][1]["classes"].pop()
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(InputError, match="legend does not explain"):
        render(path)


def test_true_north_leans_away_from_the_central_meridian(tmp_path):
    raster = read_raster(make_summary(tmp_path).parent / "maps/fvc.tif")
    assert abs(north_angle(raster.crs, 0.0, 4.7e6)) < 0.01
    assert north_angle(raster.crs, 1.0e6, 4.7e6) < -1  # east of it, north lies to the left
    assert north_angle(raster.crs, -1.0e6, 4.7e6) > 1
