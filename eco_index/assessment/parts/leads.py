"""Open human-activity leads (疑似问题线索) of the programme's zones, from the ledger."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence

from eco_index.assessment.parts.context import Context, Part
from eco_index.ledger import (
    LeadParameters,
    chip_path,
    leads_folder,
    ledger_path,
    lines_of,
    load_parameters,
    read_ledger,
)
from eco_index.ledger.known import Known, known_leads, searches
from eco_index.ledger.places import check_owner
from eco_index.ledger.records import LEVELS, STATES, Run
from eco_index.period import Period
from eco_index.summary import (
    Analysis,
    AnalysisColumn,
    AnalysisLine,
    AnalysisPicture,
    AnalysisTable,
)
from eco_index.yamlio import Text

METHOD = "activity_leads@1"
FOLDER = "leads"
COPY = f"{FOLDER}/leads.jsonl"
#: Open leads listed and pictured on a page; analyses.csv holds all open ones.
MOST_LINES, MOST_PICTURES = 20, 6
_GRAVITY = tuple(LEVELS)  # high, medium, low


def part(context: Context) -> Part:
    """Return numbers by kind and state, the gravest open leads, and pictures of some.

    Raises
    ------
    InputError
        The ledger was changed by hand, is damaged, or belongs to another region.
    """
    region, layer = context.region, context.layer
    ledger = read_ledger(ledger_path(region))
    check_owner(ledger, region)
    parameters = load_parameters()
    ids = set(layer.ids)
    known = [
        one
        for one in known_leads(ledger, layer.id, context.period)
        if ids & set(one.zones_of(layer.id))
    ]
    gravest = sorted(
        (one for one in known if one.is_open),
        key=lambda one: (
            _GRAVITY.index(one.detected.level), -one.detected.area_ha, one.lead.id,
        ),
    )  # fmt: skip
    runs = searches(ledger, (context.programme.id, layer.id), context.period)
    tables, notes = [], [_searched(context, runs)]
    if known:
        tables.append(_numbers(known, parameters))
    if gravest:
        tables.append(_listed(context, gravest, parameters))
    if len(gravest) > MOST_LINES:
        notes.append(
            Text(
                zh=f"共{len(gravest)}条未办结线索，此处列出{MOST_LINES}条，全部见analyses.csv",
                en=f"{len(gravest)} open leads, {MOST_LINES} are listed; all are in analyses.csv",
            )
        )
    pictures = _pictures(context, gravest, parameters)
    files = [p.path for p in pictures]
    if known:
        files.append(COPY)
        (context.output / FOLDER).mkdir(parents=True, exist_ok=True)
        (context.output / COPY).write_bytes(lines_of(ledger, {one.lead.id for one in known}))
        notes.append(
            Text(
                zh=f"本表所依据的台账记录随附于{COPY}；经纬度坐标系为{known[0].detected.lonlat_crs}",
                en=f"the ledger's lines behind these tables are in {COPY}; longitude and latitude "
                f"on {known[0].detected.lonlat_crs}",
            )
        )
    analysis = Analysis(
        id="leads",
        title=Text(zh="疑似问题线索", en="human-activity leads"),
        method=METHOD,
        evidence="secondary",
        provisional=False,
        rules=(
            Text(
                zh="线索由两期土地覆盖与影像变化提取，须经实地核查；判别限值为工程判断，非标准规定",
                en="leads come from change of land cover and imagery between two periods and are "
                "to be checked on the ground; their limits are engineering judgement, not part of "
                "a standard",
            ),
            Text(
                zh="位置、面积与置信度以截至本期的最近一次检出为准，状态为编制报告时台账所载；"
                "未办结包括新发现、已下发、核实属实、已整改（待销号）",
                en="place, area and confidence are those of the last detection up to this period, "
                "states those of the ledger when the report was made; open: new, sent, confirmed, "
                "rectified (not yet struck off)",
            ),
            Text(
                zh="按置信等级、再按面积从大到小排列",
                en="ordered by level of confidence, then by area",
            ),
        ),
        findings=_findings(context, known, gravest, runs),
        tables=tuple(tables),
        pictures=tuple(pictures),
        notes=tuple(notes),
        trace=context.key("leads"),
    )
    return Part(analyses=[analysis], files=files)


def _searched(context: Context, runs: Sequence[Run]) -> Text:
    period = context.period
    if not runs:
        return Text(
            zh=f"台账中没有{period.zh}的线索检索记录：本期新线索未列入（eco leads find）",
            en=f"the ledger holds no search of {period.id}: leads that are new in it are not "
            "listed (eco leads find)",
        )
    last = runs[-1]
    return Text(
        zh=f"{_zh(last.against)}与{_zh(last.period)}对比检索，台账记录于{last.time:%Y-%m-%d}",
        en=f"searched between {last.against} and {last.period}, entered in the ledger on "
        f"{last.time:%Y-%m-%d}",
    )


def _zh(period: str) -> str:
    return Period.parse(period).zh


def _findings(
    context: Context, known: Sequence[Known], gravest: Sequence[Known], runs: Sequence[Run]
) -> tuple[Text, ...]:
    if not known and not runs:
        return ()
    period = context.period.id
    new = sum(one.lead.first.detected.period == period for one in known)
    area = sum(one.detected.area_ha for one in gravest)
    high = sum(one.detected.level == "high" for one in gravest)
    return (
        Text(
            zh=f"疑似问题线索：未办结{len(gravest)}条（{area:.2f}公顷，其中高置信{high}条），"
            f"本期新发现{new}条。",
            en=f"Human-activity leads: {len(gravest)} open ({area:.2f} ha, {high} of high "
            f"confidence), {new} first found in {period}.",
        ),
    )


def _numbers(known: Sequence[Known], parameters: LeadParameters) -> AnalysisTable:
    counts = Counter((one.detected.kind, one.lead.state) for one in known)
    order = [*parameters.kinds, *(["road"] if parameters.road else [])]
    kinds = sorted(
        {kind for kind, _ in counts}, key=lambda k: (order.index(k) if k in order else 99, k)
    )
    areas = dict.fromkeys(kinds, 0.0)
    for one in known:
        if one.is_open:
            areas[one.detected.kind] += one.detected.area_ha
    states = list(STATES)
    lines = [
        AnalysisLine(
            head=parameters.title_of(kind),
            cells=(*(float(counts[kind, s]) for s in states), areas[kind]),
        )
        for kind in kinds
    ]
    if len(lines) > 1:
        sums = [sum(counts[k, s] for k in kinds) for s in states]
        lines.append(
            AnalysisLine(
                head=Text(zh="合计", en="all together"),
                cells=(*map(float, sums), sum(areas.values())),
            )
        )
    return AnalysisTable(
        caption=Text(zh="线索数量（按类型与状态）", en="number of leads by kind and state"),
        corner=Text(zh="问题类型", en="Kind"),
        columns=(
            *(AnalysisColumn(title=STATES[s], unit="count") for s in states),
            AnalysisColumn(title=Text(zh="未办结面积", en="open area"), unit="hm2"),
        ),
        lines=tuple(lines),
    )


def _listed(
    context: Context, gravest: Sequence[Known], parameters: LeadParameters
) -> AnalysisTable:
    lines = tuple(
        AnalysisLine(
            head=Text(zh=one.lead.id, en=one.lead.id),
            cells=(
                parameters.title_of(one.detected.kind),
                STATES[one.lead.state],
                one.detected.area_ha,
                _confidence(one),
                _same(f"{one.detected.lon:.5f}, {one.detected.lat:.5f}"),
                one.detected.county.name if one.detected.county is not None else None,
                _zones(context, one),
            ),
        )
        for one in gravest
    )
    return AnalysisTable(
        caption=Text(zh="未办结线索", en="open leads"),
        corner=Text(zh="线索编号", en="Lead"),
        columns=(
            AnalysisColumn(title=Text(zh="问题类型", en="kind")),
            AnalysisColumn(title=Text(zh="状态", en="state")),
            AnalysisColumn(title=Text(zh="面积", en="area"), unit="hm2"),
            AnalysisColumn(title=Text(zh="置信度", en="confidence")),
            AnalysisColumn(title=Text(zh="经度，纬度（°）", en="longitude, latitude (°)")),
            AnalysisColumn(title=Text(zh="旗县", en="county")),
            AnalysisColumn(title=Text(zh="所在区域（功能分区）", en="zone (functional zone)")),
        ),
        lines=lines,
        shown=MOST_LINES if len(lines) > MOST_LINES else None,
    )


def _same(text: str) -> Text:
    return Text(zh=text, en=text)


def _confidence(one: Known) -> Text:
    level, value = LEVELS[one.detected.level], one.detected.confidence
    gone = one.missed is not None
    return Text(
        zh=f"{value:.2f} {level.zh}" + ("（此后未检出）" if gone else ""),
        en=f"{value:.2f} {level.en}" + (" (not found since)" if gone else ""),
    )


def _zones(context: Context, one: Known) -> Text:
    """Return the programme's zones that hold it, by the share of it, and the functional zone."""
    ids = set(context.layer.ids)
    held = [z for z in one.detected.zones if z.layer == context.layer.id and z.id in ids]
    held.sort(key=lambda z: -z.share)
    function = one.detected.functional_zone
    return Text(
        zh="、".join(z.name.zh for z in held) + (f"（{function}）" if function else ""),
        en=", ".join(z.name.en for z in held) + (f" ({function})" if function else ""),
    )


