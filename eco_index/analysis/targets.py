"""Where a region stands against the targets of its plan, and how sure that is.

The interval of the measured value against the target decides: met, not met, or not certain
(JCGM 106:2012, decision rules). A number that is lower by its definition never says "not met".
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from eco_index.analysis.basis import MISSING
from eco_index.analysis.target_file import Target, TargetFile
from eco_index.errors import InputError
from eco_index.methods import UNSURE
from eco_index.summary import Evidence, weakest
from eco_index.yamlio import Text

State = Literal["met", "not_met", "not_certain", "met_unsure", "not_met_unsure", "not_evaluated"]
STATES: dict[State, Text] = {
    "met": Text(zh="达到", en="met"),
    "not_met": Text(zh="未达到", en="not met"),
    "not_certain": Text(zh="不能确定", en="not certain"),
    "met_unsure": Text(zh="按数值达到（无区间）", en="met by the value (no interval)"),
    "not_met_unsure": Text(zh="按数值未达到（无区间）", en="not met by the value (no interval)"),
    "not_evaluated": MISSING,
}
Direction = Literal["rising", "falling", "unchanged", "unknown"]
DIRECTIONS: dict[Direction, Text] = {
    "rising": Text(zh="上升", en="rising"),
    "falling": Text(zh="下降", en="falling"),
    "unchanged": Text(zh="未显示变化", en="no change shown"),
    "unknown": Text(zh="变化未知", en="change unknown"),
}
KINDS = {
    "binding": Text(zh="约束性", en="binding"),
    "expected": Text(zh="预期性", en="expected"),
}


@dataclass(frozen=True)
class Measured:
    """A measured value of one year.

    Attributes
    ----------
    year : int
    value : float
        In the target's unit; NaN is missing.
    interval : tuple of float or None
        Of `Interval.pair`.
    provisional : bool
    evidence : Evidence
    """

    year: int
    value: float
    interval: tuple[float, float] | None = None
    provisional: bool = False
    evidence: Evidence = "primary"


@dataclass(frozen=True)
class Change:
    """Change of the measured number since the baseline year (same method in both)."""

    value: float
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Standing:
    """Where a target stands.

    Attributes
    ----------
    target : Target
    plan_year : int
    measured : Measured
    state : str
        Key of `STATES`.
    limit : float
        What the value (or, for ``not_falling``, the change) is held against.
    distance : float
        Value (change) minus limit, in the unit: 0 or more is on the right side; NaN if missing.
    change : Change or None
        Since the baseline.
    direction : str
        Key of `DIRECTIONS`; without an interval of the change its sign decides.
    pace : float
        Change a year that would still reach the target in its year; 0 where it is reached, NaN
        where the year is past or nothing is known.
    provisional : bool
        The value, the target or the tolerance is, or the value is a proxy of the official one.
    evidence : Evidence
        The weakest of them.
    """

    target: Target
    plan_year: int
    measured: Measured
    state: State
    limit: float
    distance: float
    change: Change | None
    direction: Direction
    pace: float
    provisional: bool
    evidence: Evidence

    @property
    def final(self) -> bool:
        """Whether the target's year is reached: before, the state is that of the way there."""
        return self.measured.year >= self.plan_year

    def sentence(self) -> Text:
        """Return the finding in one sentence, note excluded."""
        t, m = self.target, self.measured
        zh, en = t.title.zh, t.title.en
        kind, state, way = KINDS[t.kind], STATES[self.state], DIRECTIONS[self.direction]
        if math.isnan(m.value):
            return Text(
                zh=f"{zh}（{kind.zh}）：{m.year}年无值，{state.zh}。",
                en=f"{en} ({kind.en}): no value in {m.year}, {state.en}.",
            )
        value, low_high = _quantity(m.value, t), _range(m.interval, t)
        mark_zh, mark_en = ("，试算", ", provisional") if self.provisional else ("", "")
        head_zh = f"{zh}（{kind.zh}）：{m.year}年{value}{low_high and f'（{low_high}）'}"
        head_en = f"{en} ({kind.en}): {value}{low_high and f' ({low_high})'} in {m.year}"
        if t.rule == "at_least":
            aim = _quantity(self.limit, t)
            aim_zh = f"{self.plan_year}年目标不低于{aim}，相差{_points(self.distance, t).zh}"
            aim_en = (
                f"target at least {aim} in {self.plan_year}, distance "
                f"{_points(self.distance, t).en}"
            )
        else:
            moved = self.change
            known = moved is not None and not math.isnan(moved.value)
            size = _points(moved.value, t) if known and moved is not None else MISSING
            aim_zh = f"目标稳中向好，较{t.baseline.year}年变化{size.zh}"
            aim_en = f"target stable or improving, change since {t.baseline.year} {size.en}"
        return Text(
            zh=f"{head_zh}；{aim_zh}；{way.zh}；{state.zh}{mark_zh}。",
            en=f"{head_en}; {aim_en}; {way.en}; {state.en}{mark_en}.",
        )


