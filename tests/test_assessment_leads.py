"""Leads in assessments: numbers, list, pictures and the copy of the ledger's lines."""

from __future__ import annotations

import base64
import json
import shutil

import pytest
from assessment_cube import MINE, build_cube, build_region
from lead_fakes import detected
from long_cube import analysis, with_analyses
from zone_fakes import RES, X0, Y1

from eco_index import leads
from eco_index.assessment import assess, assessment_digest
from eco_index.errors import InputError
from eco_index.ledger import ledger_path, read_ledger, writing
from eco_index.ledger.book import clock
from eco_index.ledger.known import known_leads
from eco_index.ledger.records import County, Found, Seen, ZonePart
from eco_index.period import Period
from eco_index.release.publishing import _copy_assessment
from eco_index.report import render
from eco_index.summary import read_summary
from eco_index.yamlio import Text

PERIOD = Period(2025)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leads")
    region = build_region(folder)
    return region, build_cube(region)


@pytest.fixture
def made(built):
    """The region and its cube, without a ledger."""
    region, view = built
    shutil.rmtree(leads.leads_folder(region), ignore_errors=True)
    return region, view


@pytest.fixture
def programme(made):
    return with_analyses(made[0], "red_line", leads=True)


def part_of(layer: str, zone: str, share: float = 1.0) -> ZonePart:
    return ZonePart(
        layer=layer, id=zone, name=Text(zh=f"区{zone}", en=f"zone {zone}"), area_ha=share,
        share=share,
    )  # fmt: skip


def enter(region, *objects) -> list[str]:
    """Put objects into the ledger as a search would."""
    with writing(ledger_path(region)) as ledger:
        ids = []
        for one in objects:
            ids.append(ledger.next_id(region.id, int(one.period[:4])))
            ledger.add(Found, clock(), lead=ids[-1], detected=one)
    return ids


def move(region, lead: str, *states: str) -> None:
    for state in states:
        leads.set_state(ledger_path(region), lead, state, "张三", "理由")


def test_from_the_search_to_the_page(made, programme, tmp_path):
    region, view = made
    report = leads.find(region, view, PERIOD)
    (lead,) = report.new
    move(region, lead, "sent")
    path = assess(region, programme, PERIOD, view, tmp_path / "a")
    summary = read_summary(path)
    found = analysis(summary, "leads")
    numbers = found.tables[0].lines[0]
    titles = [c.title.en for c in found.tables[0].columns]
    counts = dict(zip(titles, numbers.cells, strict=True))
    assert {k for k, v in counts.items() if v} == {"sent", "open area"}
    assert counts["open area"] == pytest.approx(30 * 0.09)
    line = found.tables[1].lines[0]
    kind, state, area, confidence, place, county, zones = line.cells
    one = read_ledger(ledger_path(region)).leads[lead].latest
    assert (line.head.en, state.en, county.en, zones.en) == (lead, "sent", "zone 0", "zone 0")
    assert kind.zh == "新增工业/建筑用地" and area == pytest.approx(2.7)
    assert confidence.en == f"{one.confidence:.2f} {one.level}"
    assert place.en == f"{one.lon:.5f}, {one.lat:.5f}"
    rows, columns = MINE
    assert one.x == X0 + RES * (columns.start + columns.stop) / 2
    assert one.y == Y1 - RES * (rows.start + rows.stop) / 2
    assert "1 open (2.70 ha" in found.findings[0].en and "1 first found in 2025" in (
        found.findings[0].en
    )
    assert "searched between 2024 and 2025" in found.notes[0].en
    # The picture is the one that the search drew; the page holds it.
    (picture,) = found.pictures
    chips = list((leads.leads_folder(region) / "chips").glob("*.png"))
    assert (tmp_path / "a" / picture.path).read_bytes() == chips[0].read_bytes()
    html = {p.name: p for p in render(path)}["report.zh.html"].read_text(encoding="utf-8")
    assert f"{lead}：新增工业/建筑用地（已下发）" in html
    assert base64.b64encode(chips[0].read_bytes()).decode() in html
    # What is copied stands line by line in the ledger.
    lines = (tmp_path / "a" / "leads/leads.jsonl").read_text(encoding="utf-8").splitlines()
    ledger = ledger_path(region).read_text(encoding="utf-8").splitlines()
    assert set(lines) <= set(ledger)
    assert [json.loads(x)["event"] for x in lines] == ["opened", "found", "state"]
    assert set(summary.files) == {picture.path, "leads/leads.jsonl"}
    # A release takes both along, whatever becomes of the ledger.
    _copy_assessment(tmp_path / "a", tmp_path / "released", summary, {"override": None})
    for name in summary.files:
        copy = tmp_path / "released" / name
        assert copy.read_bytes() == (tmp_path / "a" / name).read_bytes()


