"""The ledger: steps allowed, hand edits refused, nothing lost, one writer at a time."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lead_fakes import detected

from eco_index.errors import InputError, PartialError, UsageError
from eco_index.leads import read_ledger, set_state, writing
from eco_index.leads.matching import match
from eco_index.ledger.records import (
    NEEDS_NOTE,
    STATES,
    TRANSITIONS,
    Found,
    Lead,
    Missed,
    Moved,
    Noted,
    Opened,
    Seen,
)
from eco_index.yamlio import Text

NOW = dt.datetime(2026, 3, 1, 12, 0, tzinfo=dt.UTC)
DAY = NOW.astimezone().date()


def fill(path, n=2):
    """A ledger of n leads, the first one sent and confirmed."""
    with writing(path) as ledger:
        ledger.add(Opened, NOW, region="demo", crs="EPSG:6933")
        for k in range(n):
            one = detected(box=(1000 * k, 0, 1000 * k + 90, 90))
            ledger.add(Found, NOW, lead=ledger.next_id("demo", 2025), detected=one)
    set_state(path, "demo-2025-0001", "sent", "张三", "函〔2026〕1号", now=NOW)
    set_state(path, "demo-2025-0001", "confirmed", "李四", now=NOW)
    return path


@pytest.fixture
def path(tmp_path):
    return fill(tmp_path / "leads" / "ledger.jsonl")


def test_what_was_written_is_read_again(path):
    ledger = read_ledger(path)
    assert list(ledger.leads) == ["demo-2025-0001", "demo-2025-0002"]
    first = ledger.leads["demo-2025-0001"]
    assert first.state == "confirmed" and ledger.leads["demo-2025-0002"].state == "new"
    steps = [(e.before, e.after, e.by, e.note) for e in first.history[1:]]
    assert steps == [
        ("new", "sent", "张三", "函〔2026〕1号"),
        ("sent", "confirmed", "李四", ""),
    ]
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["seq"] for line in lines] == [1, 2, 3, 4, 5]
    assert "张三" in lines[3]  # readable without the program


def reach(path, state):
    """Bring the second lead into a state."""
    ways = {
        "new": (),
        "sent": ("sent",),
        "confirmed": ("sent", "confirmed"),
        "rejected": ("rejected",),
        "rectified": ("sent", "confirmed", "rectified"),
        "struck_off": ("sent", "confirmed", "rectified", "struck_off"),
    }
    for step in ways[state]:
        set_state(path, "demo-2025-0002", step, "张三", "理由", now=NOW)


@pytest.mark.parametrize("before", STATES)
@pytest.mark.parametrize("after", STATES)
def test_every_step_is_taken_or_refused_as_stated(path, before, after):
    reach(path, before)
    content = path.read_bytes()
    if after in TRANSITIONS[before]:
        if (before, after) in NEEDS_NOTE:
            with pytest.raises(UsageError, match="note"):
                set_state(path, "demo-2025-0002", after, "张三", now=NOW)
            assert path.read_bytes() == content
        assert set_state(path, "demo-2025-0002", after, "张三", "理由", now=NOW) == before
        assert read_ledger(path).leads["demo-2025-0002"].state == after
        assert path.read_bytes().startswith(content)  # only ever added
    else:
        with pytest.raises(UsageError) as error:
            set_state(path, "demo-2025-0002", after, "张三", "理由", now=NOW)
        assert f"'{before}'" in str(error.value) and f"'{after}'" in str(error.value)
        assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"by": "  "}, ("who",)),
        ({"state": "done"}, ("'done'", "struck_off")),
        ({"lead": "demo-2025-0020"}, ("demo-2025-0020", "did you mean demo-2025-0002")),
        ({"on": "2026-03-05"}, ("2026-03-05", "future")),
        ({"on": "1 March"}, ("not a date",)),
    ],
)
def test_a_wrong_step_gets_one_clear_message(path, values, words):
    content = path.read_bytes()
    given = {"lead": "demo-2025-0002", "state": "sent", "by": "张三", "on": None} | values
    with pytest.raises(UsageError) as error:
        set_state(path, given["lead"], given["state"], given["by"], "", given["on"], now=NOW)
    for word in words:
        assert word in str(error.value)
    assert path.read_bytes() == content


# ---- edited by hand ----------------------------------------------------------------------------


def _lines(path):
    return path.read_text(encoding="utf-8").splitlines(keepends=True)


def _edit(line, **changes):
    return json.dumps(json.loads(line) | changes, ensure_ascii=False) + "\n"


def _state_line(**changes):
    base = {
        "seq": 6, "time": "2026-03-01T12:00:00Z", "chain": "", "event": "state",
        "lead": "demo-2025-0002", "before": "new", "after": "struck_off", "by": "王五",
        "note": "", "on": "2026-03-01", "via": "",
    }  # fmt: skip
    return json.dumps(base | changes, ensure_ascii=False) + "\n"


HAND = {
    "a state that may not follow": (lambda x: [*x, _state_line()], ("line 6", "'new'", "sent")),
    "a state that does not exist": (
        lambda x: [*x[:4], _edit(x[4], after="done")], ("line 5", "after"),
    ),
    "another state in an old line": (
        lambda x: [*x[:4], _edit(x[4], after="rejected", note="假")], ("line 5", "digest"),
    ),
    "another name in an old line": (
        lambda x: [*x[:3], _edit(x[3], by="王五"), x[4]], ("line 4", "digest"),
    ),
    "an allowed step without the program": (
        lambda x: [*x, _state_line(after="sent")], ("line 6", "digest"),
    ),
    "who is blank": (lambda x: [*x[:4], _edit(x[4], by=" ")], ("line 5", "who")),
    "a lead that nobody entered": (
        lambda x: [*x, _state_line(lead="demo-2025-0009", after="sent")], ("0009", "line 6"),
    ),
    "a lead taken out": (lambda x: [x[0], x[1], *x[3:]], ("line 3",)),
    "lines taken out in the middle": (lambda x: [*x[:3], x[4]], ("line 4", "'new'")),
    "the last line taken out": (lambda x: x[:4], ("1 line(s)", "end")),
    "all lines taken out": (lambda x: [], ("5 line(s)",)),
    "lines exchanged": (lambda x: [x[0], x[2], x[1], *x[3:]], ("line 2",)),
    "a line twice": (lambda x: [*x, x[4]], ("line 6",)),
    "a cut line": (lambda x: [*x[:4], x[4][:-20]], ("line 5", "cut off")),
    "an unknown key": (lambda x: [*x[:4], _edit(x[4], remark="x")], ("line 5", "remark")),
    "no JSON": (lambda x: [*x[:4], "confirmed\n"], ("line 5", "JSON")),
    "an empty line": (lambda x: [*x, "\n"], ("line 6",)),
    "a future date": (lambda x: [*x[:4], _edit(x[4], on="2030-01-01")], ("line 5", "future")),
}  # fmt: skip


@pytest.mark.parametrize("kind", HAND)
def test_a_ledger_edited_by_hand_is_refused_and_left_alone(path, kind):
    edit, words = HAND[kind]
    path.write_text("".join(edit(_lines(path))), encoding="utf-8")
    content = path.read_bytes()
    for use in (
        lambda: read_ledger(path),
        lambda: set_state(path, "demo-2025-0002", "sent", "张三", now=NOW),
    ):
        with pytest.raises(InputError) as error:
            use()
        for word in (*words, "ledger", "backup"):
            assert word in str(error.value)
    assert path.read_bytes() == content


def test_a_ledger_that_is_gone_is_not_begun_anew(path):
    path.unlink()
    with pytest.raises(InputError, match=r"5 line\(s\)"):
        set_state(path, "demo-2025-0002", "sent", "张三", now=NOW)
    assert not path.exists()


@pytest.mark.parametrize("content", [None, "nonsense", "{}", '{"lines": 9, "chain": "x"}'])
def test_a_spoilt_companion_is_noticed(path, content):
    head = path.with_suffix(".head.json")
    head.unlink()
    if content is not None:
        head.write_text(content, encoding="utf-8")
    with pytest.raises(InputError):
        read_ledger(path)


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    path = fill(tmp_path_factory.mktemp("kept") / "ledger.jsonl", n=1)
    return path, path.read_bytes()


@settings(max_examples=150)
@given(st.data())
def test_any_changed_character_is_noticed_or_means_the_same(kept, data):
    path, content = kept
    text = content.decode("utf-8")
    at = data.draw(st.integers(0, len(text) - 1))
    new = data.draw(st.sampled_from(list('0123456789abz张"{},: \n.-')))
    edited = text[:at] + new + text[at + 1 :]
    path.write_text(edited, encoding="utf-8")
    try:
        events = read_ledger(path).events
    except InputError:
        return
    finally:
        path.write_bytes(content)
    assert events == read_ledger(path).events


# ---- nothing is lost ---------------------------------------------------------------------------


def test_a_write_that_fails_leaves_the_ledger_as_it_was(path, monkeypatch):
    content, real = path.read_bytes(), os.replace

    def broken(source, target):
        if str(target).endswith(".jsonl"):
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(PartialError, match="No space left"):
        set_state(path, "demo-2025-0002", "sent", "张三", now=NOW)
    assert path.read_bytes() == content and not list(path.parent.glob("*.partial"))
    monkeypatch.undo()
    assert read_ledger(path).leads["demo-2025-0002"].state == "new"


def test_a_program_killed_between_ledger_and_companion_loses_nothing(path, monkeypatch):
    real = os.replace

    def killed(source, target):
        if str(target).endswith(".head.json"):
            raise KeyboardInterrupt
        real(source, target)

    monkeypatch.setattr(os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        set_state(path, "demo-2025-0002", "sent", "张三", now=NOW)
    monkeypatch.undo()
    assert read_ledger(path).leads["demo-2025-0002"].state == "sent"
    set_state(path, "demo-2025-0002", "confirmed", "张三", now=NOW)
    assert read_ledger(path).leads["demo-2025-0002"].state == "confirmed"


def test_an_error_between_the_events_of_one_command_writes_none_of_them(path):
    content = path.read_bytes()
    with pytest.raises(UsageError, match="no lead"), writing(path) as ledger:
        ledger.add(Noted, NOW, lead="demo-2025-0001", by="张三", note="一", on=DAY)
        ledger.add(Noted, NOW, lead="demo-2025-0077", by="张三", note="二", on=DAY)
    assert path.read_bytes() == content


def test_two_writers_lose_nothing(path):
    def work(name):
        for k in range(15):
            with writing(path) as ledger:
                box = (5000 * k, 1000, 5000 * k + 90, 1090)
                ledger.add(
                    Found, NOW, lead=ledger.next_id("demo", 2026), detected=detected(box=box)
                )
                ledger.add(Noted, NOW, lead="demo-2025-0001", by=name, note=str(k), on=DAY)

    threads = [threading.Thread(target=work, args=(n,)) for n in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ledger = read_ledger(path)
    assert len(ledger.leads) == 2 + 45
    notes = [(e.by, e.note) for e in ledger.leads["demo-2025-0001"].history if e.event == "note"]
    assert sorted(notes) == sorted((n, str(k)) for n in "abc" for k in range(15))


def test_another_process_that_writes_is_waited_for_and_then_named(path):
    hold = (
        "import sys, fcntl; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    lock = path.with_name(path.name + ".lock")
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(PartialError, match="another program"), writing(path, wait=0.1):
            pass
        read_ledger(path)  # reading needs no lock
        other.stdin.close()
    with writing(path, wait=0.1) as ledger:
        assert len(ledger.leads) == 2


# ---- matching ----------------------------------------------------------------------------------


def leads_of(*boxes):
    out = {}
    for k, box in enumerate(boxes, 1):
        one = detected(box=box)
        event = Found(seq=k, time=NOW, lead=f"L{k}", detected=one)
        out[f"L{k}"] = Lead(f"L{k}", "new", one, None, [event])
    return out


def test_an_object_that_grew_shrank_or_moved_a_little_keeps_its_id():
    known = leads_of((0, 0, 300, 300))
    for box in ((0, 0, 600, 600), (100, 100, 200, 200), (150, 0, 450, 300)):
        found = match([detected(box=box)], known, 0.3)
        assert list(found.known) == ["L1"] and not found.new


def test_neighbours_and_corners_do_not_match():
    known = leads_of((0, 0, 300, 300))
    for box in ((300, 0, 600, 300), (300, 300, 600, 600), (270, 0, 570, 300)):
        found = match([detected(box=box)], known, 0.3)
        assert not found.known and len(found.new) == 1


def test_an_object_that_falls_apart_stays_one_lead():
    known = leads_of((0, 0, 300, 300))
    parts = [detected(box=(0, 0, 300, 90)), detected(box=(0, 150, 300, 300))]
    found = match(parts, known, 0.3)
    assert not found.new
    whole = found.known["L1"]
    assert whole.area_ha == pytest.approx(parts[0].area_ha + parts[1].area_ha)
    assert "2 parts" in whole.remarks[-1].en


def test_leads_that_grow_together_are_all_kept():
    known = leads_of((0, 0, 300, 300), (400, 0, 500, 300))
    found = match([detected(box=(0, 0, 500, 300))], known, 0.3)
    assert list(found.known) == ["L1"] and found.merged == {"L2": "L1"} and not found.new


@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8),
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=8),
)
def test_every_object_is_matched_once_or_new(old, new):
    def box(at):
        x, y = at
        return (30 * x, 30 * y, 30 * x + 120, 30 * y + 120)

    known = leads_of(*map(box, old))
    objects = [detected(box=box(at)) for at in new]
    found = match(objects, known, 0.3)
    area = sum(o.area_ha for o in [*found.known.values(), *found.new])
    assert area == pytest.approx(sum(o.area_ha for o in objects))
    assert not set(found.merged) & set(found.known)
    # The same objects again, against what was entered: nothing is new the second time.
    entered = known | {
        f"N{k}": Lead(f"N{k}", "new", o, None, [Found(seq=1, time=NOW, lead=f"N{k}", detected=o)])
        for k, o in enumerate(found.new)
    }
    assert not match(objects, entered, 0.3).new


# ---- any order of valid events -----------------------------------------------------------------


@settings(max_examples=25)
@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=25))
def test_any_sequence_of_allowed_steps_is_read_again_the_same(tmp_path_factory, choices):
    path = tmp_path_factory.mktemp("steps") / "ledger.jsonl"
    with writing(path) as ledger:
        ledger.add(Opened, NOW, region="demo", crs="EPSG:6933")
        for n in choices:
            ids = list(ledger.leads)
            if not ids or n % 4 == 0:
                one = detected(box=(0, 0, 30 + n % 7, 30))
                ledger.add(Found, NOW, lead=ledger.next_id("demo", 2020 + n % 3), detected=one)
                continue
            lead = ledger.leads[ids[n % len(ids)]]
            if n % 4 == 1:
                one = detected(box=(0, 0, 60, 30 + n % 5))
                ledger.add(Seen, NOW, lead=lead.id, detected=one)
            elif n % 4 == 2:
                ledger.add(
                    Missed, NOW, lead=lead.id, period="2026", against="2025",
                    observed_share=1.0, remaining_share=None, remark=Text(zh="无", en="none"),
                )  # fmt: skip
            else:
                with_note = {"by": "张三", "note": "因", "on": DAY, "via": ""}
                after = TRANSITIONS[lead.state][n % len(TRANSITIONS[lead.state])]
                ledger.add(Moved, NOW, lead=lead.id, before=lead.state, after=after, **with_note)
    again = read_ledger(path)
    assert again.events == ledger.events
    assert {i: a.state for i, a in again.leads.items()} == {
        i: a.state for i, a in ledger.leads.items()
    }
    assert len(set(again.leads)) == sum(e.event == "found" for e in again.events)
