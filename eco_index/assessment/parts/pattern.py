"""Landscape pattern after HJ 1171-2021: patches, edges, aggregation, transfer between years."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from eco_index.assessment.parts.context import Context, Part, known
from eco_index.change import ChangeSpec, ChangeSums
from eco_index.indices.patches import PatchScan
from eco_index.indices.pattern import Aggregation, ClassPattern, Transfer, aggregation
from eco_index.indices.pattern import class_patterns as patterns_of
from eco_index.methods import method_of
from eco_index.products import LUCC, LUCC_LEVEL1, PRODUCTS
from eco_index.summary import (
    TOTAL_NAME,
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisTable,
    Row,
)
from eco_index.yamlio import Text
from eco_index.zonal import codes_of
from eco_index.zone_raster import together, zone_ids, zone_pixels

METHOD_ID = "hj1171_2021"
_DENOMINATOR = Text(
    zh="两期均有土地覆盖的像元面积", en="area of the zone's pixels with land cover in both years"
)


def part(context: Context) -> Part:
    """Return the pattern of all zones together, and the change of composition of each zone."""
    if context.region.config.landcover is None:
        return Part()
    method = method_of(context.region, METHOD_ID)
    fill = int(PRODUCTS["landcover"].fill or 0)
    res = context.region.grid.resolution
    scan = PatchScan(context.view.grid.shape, list(LUCC), fill, (res, res))
    change = ChangeSums(ChangeSpec(classes=("landcover",)), len(context.layer))
    whole = ChangeSums(ChangeSpec(classes=("landcover",)), 1)
    layer, grid, view = context.layer, context.view.grid, context.view
    for tile in grid.tiles():
        sheets = [zone_ids(layer, grid, tile, sheet) for sheet in range(layer.n_sheets)]
        inside = np.logical_or.reduce([ids > 0 for ids in sheets])
        drawn = [zone_pixels(layer, grid, tile, sheet) for sheet in range(layer.n_sheets)]
        if not inside.any() and not any(d.any() for d in drawn):
            scan.add(np.full(tile.shape, fill, np.uint8))
            continue
        period, before = context.period, context.compared
        now = view.read(period.cadence, "landcover", period.id, tile)
        # Patches are of whole pixels: those whose centre a zone holds, whatever its rule.
        scan.add(np.where(inside, now, fill).astype(np.uint8))
        if before is None:
            continue
        was = {"landcover": view.read(before.cadence, "landcover", before.id, tile)}
        for own in drawn:
            change.add(own.ids, was, {"landcover": now}, own.shares)
        # Zones may overlap: the matrix of all of them counts a pixel once.
        union = together(drawn)
        whole.add(union.ids, was, {"landcover": now}, union.shares)
    table = scan.table()
    patterns = [c for c in patterns_of(table) if c.area_ha > 0]
    tables = [_class_table(patterns), _landscape_table(patterns, aggregation(table))]
    rows: list[Row] = []
    findings: list[Text] = []
    if context.compared is not None:
        matrix = _transfer(whole.transitions["landcover"][0])
        tables += _transfer_tables(matrix, context)
        rows = _dynamic_rows(context, change, f"{method.id}@{method.version}")
        findings = [_finding(context, matrix)]
    return Part(
        rows=rows,
        analyses=[
            Analysis(
                id="pattern",
                title=Text(zh="生态系统格局", en="ecosystem pattern"),
                method=f"{method.id}@{method.version}",
                # The rule of neighbours is not stated in the text at hand.
                evidence="placeholder",
                provisional=True,
                rules=_RULES,
                findings=tuple(findings),
                tables=tuple(tables),
                trace=context.key("pattern"),
            )
        ],
    )


_RULES = (
    Text(
        zh="斑块为同类、八邻域相连的像元，范围为本专题全部单元之并；单元边界处的斑块按边界截断",
        en="a patch is pixels of one class that touch, corners included, within all zones of the "
        "programme together; zone borders cut patches",
    ),
    Text(
        zh="边界密度为与其他类别相邻的边界长度除以该类面积，不含无数据与图幅边缘",
        en="edge density: length of edges with other classes over the area of the class, without "
        "no-data and the outside",
    ),
    Text(
        zh="转移矩阵与综合动态度只统计两期均有土地覆盖的像元；综合动态度未除以年数",
        en="transfer matrix and dynamic degree stand on pixels with land cover in both years; the "
        "degree is not divided by years",
    ),
)


def _class_table(patterns: Sequence[ClassPattern]) -> AnalysisTable:
    lines = tuple(
        AnalysisLine(
            head=LUCC[c.cls][1],
            cells=(
                c.area_ha / 100, 100 * c.composition, float(c.patches), known(c.mean_patch_ha),
                known(c.edge_density), known(100 * c.like_adjacency),
            ),
        )
        for c in patterns
    )  # fmt: skip
    return AnalysisTable(
        caption=Text(zh="各类斑块", en="patches by class"),
        corner=Text(zh="类别", en="Class"),
        columns=(
            AnalysisColumn(title=Text(zh="面积", en="area"), unit="km2"),
            AnalysisColumn(title=Text(zh="构成比例", en="share"), unit="%"),
            AnalysisColumn(title=Text(zh="斑块数", en="patches"), unit="count"),
            AnalysisColumn(title=Text(zh="类斑块平均面积", en="mean patch area"), unit="hm2"),
            AnalysisColumn(title=Text(zh="边界密度", en="edge density"), unit="m/hm2"),
            AnalysisColumn(title=Text(zh="同类邻接比例", en="like adjacency"), unit="%"),
        ),
        lines=lines,
    )


def _landscape_table(patterns: Sequence[ClassPattern], found: Aggregation) -> AnalysisTable:
    return AnalysisTable(
        caption=Text(zh="整体格局", en="landscape"),
        corner=Text(zh="范围", en="Extent"),
        columns=(
            AnalysisColumn(title=Text(zh="类别数", en="classes"), unit="count"),
            AnalysisColumn(title=Text(zh="斑块数", en="patches"), unit="count"),
            AnalysisColumn(title=Text(zh="聚集度指数C", en="aggregation C"), unit="1"),
            AnalysisColumn(title=Text(zh="相对聚集度", en="relative aggregation"), unit="1"),
        ),
        lines=(
            AnalysisLine(
                head=TOTAL_NAME,
                cells=(
                    float(found.classes), float(sum(c.patches for c in patterns)),
                    known(found.value), known(found.relative),
                ),
            ),
        ),
    )  # fmt: skip


def _transfer(counts: np.ndarray) -> Transfer:
    """Return the matrix of level-1 classes from counts (no value, then LUCC codes)."""
    codes = codes_of(PRODUCTS["landcover"])
    group = np.array([[code // 10 == c for code in codes] for c in LUCC_LEVEL1], np.int64)
    both = group @ counts[1:, 1:] @ group.T
    return Transfer(
        np.array(list(LUCC_LEVEL1)),
        both,
        counts[1:, 0].sum().item(),
        counts[0, 1:].sum().item(),
    )


def _transfer_tables(matrix: Transfer, context: Context) -> list[AnalysisTable]:
    assert context.compared is not None
    before, period = context.compared, context.period
    pixel_km2 = context.region.grid.pixel_area_m2 / 1e6
    found = []
    for values, unit, zh, en in (
        (matrix.pixels * pixel_km2, "km2", "面积", "area"),
        (matrix.outgoing(), "%", "转出比例A", "share of the class before, A"),
        (matrix.incoming(), "%", "转入比例B", "share of the class now, B"),
    ):
        found.append(
            AnalysisTable(
                caption=Text(
                    zh=f"{before.zh}（行）至{period.zh}（列）土地覆盖转移矩阵：{zh}",
                    en=f"land-cover transfer from {before.id} (rows) to {period.id} (columns): "
                    f"{en}",
                ),
                corner=Text(zh=f"{before.zh}＼{period.zh}", en=f"{before.id} to {period.id}"),
                columns=tuple(
                    AnalysisColumn(title=title, unit=unit) for title in LUCC_LEVEL1.values()
                ),
                lines=tuple(
                    AnalysisLine(head=title, cells=tuple(known(float(v)) for v in line))
                    for title, line in zip(LUCC_LEVEL1.values(), values, strict=True)
                ),
            )
        )
    return found


def _dynamic_rows(context: Context, change: ChangeSums, method: str) -> list[Row]:
    pixel_km2 = context.region.grid.pixel_area_m2 / 1e6
    sums = [change, *(change.grouped(k, len(lines)) for lines, k in context.groupings)]
    tables = [counts for one in sums for counts in one.transitions["landcover"]]
    pixels = [total for one in sums for total in one.pixels]
    rows = []
    for (zone, _), counts, total in zip(context.lines, tables, pixels, strict=True):
        both = counts[1:, 1:].sum().item()
        degree = _transfer(counts).dynamic_degree()
        rows.append(
            Row(
                zone=zone,
                indicator="dynamic_degree",
                kind="change",
                title=Text(
                    zh="生态系统综合动态度（一级类）",
                    en="composite dynamic degree (level-1 classes)",
                ),
                value=known(degree),
                unit="%",
                denominator=_DENOMINATOR,
                denominator_km2=both * pixel_km2,
                valid_km2=both * pixel_km2,
                no_data_km2=max(total.item() - both, 0) * pixel_km2,
                method=method,
                evidence="primary",
                provisional=False,
                trace=context.key(zone, "dynamic_degree"),
            )
        )
    return rows


def _finding(context: Context, matrix: Transfer) -> Text:
    assert context.compared is not None
    degree = matrix.dynamic_degree()
    before, zh = context.compared.id, context.compared.zh
    if math.isnan(degree):
        return Text(
            zh=f"与{zh}相比没有两期均有土地覆盖的像元，格局变化不评价。",
            en=f"No pixel has land cover in {before} and now: change of pattern is not assessed.",
        )
    moved = matrix.pixels.astype(float).copy()
    np.fill_diagonal(moved, 0)
    if not moved.any():
        return Text(zh=f"与{zh}相比一级类无转移。", en=f"No level-1 class changed since {before}.")
    i, j = np.unravel_index(int(np.argmax(moved)), moved.shape)
    titles = list(LUCC_LEVEL1.values())
    area = moved[i, j] * context.region.grid.pixel_area_m2 / 1e6
    return Text(
        zh=f"与{zh}相比综合动态度为{degree:.2f}%，面积最大的转移为{titles[i].zh}转为"
        f"{titles[j].zh}（{area:.2f} km²）。",
        en=f"Since {before} {degree:.2f} % of the area changed its level-1 class; the largest "
        f"transfer is {titles[i].en} to {titles[j].en} ({area:.2f} km²).",
    )