def test_only_the_programmes_zones_and_periods_count(made, programme, tmp_path):
    region, view = made
    leads.find(region, view, PERIOD)  # opens the ledger; enters the mine in z0
    here = {"county": County(id="z0", name=Text(zh="区0", en="zone 0"))}
    objects = [
        detected(zones=(part_of("red_line", "z1"),), area_ha=9.0, level="low", **here),
        detected(zones=(part_of("red_line", "z1"),), area_ha=1.0, kind="water", **here),
        detected(zones=(part_of("nature_reserves", "z0"),), **here),
        detected(zones=(part_of("red_line", "z9"),), **here),  # not in the layer any more
        detected(zones=(part_of("red_line", "z0"),), period="2026", against="2025", **here),
        detected(zones=(part_of("red_line", "z0"),), period="2024H2", against="2023H2", **here),
    ]
    ids = enter(region, *objects)
    move(region, ids[5], "rejected")
    summary = read_summary(assess(region, programme, PERIOD, view, tmp_path / "a"))
    found = analysis(summary, "leads")
    listed = [line.head.en for line in found.tables[1].lines]
    mine = next(iter(read_ledger(ledger_path(region)).leads))
    assert listed == [mine, ids[1], ids[0]]  # level first, then area
    total = found.tables[0].lines[-1]
    assert total.head.en == "all together"
    assert total.cells[:6] == (3, 0, 0, 1, 0, 0)
    assert total.cells[6] == pytest.approx(2.7 + 9 + 1)
    # A lead without a picture keeps its line.
    assert [p.path for p in found.pictures] == [f"leads/{mine}.png"]
    narrow = programme.model_copy(update={"filter": {"code": ("z0",)}})
    summary = read_summary(assess(region, narrow, PERIOD, view, tmp_path / "b"))
    assert [x.head.en for x in analysis(summary, "leads").tables[1].lines] == [mine]


def test_a_later_search_does_not_change_what_was_known_then(made):
    region, view = made
    leads.find(region, view, PERIOD)
    ledger = read_ledger(ledger_path(region))
    lead = next(iter(ledger.leads.values()))
    with writing(ledger_path(region)) as book:
        later = lead.latest.model_copy(update={"period": "2026", "area_ha": 99.0})
        book.add(Seen, clock(), lead=lead.id, detected=later)
    ledger = read_ledger(ledger_path(region))
    (then,) = known_leads(ledger, "red_line", PERIOD)
    (now,) = known_leads(ledger, "red_line", Period(2026))
    assert then.detected.area_ha == pytest.approx(2.7) and now.detected.area_ha == 99.0
    assert known_leads(ledger, "red_line", Period(2025, 1)) == []


def test_a_changed_state_makes_the_assessment_stale(made, programme):
    region, view = made
    plain = with_analyses(region, "red_line")

    def digests():
        return [assessment_digest(region, p, PERIOD, view) for p in (programme, plain)]

    year_before = assessment_digest(region, programme, PERIOD.previous(), view)
    before = digests()
    (lead,) = leads.find(region, view, PERIOD).new
    found = digests()
    move(region, lead, "sent")
    sent = digests()
    assert len({before[0], found[0], sent[0]}) == 3
    assert before[1] == found[1] == sent[1]  # who prints no leads does not care
    leads.find(region, view, PERIOD)  # learns nothing
    enter(region, detected(zones=(part_of("nature_reserves", "z0"),)))  # elsewhere
    assert digests() == sent
    # Nor does an earlier period care for what was found later.
    assert assessment_digest(region, programme, PERIOD.previous(), view) == year_before


def test_without_a_search_the_report_says_so(made, programme, tmp_path):
    region, view = made
    path = assess(region, programme, PERIOD, view, tmp_path / "a")
    summary = read_summary(path)
    found = analysis(summary, "leads")
    assert "holds no search of 2025" in found.notes[0].en
    assert not found.tables and not summary.files and not found.findings
    render(path)


def test_long_lists_are_cut_on_the_page_and_old_pictures_go(made, programme, tmp_path):
    region, view = made
    (mine,) = leads.find(region, view, PERIOD).new
    assess(region, programme, PERIOD, view, tmp_path / "a")
    assert (tmp_path / "a" / f"leads/{mine}.png").exists()
    ids = enter(
        region,
        *(detected(zones=(part_of("red_line", "z0"),), area_ha=float(k)) for k in range(1, 26)),
    )
    move(region, mine, "rejected")
    path = assess(region, programme, PERIOD, view, tmp_path / "a")
    found = analysis(read_summary(path), "leads")
    assert [line.head.en for line in found.tables[1].lines] == ids[::-1]
    assert any("25 open leads, 20 are listed" in n.en for n in found.notes)
    assert not (tmp_path / "a" / f"leads/{mine}.png").exists()
    files = {p.name: p.read_text(encoding="utf-8-sig") for p in render(path)}
    assert ids[5] in files["report.en.html"] and ids[4] not in files["report.en.html"]
    assert ids[0] in files["analyses.csv"]


def test_a_ledger_changed_by_hand_is_refused(made, programme, tmp_path):
    region, view = made
    leads.find(region, view, PERIOD)
    path = ledger_path(region)
    path.write_text(path.read_text(encoding="utf-8").replace("2.7", "0.1"), encoding="utf-8")
    with pytest.raises(InputError, match="changed by hand"):
        assess(region, programme, PERIOD, view, tmp_path / "a")
