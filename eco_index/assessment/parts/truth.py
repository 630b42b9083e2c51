"""Ground truth: plots and reference samples against the period's maps, and the gate."""

from __future__ import annotations

import logging
import math

import numpy as np

from eco_index.assessment.parts.context import Context, Part
from eco_index.assessment.parts.reference import legend_of, reference_of
from eco_index.errors import InputError
from eco_index.groundtruth.accuracy import (
    ALL,
    ClassAccuracy,
    ParameterAccuracy,
    accuracy_by_type,
    class_accuracy,
)
from eco_index.groundtruth.gate import gate, kappa_grade
from eco_index.groundtruth.plots import Matches, match_plots, read_plots
from eco_index.methods import Method, method_of
from eco_index.products import LUCC, LUCC_LEVEL1, PRODUCTS
from eco_index.summary import Analysis, AnalysisColumn, AnalysisLine, AnalysisTable, Gate
from eco_index.yamlio import Text

log = logging.getLogger("eco_index")
METHOD_ID = "hj1176_2021"
_ALL_TYPES = Text(zh="全部样地", en="all plots")


def part(context: Context) -> Part:
    """Return the accuracy of vegetation cover and land cover over the whole cube, and the gate.

    Raises
    ------
    InputError
        A table that is malformed, or that the catalogue names and is not there.
    """
    method = method_of(context.region, METHOD_ID)
    tables: list[AnalysisTable] = []
    notes: list[Text] = []
    parameters: dict[str, dict[str, ParameterAccuracy]] = {}
    found = _plots(context)
    if found is not None and found.plots:
        types = [p.type for p in found.plots]
        parameters["fvc"] = accuracy_by_type(found.observed, found.retrieved, types)
        tables.append(_plot_table(parameters["fvc"]))
    if found is not None:
        notes += _left_out(found)
    classes, level, matrix = _classes(context, notes)
    if classes is not None:
        tables += [_class_table(classes, level, matrix)]
    verdict = gate(parameters, classes, method)
    reasons = list(verdict.reasons)
    if classes is not None and level == 1:
        least = method.number("level1_accuracy").required
        if not classes.overall > least:
            reasons.append(
                Text(
                    zh=f"一级类总体精度为{100 * classes.overall:.2f}%，未超过{100 * least:g}%",
                    en=f"overall accuracy of level-1 classes is {100 * classes.overall:.2f} %, "
                    f"not above {100 * least:g} %",
                )
            )
    notes += verdict.notes
    # What to do with plots whose retrieved value is zero, the standard leaves open.
    open_rule = any(a.n_zero for found in parameters.values() for a in found.values())
    analysis = Analysis(
        id="ground_truth",
        title=Text(zh="地面真实性检验与精度", en="accuracy against the ground"),
        method=f"{method.id}@{method.version}",
        evidence="placeholder" if open_rule else "primary",
        provisional=open_rule,
        rules=_rules(method),
        findings=(_finding(parameters, classes, reasons, method),),
        tables=tuple(tables),
        notes=(*notes, *reasons),
        trace=context.key("ground_truth"),
    )
    checked = Gate(passed=not reasons, reasons=tuple(reasons), notes=tuple(verdict.notes))
    return Part(analyses=[analysis], gate=checked)


def _plots(context: Context) -> Matches | None:
    config = context.region.config.ground_truth
    path = context.table("ground_truth.plots", config.plots)
    if path is None:
        return None
    plots = read_plots(path, config.plot_columns, crs=config.crs)
    product, period, view = PRODUCTS["fvc"], context.period, context.view

    def read(rows: slice, columns: slice) -> np.ndarray:
        stored = view.read(period.cadence, product.id, period.id, (rows, columns))
        return np.where(stored == product.fill, np.nan, stored * product.scale)

    found = match_plots(plots, view.grid, read, crs=config.crs, period=period)
    if found.off_grid and not found.plots:
        first = next(p for p in plots if p.id == found.off_grid[0])
        raise InputError(
            f"none of the {len(found.off_grid)} plots of the period lies in the region; "
            f"{first.id}, for example, is at x {first.x:g}, y {first.y:g}",
            where=str(path),
            rule=f"coordinates are in {config.crs}; of degrees, x is the longitude",
            fix="correct the table, or 'ground_truth.crs' and 'plot_columns' in the region file",
        )
    for note in _left_out(found):
        log.warning("%s (%s)", note.en, path)
    return found


