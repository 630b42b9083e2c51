"""Boundaries that changed since the period compared with, apart from change on the ground."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.assessment.parts.context import Context, Part
from eco_index.boundaries import BoundaryChange, EditionSums, Split, boundary_changes, edition_sums
from eco_index.errors import InputError
from eco_index.period import Period
from eco_index.summary import (
    TOTAL_NAME,
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
)
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec
from eco_index.zones import layer_path, load_layer

METHOD = "boundary_editions@1"
#: Zones named one by one in the notes; the table holds all.
MOST_NAMED = 8
#: Lines a page shows; all stand in analyses.csv.
MOST_LINES = 60
_KINDS = {
    "moved": Text(zh="调整", en="moved"),
    "new": Text(zh="新增", en="new"),
    "gone": Text(zh="取消", en="gone"),
}


@dataclass(frozen=True)
class _Splitting:
    """A number (%) of every present zone: earlier on its own boundary, and the change in parts."""

    title: Text
    own: np.ndarray
    parts: Split
    all_own: np.ndarray | None
    all_parts: Split | None


def part(context: Context) -> Part:
    """Return the table and notes of zones whose boundaries changed; nothing without editions."""
    region, layer, compared = context.region, context.layer, context.compared
    if compared is None:
        return Part()
    path = layer_path(region, layer.id, compared.year)
    if path == layer_path(region, layer.id, context.period.year):
        return Part()
    if not path.exists():
        note = Text(
            zh=f"缺少{compared.year}年的边界文件：不报告边界变更",
            en=f"the boundaries of {compared.year} are missing: no report on whether they changed",
        )
        return Part(notes=[note])
    earlier = load_layer(region, layer.id, compared.year)
    if context.programme.filter:
        try:
            earlier = earlier.select(context.programme.filter)
        except InputError as error:
            note = Text(
                zh=f"{compared.year}年的边界中没有符合本专题筛选条件的区域：不报告边界变更",
                en=f"boundaries of {compared.year}: {error.what}; no report on whether they "
                "changed",
            )
            return Part(notes=[note])
    pixel_km2 = region.grid.pixel_area_m2 / 1e6
    changed = [c for c in boundary_changes(earlier, layer, pixel_km2) if c.kind != "same"]
    if not changed:
        return Part()
    changed.sort(key=lambda c: -(c.added_km2 + c.removed_km2))
    with_land = region.config.landcover is not None
    spec = SumSpec(("fvc",), ("forest",) if with_land else ())
    sums = edition_sums(context.view, context.period, compared, layer, earlier, spec)
    splits = [_cover(sums)] + ([_forest(sums)] if with_land else [])
    tables = [_areas(changed, compared)]
    tables += [_split_table(context, compared, changed, split) for split in splits]
    analysis = Analysis(
        id="editions",
        title=Text(zh="边界变更与地面变化", en="moved boundaries and change on the ground"),
        method=METHOD,
        evidence="secondary" if with_land else "primary",
        provisional=False,
        rules=_RULES,
        findings=(_finding(changed, compared),),
        tables=tuple(tables),
        trace=context.key("editions"),
    )
    return Part(analyses=[analysis], notes=list(_notes(context, changed, compared, splits[0])))


_RULES = (
    Text(
        zh="两期发布值之差＝地面变化（现边界内两期之差）＋边界变更影响（上期值按现边界与按原边界之差）",
        en="difference of the two published values = change on the ground (both periods within the "
        "present boundary) + effect of moving it (the earlier period within the present boundary "
        "minus within its own)",
    ),
    Text(
        zh="面积变动不超过一个像元的边界视为未变；同一编号视为同一区域",
        en="a boundary with at most one pixel added or removed counts as unmoved; zones are the "
        "same where their ids are",
    ),
)


def _cover(sums: EditionSums) -> _Splitting:
    def scaled(split: Split) -> Split:
        return Split(split.total * 100, split.ground * 100, split.boundary * 100)

    return _splitting(
        sums,
        Text(zh="植被覆盖度均值", en="mean vegetation cover"),
        lambda s: 100 * s.before.mean("fvc"),
        lambda s: scaled(s.mean("fvc")),
    )


def _forest(sums: EditionSums) -> _Splitting:
    def before(s: EditionSums) -> np.ndarray:
        seen = s.before.n_valid("forest")
        out = np.full(seen.shape, np.nan)
        np.divide(100 * s.before.n_class("forest", (1,)), seen, out=out, where=seen > 0)
        return out

    return _splitting(
        sums,
        Text(zh="森林比例（地图口径）", en="forest share (map only)"),
        before,
        lambda s: s.share_of_class("forest", (1,)),
    )


def _splitting(
    sums: EditionSums,
    title: Text,
    before: Callable[[EditionSums], np.ndarray],
    split: Callable[[EditionSums], Split],
) -> _Splitting:
    parts = split(sums)
    whole, own = None, None
    if sums.layer.n_sheets == sums.earlier.n_sheets == 1:
        together = sums.together()
        whole = split(together)
        own = before(together) - whole.boundary
    return _Splitting(title, before(sums) - parts.boundary, parts, own, whole)


def _cell(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _shown(lines: Sequence[AnalysisLine]) -> int | None:
    return MOST_LINES if len(lines) > MOST_LINES else None


def _areas(changed: Sequence[BoundaryChange], compared: Period) -> AnalysisTable:
    lines = tuple(
        AnalysisLine(
            head=c.name,
            cells=(_KINDS[c.kind], c.before_km2, c.added_km2, c.removed_km2, c.now_km2),
        )
        for c in changed
    )
    return AnalysisTable(
        caption=Text(
            zh=f"边界与{compared.year}年不同的区域",
            en=f"zones with other bounds in {compared.year}",
        ),
        corner=Text(zh="区域", en="Zone"),
        columns=(
            AnalysisColumn(title=Text(zh="变更", en="what")),
            AnalysisColumn(title=Text(zh="原面积", en="area before"), unit="km2"),
            AnalysisColumn(title=Text(zh="划入", en="added"), unit="km2"),
            AnalysisColumn(title=Text(zh="划出", en="removed"), unit="km2"),
            AnalysisColumn(title=Text(zh="现面积", en="area now"), unit="km2"),
        ),
        lines=lines,
        shown=_shown(lines),
    )


def _split_table(
    context: Context, compared: Period, changed: Sequence[BoundaryChange], split: _Splitting
) -> AnalysisTable:
    places = {zone: k for k, zone in enumerate(context.layer.ids)}

    def line(head: Text, own: float, parts: Split, k: int) -> AnalysisLine:
        values = (own, parts.boundary[k], parts.ground[k], parts.total[k])
        now = own + parts.total[k]
        return AnalysisLine(head=head, cells=tuple(map(_cell, (*values, now))))

    lines = []
    if split.all_parts is not None and split.all_own is not None and len(context.layer) > 1:
        lines.append(line(TOTAL_NAME, split.all_own[0], split.all_parts, 0))
    for change in changed:
        if change.id in places:  # what is gone has no present number
            k = places[change.id]
            lines.append(line(change.name, split.own[k], split.parts, k))
    before, now = compared, context.period
    return AnalysisTable(
        caption=Text(
            zh=f"{split.title.zh}：{before.zh}至{now.zh}变化的分解",
            en=f"{split.title.en}: parts of the change from {before.id} to {now.id}",
        ),
        corner=Text(zh="区域", en="Zone"),
        columns=(
            AnalysisColumn(
                title=Text(zh=f"{before.zh}（原边界）", en=f"{before.id}, own boundary"), unit="%"
            ),
            AnalysisColumn(title=Text(zh="边界变更影响", en="moving"), unit="pp"),
            AnalysisColumn(title=Text(zh="地面变化", en="ground"), unit="pp"),
            AnalysisColumn(title=Text(zh="合计变化", en="both"), unit="pp"),
            AnalysisColumn(
                title=Text(zh=f"{now.zh}（现边界）", en=f"{now.id}, present boundary"), unit="%"
            ),
        ),
        lines=tuple(lines),
        shown=_shown(lines),
    )


def _finding(changed: Sequence[BoundaryChange], compared: Period) -> Text:
    n = {kind: sum(c.kind == kind for c in changed) for kind in _KINDS}
    added, removed = sum(c.added_km2 for c in changed), sum(c.removed_km2 for c in changed)
    return Text(
        zh=f"与{compared.year}年相比，{n['moved']}个区域边界调整、{n['new']}个新增、{n['gone']}个取消"
        f"（划入{added:.2f} km²，划出{removed:.2f} km²）；数值变化已区分边界变更与地面变化。",
        en=f"Since {compared.year} the boundaries of {n['moved']} zone(s) moved, {n['new']} are "
        f"new, {n['gone']} are gone ({added:.2f} km² added, {removed:.2f} km² removed); changes "
        "tell moved boundaries from the ground.",
    )


def _notes(
    context: Context, changed: Sequence[BoundaryChange], compared: Period, cover: _Splitting
) -> Iterator[Text]:
    """Yield a note for each zone, those with the largest moves first."""
    for change in changed[:MOST_NAMED]:
        yield _note(context, change, compared, cover)
    if len(changed) > MOST_NAMED:
        rest = len(changed) - MOST_NAMED
        yield Text(
            zh=f"另有{rest}个区域的边界有变更，见“边界变更与地面变化”",
            en=f"{rest} more zone(s) have other boundaries, see 'Moved boundaries and change on "
            "the ground'",
        )


def _note(context: Context, change: BoundaryChange, compared: Period, cover: _Splitting) -> Text:
    if change.kind == "new":
        return Text(
            zh=f"{change.name.zh}为新增区域（{change.now_km2:.2f} km²），"
            f"{compared.year}年的边界中没有；与{compared.zh}的比较采用现边界",
            en=f"{change.name.en} is new ({change.now_km2:.2f} km2): the boundaries of "
            f"{compared.year} do not have it; {compared.id} is taken within the present one",
        )
    if change.kind == "gone":
        return Text(
            zh=f"{change.name.zh}（{change.before_km2:.2f} km²）在{compared.year}年的边界中有，"
            "现边界中已无，本期不评估",
            en=f"{change.name.en} ({change.before_km2:.2f} km2) is in the boundaries of "
            f"{compared.year} and no longer in the present ones; it is not assessed",
        )
    note = Text(
        zh=f"{change.name.zh}的边界有变更：划入{change.added_km2:.2f} km²，"
        f"划出{change.removed_km2:.2f} km²（{change.before_km2:.2f} → "
        f"{change.now_km2:.2f} km²）",
        en=f"the boundary of {change.name.en} changed: {change.added_km2:.2f} km2 came to it, "
        f"{change.removed_km2:.2f} km2 left it ({change.before_km2:.2f} to "
        f"{change.now_km2:.2f} km2)",
    )
    k = context.layer.ids.index(change.id)
    own, boundary, ground = cover.own[k], cover.parts.boundary[k], cover.parts.ground[k]
    if np.isfinite([own, boundary, ground]).all():
        note = Text(
            zh=f"{note.zh}；植被覆盖度：{compared.zh}按原边界{own:.2f}%，"
            f"边界变更影响{boundary:+.2f}个百分点，地面变化{ground:+.2f}个百分点",
            en=f"{note.en}; vegetation cover: {own:.2f} % in {compared.id} on its own "
            f"boundary, {boundary:+.2f} points from moving it, {ground:+.2f} points on the "
            "ground",
        )
    return note