def _pictures(
    context: Context, gravest: Sequence[Known], parameters: LeadParameters
) -> list[AnalysisPicture]:
    """Copy the pictures of the gravest leads beside the summary; those that are not there lack."""
    found: list[AnalysisPicture] = []
    source = leads_folder(context.region)
    for one in gravest:
        if len(found) == MOST_PICTURES:
            break
        detected = one.detected
        chip = chip_path(source, one.lead.id, detected.period, detected.against)
        if not chip.is_file():
            continue
        name = f"{FOLDER}/{one.lead.id}.png"
        (context.output / FOLDER).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(chip, context.output / name)
        kind = parameters.title_of(detected.kind)
        before, now = detected.against, detected.period
        found.append(
            AnalysisPicture(
                path=name,
                title=Text(
                    zh=f"{one.lead.id}：{kind.zh}（{STATES[one.lead.state].zh}）",
                    en=f"{one.lead.id}: {kind.en} ({STATES[one.lead.state].en})",
                ),
                alt=Text(
                    zh=f"线索{one.lead.id}在{_zh(before)}（左）与{_zh(now)}（右）的植被覆盖度和地类",
                    en=f"lead {one.lead.id} in {before} (left) and {now} (right): vegetation cover "
                    "and land cover",
                ),
            )
        )
    return found