def _classes(context: Context, notes: list[Text]) -> tuple[ClassAccuracy | None, int, list[int]]:
    """Return the accuracy of land cover, its level, and the classes in the order of its arrays."""
    reference = reference_of(context)
    if reference is None:
        return None, 0, []
    legend = legend_of()
    view, period = context.view, context.period
    matrix, left_out = reference.matrix(context)
    if not matrix.any():
        raise InputError(
            f"none of the {left_out} reference samples lies where the map has a class",
            where=str(reference.path),
            rule=f"coordinates are in {context.region.config.ground_truth.crs}; of degrees, x is "
            "the longitude",
            fix="correct the table, or 'ground_truth.crs' and 'sample_columns' in the region file",
        )
    if left_out:
        notes.append(
            Text(
                zh=f"{left_out}个参考样本位于评估网格外或地图无类别处，未参与",
                en=f"{left_out} reference samples lie off the grid or where the map has no class; "
                "they take no part",
            )
        )
    counts = np.zeros(256, np.int64)
    for tile in view.grid.tiles():
        stored = view.read(period.cadence, "landcover", period.id, tile)
        counts += np.bincount(stored.ravel(), minlength=256)
    areas = counts[legend] * context.region.grid.pixel_area_m2 / 1e6
    level = 2 if (matrix.sum(axis=1)[areas > 0] >= 2).all() else 1
    codes = list(legend)
    if level == 1:
        codes = list(LUCC_LEVEL1)
        group = np.array([[code // 10 == c for code in legend] for c in codes], np.int64)
        matrix, areas = group @ matrix @ group.T, group @ areas
        notes.append(
            Text(
                zh="部分二级类样本不足2个，精度按一级类计算",
                en="some level-2 classes have fewer than two samples: accuracy is that of level 1",
            )
        )
    kept = (areas > 0) | (matrix.sum(axis=0) > 0)
    try:
        found = class_accuracy(matrix[np.ix_(kept, kept)], areas[kept])
    except InputError as error:
        raise InputError(
            error.what, where=str(reference.path), rule=error.rule, fix=error.fix
        ) from None
    return found, level, [c for c, k in zip(codes, kept, strict=True) if k]


def _known(value: float, factor: float = 100.0) -> float | None:
    return None if math.isnan(value) else factor * value


def _plot_table(found: dict[str, ParameterAccuracy]) -> AnalysisTable:
    columns = (
        AnalysisColumn(title=Text(zh="样地数", en="plots"), unit="count"),
        AnalysisColumn(title=Text(zh="参与P的样地数", en="plots in P"), unit="count"),
        AnalysisColumn(title=Text(zh="无值样地数", en="plots without a value"), unit="count"),
        AnalysisColumn(title=Text(zh="偏差", en="bias"), unit="pp"),
        AnalysisColumn(title=Text(zh="均方根误差", en="RMSE"), unit="pp"),
        AnalysisColumn(title=Text(zh="R²", en="R²"), unit="1"),
        AnalysisColumn(title=Text(zh="精度P", en="accuracy P"), unit="%"),
    )
    lines = tuple(
        AnalysisLine(
            head=_ALL_TYPES if kind == ALL else Text(zh=kind, en=kind),
            cells=(
                float(a.n), float(a.n_ree), float(a.n_missing), _known(a.bias), _known(a.rmse),
                _known(a.r2, 1.0), _known(a.p),
            ),
        )
        for kind, a in found.items()
    )  # fmt: skip
    return AnalysisTable(
        caption=Text(
            zh="植被覆盖度与地面样地",
            en="vegetation cover against plots",
        ),
        corner=Text(zh="植被类型", en="Type"),
        columns=columns,
        lines=lines,
    )


def _class_table(found: ClassAccuracy, level: int, codes: list[int]) -> AnalysisTable:
    titles = {c: t for c, (_, t) in LUCC.items()} if level == 2 else LUCC_LEVEL1
    columns = (
        AnalysisColumn(title=Text(zh="用户精度", en="user's accuracy"), unit="%"),
        AnalysisColumn(title=Text(zh="±（95%）", en="± (95 %)"), unit="pp"),
        AnalysisColumn(title=Text(zh="生产者精度", en="producer's accuracy"), unit="%"),
        AnalysisColumn(title=Text(zh="±（95%）", en="± (95 %)"), unit="pp"),
        AnalysisColumn(title=Text(zh="估计面积", en="estimated area"), unit="km2"),
        AnalysisColumn(title=Text(zh="±（95%）", en="± (95 %)"), unit="km2"),
    )
    lines = [
        AnalysisLine(
            head=titles[code],
            cells=(
                _known(found.users[k]), _known(found.users_interval[k]),
                _known(found.producers[k]), _known(found.producers_interval[k]),
                _known(found.area[k], 1.0), _known(found.area_interval[k], 1.0),
            ),
        )
        for k, code in enumerate(codes)
    ]  # fmt: skip
    return AnalysisTable(
        caption=Text(
            zh=f"土地覆盖与参考样本（{found.n}个，总体精度{100 * found.overall:.2f}%"
            f"±{100 * found.overall_interval:.2f}%，Kappa {found.kappa:.3f}）",
            en=f"land cover against {found.n} reference samples (overall accuracy "
            f"{100 * found.overall:.2f} ± {100 * found.overall_interval:.2f} %, "
            f"kappa {found.kappa:.3f})",
        ),
        corner=Text(zh="类别", en="Class"),
        columns=columns,
        lines=tuple(lines),
    )


def _left_out(found: Matches) -> list[Text]:
    notes = []
    for ids, zh, en in (
        (found.other_period, "调查日期不在本期", "surveyed at another time"),
        (
            found.off_grid,
            "位于评估区外（请核对坐标及其坐标系）",
            "outside the region (check coordinates and their CRS)",
        ),
    ):
        if ids:
            shown = ", ".join(ids[:6]) + (" …" if len(ids) > 6 else "")
            notes.append(
                Text(
                    zh=f"{len(ids)}个样地{zh}，未参与：{shown}",
                    en=f"{len(ids)} plot(s) {en}, left out: {shown}",
                )
            )
    return notes


def _rules(method: Method) -> tuple[Text, ...]:
    p = 100 * method.number("parameter_accuracy").required
    overall = 100 * method.number("overall_accuracy").required
    return (
        Text(
            zh=f"P=1−REE，REE=√(Σ((实测−反演)/反演)²/n)；要求P≥{p:g}%",
            en="P = 1 - REE, REE = sqrt(sum(((observed - retrieved)/retrieved)^2)/n); "
            f"P of at least {p:g} % is asked for",
        ),
        Text(
            zh=f"分类精度与面积按Olofsson等（2014）由样本按制图类别面积加权估计；要求总体精度>{overall:g}%",
            en="accuracy and areas of classes after Olofsson et al. (2014), weighted by mapped "
            f"area; overall accuracy above {overall:g} % is asked for",
        ),
        Text(
            zh="检验范围为整个数据集，不限于本专题的单元",
            en="the whole cube is checked, not only this programme's zones",
        ),
    )


def _finding(
    parameters: dict[str, dict[str, ParameterAccuracy]],
    classes: ClassAccuracy | None,
    reasons: list[Text],
    method: Method,
) -> Text:
    zh, en = [], []
    if "fvc" in parameters and not math.isnan(parameters["fvc"][ALL].p):
        a = parameters["fvc"][ALL]
        zh.append(f"植被覆盖度精度P为{100 * a.p:.2f}%（{a.n_ree}个样地）")
        en.append(f"accuracy P of vegetation cover {100 * a.p:.2f} % ({a.n_ree} plots)")
    if classes is not None:
        grade = kappa_grade(classes.kappa, method)
        zh.append(
            f"土地覆盖总体精度为{100 * classes.overall:.2f}%（{classes.n}个样本"
            + (f"，Kappa等级“{grade.zh}”）" if grade else "）")
        )
        en.append(
            f"overall accuracy of land cover {100 * classes.overall:.2f} % ({classes.n} samples"
            + (f', kappa "{grade.en}")' if grade else ")")
        )
    head_zh = "，".join(zh) or "未用地面数据检验"
    head_en = ", ".join(en) or "not checked against the ground"
    verdict_zh = "达到发布要求" if not reasons else f"未达到发布要求（{len(reasons)}项）"
    verdict_en = (
        "fit for release" if not reasons else f"not fit for release ({len(reasons)} reasons)"
    )
    return Text(
        zh=f"真实性检验：{head_zh}；{verdict_zh}。", en=f"Ground truth: {head_en}; {verdict_en}."
    )
