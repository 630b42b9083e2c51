"""95 % intervals of headline numbers: gaps, choice of end members, errors of the class map.

Rows get an interval only where every part that applies could be evaluated; until then they keep
their bounds for missing data.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from eco_index.analysis.basis import basis_of
from eco_index.analysis.class_share import class_share
from eco_index.analysis.table_parts import analysis_of
from eco_index.analysis.tables import intervals_analysis
from eco_index.analysis.uncertainty import Interval, combine
from eco_index.analysis.uncertainty import Part as Error
from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.index_intervals import index_intervals
from eco_index.assessment.parts.interval_sums import CHANGE, IntervalSums, Wanted, sum_intervals
from eco_index.assessment.parts.reference import legend_of, reference_of
from eco_index.errors import InputError
from eco_index.indicators import method_use
from eco_index.indices.forest import FOREST_CLASSES, TREE_CLASSES
from eco_index.methods import Method, method_of
from eco_index.products import LUCC
from eco_index.summary import TOTAL, TOTAL_NAME, Row
from eco_index.yamlio import Text

METHOD_ID = "uncertainty"
#: Confidence of the intervals that a row may hold.
ROW_CONFIDENCE = 0.95
#: Share of the map: product and class.
_LANDCOVER = "landcover"
_SHARES = {"forest_coverage": "forest", "landcover_share": _LANDCOVER}
_CHANGE_TITLE = Text(
    zh="平均植被覆盖度变化（两期均有值的像元）",
    en="change of mean vegetation cover (pixels seen in both periods)",
)
_SAME_ERRORS = Text(
    zh="分类误差由全区参考样本估计，假定各单元制图误差与全区相同",
    en="errors of the class map come from the samples of the whole cube: they serve a zone if the "
    "map errs alike everywhere",
)
_NO_SAMPLES = Text(
    zh="没有本年的参考样本：森林覆盖率和土地覆盖比例不给出95%区间，只给观测缺失界限；官方指数无区间",
    en="no reference samples of this year: forest coverage and shares of land cover have bounds "
    "for missing data, no 95 % interval; official indices have none",
)


@dataclass
class _Found:
    """Intervals so far: lines of the document, and by trace key those of rows and indices."""

    lines: list[tuple[Text, Interval]] = field(default_factory=list)
    pairs: dict[str, tuple[float, float]] = field(default_factory=dict)
    without: list[Text] = field(default_factory=list)


def part(context: Context) -> Part:
    """Return the intervals of every zone and of all together.

    Raises
    ------
    InputError
        Samples that are malformed; end members that were not fitted yet.
    """
    method = method_of(context.region, METHOD_ID)
    matrices = _matrices(context)
    have = {r.indicator for r in context.rows}
    codes = {}
    if _LANDCOVER in matrices:
        seen = {int(r.variable) for r in context.rows if r.indicator == "landcover_share"}
        codes = {_LANDCOVER: tuple(sorted(seen))}
    if "forest" in matrices:
        codes["forest"] = (1,)
    sums = sum_intervals(context, Wanted("fvc_mean" in have, codes))
    zones = [(k, z.id, z.name) for k, z in enumerate(context.zones)]
    if context.has_total:
        zones.append((len(zones), TOTAL, TOTAL_NAME))
    rows = {(r.zone, r.indicator, r.variable): r for r in context.rows}
    found = _Found()
    for k, zone, name in zones:
        row = rows.get((zone, "fvc_mean", ""))
        if row is not None:
            _cover(found, sums, k, name, row, method)
    if context.compared is not None and "fvc_mean" in have:
        for k, _, name in zones:
            _change(found, sums, k, name, method)
    for indicator, product in _SHARES.items():
        if product not in matrices:
            continue
        for k, zone, name in zones:
            for code in codes[product]:
                variable = str(code) if product == _LANDCOVER else ""
                row = rows.get((zone, indicator, variable))
                areas = _areas(context, product, k)
                shown = not variable or zone == TOTAL or len(zones) == 1
                if row is not None:
                    _share(found, sums, k, name, row, method, (product, code), areas,
                           matrices[product], shown)  # fmt: skip
    notes = []
    if _LANDCOVER in matrices:
        indices = index_intervals(context, method, matrices[_LANDCOVER])
        found.lines[:0] = indices.lines
        found.pairs |= indices.pairs
        notes = indices.notes
    trace = context.key("intervals")
    basis = basis_of(method)
    if found.lines:
        analysis = intervals_analysis(found.lines, trace)
    else:
        analysis = analysis_of("intervals", basis, trace, [], [], [], [basis])
    if matrices:
        notes.append(_SAME_ERRORS)
    elif have & set(_SHARES) or context.results:
        notes.append(_NO_SAMPLES)
    notes = [*analysis.notes, *notes, *found.without]
    analysis = analysis.model_copy(update={"notes": tuple(notes)})
    fits = method.number("confidence").required == ROW_CONFIDENCE
    return Part(
        analyses=[analysis],
        methods=[method_use(method)],
        intervals=found.pairs if fits else {},
    )


def _matrices(context: Context) -> dict[str, np.ndarray]:
    """Return the sample counts of the class maps that numbers stand on; none without samples."""
    have = {r.indicator for r in context.rows}
    wanted = {p for i, p in _SHARES.items() if i in have}
    wanted |= {_LANDCOVER} if context.results else set()
    reference = reference_of(context) if wanted else None
    if reference is None:
        return {}
    landcover = context.region.config.landcover
    trees = TREE_CLASSES if landcover is not None and landcover.canopy else FOREST_CLASSES
    of = {code: int(code in trees) for code in LUCC}
    return {
        p: reference.matrix(context, p, of if p == "forest" else None)[0]
        for p in _SHARES.values()
        if p in wanted
    }


def _areas(context: Context, product: str, k: int) -> np.ndarray:
    """Return the mapped pixels of a zone (or of all) in the order of the matrix."""
    legend = (0, 1) if product == "forest" else legend_of()
    counts = np.array([context.sums.now.n_class(product, (c,)) for c in legend], float)
    return counts.sum(axis=1) if k == counts.shape[1] else counts[:, k]


def _cover(found: _Found, sums: IntervalSums, k: int, name: Text, row: Row, method: Method) -> None:
    errors = {
        "gaps": sums.gaps(k, "fvc", (0, 10_000), 0.01),
        "end_members": sums.end_members(k, method, change=False),
    }
    _put(found, row.title, name, row, row.value, errors, method, "%", (0.0, 100.0))


def _change(found: _Found, sums: IntervalSums, k: int, name: Text, method: Method) -> None:
    if (k, CHANGE) not in sums.cells or np.isnan(sums.mean_change(k)):
        return
    errors = {
        "gaps": sums.gaps(k, CHANGE, (-10_000, 10_000), 0.01),
        "end_members": sums.end_members(k, method, change=True),
    }
    value = sums.mean_change(k) / 100
    _put(found, _CHANGE_TITLE, name, None, value, errors, method, "pp", (-100.0, 100.0))


def _share(
    found: _Found,
    sums: IntervalSums,
    k: int,
    name: Text,
    row: Row,
    method: Method,
    of: tuple[str, int],
    areas: np.ndarray,
    matrix: np.ndarray,
    shown: bool,
) -> None:
    product, code = of
    member = [0, 1].index(code) if product == "forest" else list(legend_of()).index(code)
    # Samples of classes that the zone does not have say nothing of it.
    counts = np.where((areas > 0)[:, None], matrix, 0)
    try:
        error = class_share(counts, areas, [member]).part(100) if areas.sum() else None
    except InputError:  # a class of the zone with fewer than two samples
        error = None
    errors = {"gaps": sums.gaps(k, of, (0, 1), 100), "classification": error}
    _put(found, row.title, name, row, row.value, errors, method, "%", (0.0, 100.0), shown)


def _put(
    found: _Found,
    title: Text,
    zone: Text,
    row: Row | None,
    value: float | None,
    errors: dict[str, Error | None],
    method: Method,
    unit: str,
    limits: tuple[float, float],
    shown: bool = True,
) -> None:
    """Combine the parts; the row gets its interval where none is left out."""
    if value is None:
        return
    parts = [e for e in errors.values() if e is not None]
    left_out = [i for i, e in errors.items() if e is None]
    head = Text(zh=f"{title.zh}：{zone.zh}", en=f"{title.en}: {zone.en}")
    if not parts or "classification" in left_out:
        if shown:
            found.without.append(
                Text(
                    zh=f"{head.zh}：不给出区间（样本或观测不足）",
                    en=f"{head.en}: no interval (too few samples or observations)",
                )
            )
        return
    interval = combine(value, parts, method, unit=unit, limits=limits, left_out=left_out)
    assert interval is not None
    if shown:
        found.lines.append((head, interval))
    if row is not None and not left_out:
        found.pairs[row.trace] = interval.pair
