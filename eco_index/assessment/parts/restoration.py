"""Effect of restoration projects: every zone of a layer against matched cells around it."""

from __future__ import annotations

import numpy as np

from eco_index.analysis.basis import basis_of
from eco_index.analysis.matching import Units, level_and_trend, match_controls
from eco_index.analysis.restoration import Restoration, restoration_effect
from eco_index.analysis.table_parts import analysis_of
from eco_index.analysis.tables import restoration_analysis
from eco_index.assessment.parts.context import Context, Part, years_done
from eco_index.assessment.parts.project_cells import CellSeries, project_cells, side_of
from eco_index.assessment.parts.project_rows import absent_row, effect_row, project_zones
from eco_index.errors import InputError
from eco_index.indicators import method_use
from eco_index.methods import Method, method_of
from eco_index.period import Period
from eco_index.programme import RestorationConfig
from eco_index.summary import Row
from eco_index.yamlio import Text
from eco_index.zones import ZoneLayer, load_layer

METHOD_ID = "restoration_effect"


class _NotYet(Exception):
    """Why a project cannot be evaluated."""

    def __init__(self, zh: str, en: str) -> None:
        super().__init__(en)
        self.text = Text(zh=zh, en=en)


def part(context: Context) -> Part:
    """Return the effect of every project of the layer.

    Raises
    ------
    InputError
        A layer without the columns of years, or with years that are no years.
    """
    config = context.programme.analyses.restoration
    assert config is not None
    method = method_of(context.region, METHOD_ID)
    projects = load_layer(context.region, config.layer, context.period.year)
    works = _years_of_works(context, projects, config)
    periods = years_done(context.view, context.period)
    zones, basis = project_zones(context, projects), basis_of(method)
    found: list[tuple[Text, Restoration]] = []
    rows: list[Row] = []
    notes: list[Text] = []
    for k, zone in zones.items():
        name = projects.names[k]
        try:
            years = _years_to_compare(works[k], periods)
            effect, pixels = _effect(context, config, projects, k, years, periods, method)
            found.append((name, effect))
            rows.append(effect_row(context, config, zone, effect, pixels, years))
        except _NotYet as reason:
            rows.append(absent_row(context, config, zone, basis, reason.text))
            notes.append(
                Text(
                    zh=f"{name.zh}：未评价，{reason.text.zh}",
                    en=f"{name.en}: not evaluated, {reason.text.en}",
                )
            )
    notes.append(_how(context, config, method))
    trace = context.key("restoration")
    if found:
        analysis = restoration_analysis(found, trace)
    else:
        analysis = analysis_of("restoration", basis, trace, [], [], [], [basis])
    analysis = analysis.model_copy(update={"notes": (*analysis.notes, *notes)})
    return Part(
        zones=[zone for zone in zones.values() if zone.layer],
        rows=rows,
        analyses=[analysis],
        methods=[method_use(method)],
    )


def _years_of_works(
    context: Context, projects: ZoneLayer, config: RestorationConfig
) -> list[tuple[int, int] | None]:
    """Return first and last year of every project's works; None where one is not given."""
    where = f"layer '{projects.id}', programme {context.programme.path}"
    columns = (config.first_year, config.last_year)
    absent = [c for c in columns if c not in projects.gdf.columns]
    if absent:
        names = [str(c) for c in projects.gdf.columns if c != projects.gdf.geometry.name]
        raise InputError(
            f"the layer of projects has no column {', '.join(absent)}",
            where=where,
            rule=f"columns: {', '.join(names)}",
            fix="name the columns in 'analyses.restoration' (first_year, last_year)",
        )
    found: list[tuple[int, int] | None] = []
    for k, name in enumerate(projects.ids):
        texts = [_text(projects.gdf[c].iloc[k]) for c in columns]
        if not all(texts):
            found.append(None)
            continue
        try:
            first, last = (int(t) for t in texts)
        except ValueError:
            first, last = 0, -1
        if not 1900 <= first <= last <= 2200:
            raise InputError(
                f"the works of project '{name}' run from '{texts[0]}' to '{texts[1]}'",
                where=where,
                rule=f"years in the columns {' and '.join(columns)}, the first not after the last",
            )
        found.append((first, last))
    return found


def _text(value: object) -> str:
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""
    text = str(value).strip()
    return text.removesuffix(".0") if text not in ("nan", "None", "<NA>") else ""


def _years_to_compare(works: tuple[int, int] | None, periods: list[Period]) -> tuple[int, int]:
    """Return first and last year of the works; _NotYet without years around them."""
    if works is None:
        raise _NotYet("未给出施工起止年", "the years of the works are not given")
    first, last = works
    before = sum(p.year < first for p in periods)
    after = sum(p.year > last for p in periods)
    if before < 2 or not after:
        raise _NotYet(
            f"数据立方体中工程前有{before}年、工程后有{after}年（至少2年和1年）",
            f"years in the cube before the works: {before}, after them: {after} (2 and 1 at least)",
        )
    return works


def _effect(
    context: Context,
    config: RestorationConfig,
    projects: ZoneLayer,
    k: int,
    works: tuple[int, int],
    periods: list[Period],
    method: Method,
) -> tuple[Restoration, np.ndarray]:
    """Return the effect of a project and its pixels in each cell; _NotYet where it has none."""
    first, last = works
    before = [p for p in periods if p.year < first]
    years = np.array([p.year for p in periods])
    own, others = project_cells(
        context, projects, k, config, periods, before[-1], method.number("max_distance").required
    )
    if not own.classes.size:
        raise _NotYet("工程区小于一个计算单元", "the project is smaller than a cell")
    old = years < first
    mine, theirs = (level_and_trend(c.values[old], years[old]) for c in (own, others))
    ok, usable = np.isfinite(mine).all(axis=1), np.isfinite(theirs).all(axis=1)
    if not ok.any() or not usable.any():
        raise _NotYet("工程前有效观测不足", "too few observations before the works")
    matches = match_controls(_units(own, mine, ok), _units(others, theirs, usable), method)
    control = np.full(own.values.shape, np.nan)
    control[:, ok] = matches.control(others.values[:, usable])
    factor, unit = (100.0, "%") if config.product == "fvc" else (1.0, "1")
    effect = restoration_effect(
        factor * own.values, factor * control, years, first, last, method,
        unit=unit, balanced=matches.balanced,
    )  # fmt: skip
    return effect, own.pixels


def _units(cells: CellSeries, covariates: np.ndarray, chosen: np.ndarray) -> Units:
    return Units(covariates[chosen], cells.classes[chosen], cells.xy[chosen])


def _how(context: Context, config: RestorationConfig, method: Method) -> Text:
    """Say which cells were compared."""
    side = side_of(config, context.view.grid) * context.view.grid.resolution
    near, far = (method.number(k).required / 1000 for k in ("min_distance", "max_distance"))
    return Text(
        zh=f"计算单元为{side:g} m方格：过半像元在工程区内的为工程单元；"
        "对照单元完全在全部工程区之外，"
        f"距本工程{near:g}至{far:g} km，"
        "工程前一年同一地类，工程前均值与趋势相近",
        en=f"cells of {side:g} m: of the project if more than half of their pixels are; controls "
        f"lie wholly outside all projects, {near:g} to {far:g} km away, of the same land class the "
        "year before the works, and alike in mean and trend before them",
    )