def standing(
    target: Target, plan_year: int, measured: Measured, change: Change | None = None
) -> Standing:
    """Judge one target.

    Parameters
    ----------
    target : Target
        What the plan fixes.
    plan_year : int
        Year the target is to be reached by.
    measured : Measured
        Value of the assessed year.
    change : Change, optional
        Of the measured number since the baseline year; ``not_falling`` needs it. Without it the
        direction is unknown: official values of the baseline are not compared with measured ones
        unless the definition is the same.

    Raises
    ------
    InputError
        An interval out of order or not finite, a year before the baseline, percent given as a
        share.
    """
    _check(target, measured, change)
    base = target.baseline
    if change is None and base.number is not None and target.definition == "same":
        assert base.number.value is not None
        interval = measured.interval
        change = Change(
            measured.value - base.number.value,
            None
            if interval is None
            else (interval[0] - base.number.value, interval[1] - base.number.value),
        )
    marks: list[Evidence] = [measured.evidence]
    if target.rule == "at_least":
        assert target.target is not None and target.target.value is not None
        limit, value, interval = target.target.value, measured.value, measured.interval
        marks.append(target.target.evidence)
    else:
        assert target.tolerance is not None and target.tolerance.value is not None
        limit = -target.tolerance.value
        value = math.nan if change is None or math.isnan(measured.value) else change.value
        interval = None if change is None else change.interval
        marks.append(target.tolerance.evidence)
    state = _state(value, interval, limit)
    if target.definition == "lower" and state in ("not_met", "not_met_unsure"):
        state = "not_certain"
    evidence = weakest(marks)
    distance = value - limit
    left = plan_year - measured.year
    pace = math.nan
    if not math.isnan(distance):
        pace = 0.0 if distance >= 0 else -distance / left if left > 0 else math.nan
    return Standing(
        target=target,
        plan_year=plan_year,
        measured=measured,
        state=state,
        limit=limit,
        distance=distance,
        change=change,
        direction=_direction(change),
        pace=pace,
        provisional=measured.provisional or evidence in UNSURE or target.definition == "proxy",
        evidence=evidence,
    )


def standings(
    file: TargetFile, measured: dict[str, Measured], changes: dict[str, Change], year: int
) -> list[Standing]:
    """Judge all targets of a plan, in its order.

    Parameters
    ----------
    file : TargetFile
        The plan.
    measured : dict
        Target id to its value; a target without one is not evaluated, never left out.
    changes : dict
        Target id to its change since the baseline year, where it is known.
    year : int
        Assessed year, for targets without a value.

    Raises
    ------
    InputError
        A value for a target that the plan does not have; as in `standing`.
    """
    known = [t.id for t in file.targets]
    strange = sorted((set(measured) | set(changes)) - set(known))
    if strange:
        raise InputError(f"The plan has no target '{strange[0]}'.", rule=f"targets: {known}")
    return [
        standing(t, file.year, measured.get(t.id, Measured(year, math.nan)), changes.get(t.id))
        for t in file.targets
    ]


def _state(value: float, interval: tuple[float, float] | None, limit: float) -> State:
    if math.isnan(value):
        return "not_evaluated"
    if interval is None:
        return "met_unsure" if value >= limit else "not_met_unsure"
    if interval[0] >= limit:
        return "met"
    return "not_met" if interval[1] < limit else "not_certain"


def _direction(change: Change | None) -> Direction:
    if change is None or math.isnan(change.value):
        return "unknown"
    low, high = change.interval or (change.value, change.value)
    if low > 0:
        return "rising"
    return "falling" if high < 0 else "unchanged"


def _check(target: Target, measured: Measured, change: Change | None) -> None:
    where = f"target '{target.id}', {measured.year}"
    for name, interval in (
        ("value", measured.interval),
        ("change", change.interval if change else None),
    ):
        if interval is not None and not (
            math.isfinite(interval[0]) and math.isfinite(interval[1]) and interval[0] <= interval[1]
        ):
            raise InputError(f"The interval of the {name} is {interval}.", where=where)
    if math.isinf(measured.value):
        raise InputError("The value is infinite.", where=where, rule="missing values are NaN")
    if measured.year < target.baseline.year:
        raise InputError(
            f"The year {measured.year} lies before the baseline {target.baseline.year}.",
            where=where,
        )
    if target.unit == "%" and not math.isnan(measured.value):
        if not 0 <= measured.value <= 100:
            raise InputError(f"The value is {measured.value:g} %.", where=where, rule="0 to 100 %")
        limit = target.target.value if target.target else None
        if limit is not None and limit > 2 and 0 < measured.value <= 1:
            raise InputError(
                f"The value is {measured.value:g}, the target {limit:g} %.",
                where=where,
                rule="percent, not a share",
                fix="multiply by 100",
            )


def _quantity(value: float, target: Target) -> str:
    unit = {"%": " %", "1": ""}.get(target.unit, f" {target.unit}")
    return f"{value:.{target.digits}f}{unit}"


def _points(value: float, target: Target) -> Text:
    number = f"{value:+.{target.digits}f}"
    if target.unit == "%":
        return Text(zh=f"{number}个百分点", en=f"{number} percentage points")
    unit = "" if target.unit == "1" else f" {target.unit}"
    return Text(zh=f"{number}{unit}", en=f"{number}{unit}")


def _range(interval: tuple[float, float] | None, target: Target) -> str:
    if interval is None:
        return ""
    return f"{interval[0]:.{target.digits}f}–{_quantity(interval[1], target)}"
