"""Leads as a team works with them: search, states, later periods, workbook out and in."""

from __future__ import annotations

import datetime as dt
import json
import shutil

import assessment_cube
import geopandas as gpd
import numpy as np
import openpyxl
import pytest
import yaml
from lead_fakes import detected
from PIL import Image

from eco_index import cli, leads
from eco_index.config import load_region
from eco_index.errors import InputError, UsageError
from eco_index.leads.columns import COLUMNS, ENTRIES
from eco_index.ledger import chip_path
from eco_index.ledger.book import clock
from eco_index.ledger.records import Found
from eco_index.period import Period

ONE = "test-2025-0001"


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A region with a mine in 2025 and 2026, none in 2027, and one again in 2028."""
    folder = tmp_path_factory.mktemp("leads")

    def arrays(year):
        return assessment_cube.year_arrays(2024 if year in (2024, 2027) else 2025)

    region = assessment_cube.build_region(folder)
    config = yaml.safe_load(region.config.path.read_text(encoding="utf-8"))
    config["years"] = {"first": 2024, "last": 2028}
    region.config.path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    region = load_region(region.config.path)
    assessment_cube.build_cube(region, ("2024", "2025", "2026", "2027", "2028"), arrays)
    return region


def own(built, folder):
    """The region with an output folder of its own over the same cube."""
    config = yaml.safe_load(built.config.path.read_text(encoding="utf-8"))
    config["catalog"] = str(built.config.path.parent / config["catalog"])
    config["output"] = str(folder / "out")
    (folder / "out").mkdir(parents=True)
    link = folder / "out" / built.archive_path.name
    link.symlink_to(built.archive_path, target_is_directory=True)
    file = folder / "region.yaml"
    file.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    return load_region(file)


@pytest.fixture
def region(built, tmp_path):
    return own(built, tmp_path)


def view_of(region):
    from eco_index.cube import open_archive

    return open_archive(region.archive_path).view()


def find(region, period="2025", **options):
    return leads.find(region, view_of(region), Period.parse(period), **options)


def ledger_of(region):
    return leads.read_ledger(leads.ledger_path(region))


def content(region):
    return leads.ledger_path(region).read_bytes()


def step(region, state, note="理由", lead=None):
    return leads.set_state(leads.ledger_path(region), lead or name(region), state, "张三", note)


def name(region):
    return next(iter(ledger_of(region).leads))


def test_the_mine_is_entered_with_place_and_zone_and_nothing_else(region):
    report = find(region)
    assert len(report.new) == 1 and report.seen == report.missed == ()
    one = ledger_of(region).leads[report.new[0]].latest
    assert one.kind == "construction" and one.area_ha == pytest.approx(30 * 0.09)
    assert {(z.layer, z.id): z.share for z in one.zones} == {
        ("nature_reserves", "z0"): 1.0,
        ("red_line", "z0"): 1.0,
    }
    assert one.county.id == "z0" and (one.period, one.against) == ("2025", "2024")
    rows, cols = assessment_cube.MINE
    x = assessment_cube.X0 + 30 * (cols.start + cols.stop) / 2
    y = assessment_cube.Y1 - 30 * (rows.start + rows.stop) / 2
    assert (one.x, one.y) == (x, y)


def test_a_second_run_changes_no_byte(region):
    find(region)
    before, chips = content(region), sorted(leads.leads_folder(region).rglob("*.png"))
    stamps = [c.stat().st_mtime_ns for c in chips]
    report = find(region)
    assert report.written == 0 and content(region) == before
    assert [c.stat().st_mtime_ns for c in chips] == stamps and len(chips) == 1


def test_state_and_id_survive_new_searches(region):
    lead = find(region).new[0]
    step(region, "sent")
    step(region, "confirmed")
    smaller = leads.load_parameters().model_copy(update={"min_agreement": 0.6})
    for options in ({"parameters": smaller}, {"programmes": ["red_line"]}, {}):
        report = find(region, **options)
        assert report.new == () and report.seen == (lead,)
        assert ledger_of(region).leads[lead].state == "confirmed"


def test_a_programme_has_only_its_own_zones(region):
    report = find(region, programmes=["nature_reserves"])
    assert len(report.new) == 1 and report.zones == ("nature_reserves",)
    assert find(region).new == ()  # the same object, entered once
    with pytest.raises(UsageError, match="no such programme.*red_line"):
        find(region, programmes=["no such programme"])


def test_a_lead_that_is_not_detected_any_more_stays_with_a_remark(region):
    lead = find(region).new[0]
    step(region, "sent")
    blind = leads.load_parameters().model_copy(update={"min_area_ha": 50.0})
    report = find(region, parameters=blind)
    assert report.missed == (lead,) and report.new == ()
    kept = ledger_of(region).leads[lead]
    assert kept.state == "sent" and "no longer detected" in kept.missed.remark.en
    before = content(region)
    assert find(region, parameters=blind).written == 0 and content(region) == before
    assert find(region).seen == (lead,)
    assert ledger_of(region).leads[lead].missed is None
    assert [e.event for e in ledger_of(region).leads[lead].history] == [
        "found", "state", "missed", "seen",
    ]  # fmt: skip


def test_the_following_years_say_whether_the_change_is_still_there(region):
    lead = find(region).new[0]
    assert find(region, "2026").missed == (lead,)
    still = ledger_of(region).leads[lead].missed
    assert still.remaining_share == 1.0 and "100 %" in still.remark.en
    assert find(region, "2027").missed == (lead,)
    gone = ledger_of(region).leads[lead].missed
    assert gone.remaining_share == 0.0 and "no new change; 0 %" in gone.remark.en
    before = content(region)
    for period in ("2025", "2026", "2027"):
        assert find(region, period).written == 0
    assert content(region) == before
    # The picture of the newest look is there too.
    folder = leads.leads_folder(region)
    assert chip_path(folder, lead, "2027", "2026").exists()


def test_a_closed_lead_that_comes_back_is_marked(region):
    lead = find(region).new[0]
    for state in ("sent", "confirmed", "rectified", "struck_off"):
        step(region, state)
    same = find(region, "2026", against=Period(2024))  # spans the change that is known
    assert same.seen == (lead,) and same.again == ()
    report = find(region, "2028")
    assert report.seen == report.again == (lead,)
    again = ledger_of(region).leads[lead]
    assert again.state == "struck_off" and "check it" in again.latest.remarks[-1].en
    assert find(region, "2028").written == 0
    step(region, "sent")
    assert ledger_of(region).leads[lead].state == "sent"


@pytest.mark.parametrize(
    ("period", "options", "kind", "words"),
    [
        ("2025", {"against": Period(2025)}, UsageError, ("2025", "earlier year")),
        ("2025", {"against": Period(2024, 1)}, UsageError, ("2024H1", "same half")),
        ("2025H1", {}, InputError, ("2024H1", "eco run")),
        ("2024", {}, InputError, ("2023", "eco run")),
    ],
)
def test_periods_that_cannot_be_compared(region, period, options, kind, words):
    with pytest.raises(kind) as error:
        find(region, period, **options)
    for word in words:
        assert word in str(error.value)
    assert not leads.ledger_path(region).exists()


def test_a_region_without_protected_layers_is_told_so(region):
    other = leads.load_parameters().model_copy(update={"layers": ("parks",)})
    with pytest.raises(UsageError, match="protected layers"):
        find(region, parameters=other)


def test_the_ledger_of_another_region_is_refused(region):
    find(region)
    before = content(region)
    config = yaml.safe_load(region.config.path.read_text(encoding="utf-8"))
    config["id"] = "another"
    region.config.path.write_text(yaml.safe_dump(config, allow_unicode=True), encoding="utf-8")
    with pytest.raises(InputError, match="another region"):
        find(load_region(region.config.path))
    assert content(region) == before


# ---- pictures ----------------------------------------------------------------------------------


def test_a_picture_shows_before_and_after_with_the_outline(region):
    lead = find(region).new[0]
    path = chip_path(leads.leads_folder(region), lead, "2025", "2024")
    first = path.read_bytes()
    picture = np.asarray(Image.open(path).convert("RGB")).astype(int)
    outline = np.abs(picture - [214, 0, 110]).sum(axis=2) < 40
    middle = picture.shape[1] // 2
    assert outline[:, :middle].sum() > 200 and outline[:, middle:].sum() > 200
    # In the middle of the object: green before, pale after; grass before, built-up after.
    rows, cols = np.nonzero(outline[66:430, :middle])
    r, c = int(rows.mean()) + 66, int(cols.mean())
    shift = 330 + 10
    before, after = picture[r, c], picture[r, c + shift]
    assert after.sum() > before.sum() + 60
    assert np.abs(picture[r + 364, c + shift] - [0x8C, 0x3B, 0x6E]).sum() < 40
    path.unlink()
    find(region)
    assert path.read_bytes() == first


# ---- exchange ----------------------------------------------------------------------------------


def run(capsys, *arguments):
    capsys.readouterr()
    code = cli.run([str(a) for a in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


def keys():
    return [c.key for c in COLUMNS] + list(ENTRIES)


def edit(path, rows):
    """Fill cells of the first sheet: row number to {column key: value}."""
    book = openpyxl.load_workbook(path)
    sheet = book.worksheets[0]
    for row, values in rows.items():
        for key, value in values.items():
            cell = sheet.cell(row, keys().index(key) + 1)
            cell.value = value
            if isinstance(value, str):
                cell.data_type = "s"  # typed in as text
    book.save(path)


@pytest.fixture(scope="module")
def worked(built, tmp_path_factory):
    """A region whose ledger holds the mine and two more leads, and its export."""
    region = own(built, tmp_path_factory.mktemp("worked"))
    find(region)
    with leads.writing(leads.ledger_path(region)) as ledger:
        for k in (1, 2):
            box = (703920 + 900 * k, 4690000, 704010 + 900 * k, 4690090)
            one = detected(box=box, period="2025")
            ledger.add(Found, clock(), lead=ledger.next_id(region.id, 2025), detected=one)
    assert cli.run(["leads", "export", str(region.config.path)]) == 0
    return region


@pytest.fixture
def exported(worked, region):
    """A copy of it: region and folder of the export."""
    folder = leads.leads_folder(region)
    shutil.copytree(leads.leads_folder(worked), folder)
    return region, folder / "export"


def test_the_geopackage_holds_outlines_and_history(exported):
    region, folder = exported
    frame = gpd.read_file(folder / "leads.gpkg", layer="leads")
    ledger = ledger_of(region)
    assert list(frame["id"]) == list(ledger.leads) and len(frame) == 3
    assert set(frame.geom_type) == {"MultiPolygon"}
    area = frame.to_crs(region.grid.crs_wkt).area / 1e4
    assert np.allclose(area, frame["area_ha"], rtol=1e-6)
    assert list(frame["state_code"]) == ["new"] * 3 and frame["state"][0] == "新发现"
    point = gpd.points_from_xy(frame["lon"][:1], frame["lat"][:1], crs=frame.crs)
    assert frame.geometry[:1].contains(point[0]).all()
    history = gpd.read_file(folder / "leads.gpkg", layer="history")
    assert list(history["lead"]) == list(ledger.leads)
    assert (folder / frame["chip"][0]).exists()


def test_the_workbook_comes_back_with_its_entries(exported, capsys):
    region, folder = exported
    ids = list(ledger_of(region).leads)
    book = folder / "leads.xlsx"
    sheet = openpyxl.load_workbook(book).worksheets[0]
    assert [c.value for c in sheet[1]][:2] == ["线索编号", "状态"]
    day = dt.date.today() - dt.timedelta(days=3)
    edit(
        book,
        {
            2: {"new_state": "已下发", "by": "张三", "note": "函12号", "on": day},
            3: {"new_state": "rejected", "by": "李四", "note": "=1+1", "on": day.isoformat()},
            4: {"by": "李四", "note": "待核"},
        },
    )
    code, out, err = run(capsys, "leads", "import", region.config.path, book, "--json")
    assert code == 0, err
    assert json.loads(out)["moved"][0] == {"lead": ids[0], "before": "new", "after": "sent"}
    known = ledger_of(region).leads
    assert [known[i].state for i in ids] == ["sent", "rejected", "new"]
    word = known[ids[0]].last_word
    assert (word.by, word.note, word.on, word.via) == ("张三", "函12号", day, "leads.xlsx")
    assert known[ids[2]].last_word.note == "待核"
    # The same workbook again is out of date: refused, nothing changes.
    before = content(region)
    code, _, err = run(capsys, "leads", "import", region.config.path, book)
    assert code == 3 and "changed since the export" in err and content(region) == before
    run(capsys, "leads", "export", region.config.path, "--lang", "en")
    again = openpyxl.load_workbook(book)
    assert again.worksheets[0].cell(2, 2).value == "sent"
    history = [[c.value for c in row] for row in again.worksheets[1].iter_rows()]
    assert any("=1+1" in row for row in history)


WRONG = {
    "unknown id": ({2: {"id": "test-2025-0099"}}, ("row 2", "no lead of this id")),
    "no id": ({2: {"id": None, "new_state": "sent", "by": "x"}}, ("row 2", "no lead id")),
    "id twice": ({3: {"id": ONE}}, ("row 3", "row 2")),
    "step not allowed": ({2: {"new_state": "已销号", "by": "x"}}, ("row 2", "sent, rejected")),
    "no such state": ({2: {"new_state": "办结", "by": "x"}}, ("row 2", "办结", "已销号")),
    "who is missing": ({2: {"new_state": "sent"}}, ("row 2", "who")),
    "note without who": ({2: {"note": "x"}}, ("row 2", "who")),
    "no reason": ({2: {"new_state": "rejected", "by": "x"}}, ("row 2", "note")),
    "no date": ({2: {"new_state": "sent", "by": "x", "on": "soon"}}, ("row 2", "'soon'")),
    "future": ({2: {"new_state": "sent", "by": "x", "on": dt.date(2199, 1, 1)}}, ("future",)),
    "state changed by hand": (
        {2: {"state": "核实属实", "new_state": "已整改", "by": "x"}}, ("row 2", "核实属实"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", WRONG)
def test_one_wrong_row_and_nothing_is_imported(exported, capsys, kind):
    region, folder = exported
    book, before = folder / "leads.xlsx", content(region)
    rows, words = WRONG[kind]
    if kind == "unknown id":
        rows = {2: rows[2] | {"new_state": "sent", "by": "x"}}
    edit(book, {4: {"new_state": "sent", "by": "张三"}} | rows)
    code, _, err = run(capsys, "leads", "import", region.config.path, book)
    assert code == 3, err
    for word in (*words, "nothing was imported"):
        assert word in err
    assert content(region) == before and "Traceback" not in err


def test_all_wrong_rows_are_listed_together(exported, capsys):
    region, folder = exported
    edit(folder / "leads.xlsx", {k: {"new_state": "sent"} for k in (2, 3, 4)})
    _, _, err = run(capsys, "leads", "import", region.config.path, folder / "leads.xlsx")
    assert "3 row(s)" in err and all(f"row {k}" in err for k in (2, 3, 4))


def test_a_file_that_is_no_filled_in_export(exported, capsys, tmp_path):
    region, _ = exported
    wrong = tmp_path / "x.xlsx"
    for write, code, word in (
        (lambda: None, 2, "not found"),
        (lambda: wrong.write_text("id,state\n"), 3, "no XLSX"),
        (lambda: openpyxl.Workbook().save(wrong), 3, "线索编号"),
    ):
        write()
        found, _, err = run(capsys, "leads", "import", region.config.path, wrong)
        assert found == code and word in err


# ---- the command line --------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["find", "list", "show", "set", "export", "import"])
def test_help_shows_an_example(command, capsys):
    code, out, _ = run(capsys, "leads", command, "--help")
    assert code == 0 and "Example" in out


def test_a_team_works_through_the_command_line(region, capsys):
    file = region.config.path
    code, out, err = run(capsys, "leads", "find", file, "--period", "2025", "--json")
    assert code == 0, err
    (lead,) = json.loads(out)["new"]
    code, out, _ = run(capsys, "leads", "find", file, "--period", "2025")
    assert code == 0 and "0 new, 1 known detected again" in out
    code, out, _ = run(capsys, "leads", "list", file, "--state", "new", "--lang", "zh")
    assert code == 0 and lead in out and "区0" in out
    code, out, _ = run(capsys, "leads", "set", file, lead, "sent", "--by", "张三", "--note", "函")
    assert code == 0 and "new -> sent" in out
    code, out, _ = run(capsys, "leads", "list", file, "--state", "new", "--json")
    assert json.loads(out) == []
    code, out, _ = run(capsys, "leads", "show", file, lead, "--lang", "zh")
    assert code == 0 and "张三" in out and "已下发" in out
    code, out, _ = run(capsys, "leads", "show", file, lead, "--json")
    assert [e["event"] for e in json.loads(out)["history"]] == ["found", "state"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("set", "{file}", "x-1", "sent", "--by", "a"), ("no lead 'x-1'",)),
        (("set", "{file}", "x-1", "sent"), ("--by",)),
        (("list", "{file}", "--state", "done"), ("done", "struck_off")),
        (("list", "{file}", "--lang", "fr"), ("fr", "zh or en")),
        (("export", "{file}"), ("no lead to export",)),
        (("find", "{file}", "--period", "2025", "--programme", "x"), ("'x'", "red_line")),
        (("find", "{file}", "--period", "2025", "--config", "none.yaml"), ("none.yaml",)),
    ],
)
def test_wrong_use_is_one_message_and_exit_code_2(region, capsys, arguments, words):
    given = [a.replace("{file}", str(region.config.path)) for a in arguments]
    code, _, err = run(capsys, "leads", *given)
    assert code == 2, err
    for word in words:
        assert word in err
