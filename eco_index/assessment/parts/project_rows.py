"""Restoration projects in the long table: one row each, evaluated or not."""

from __future__ import annotations

import math

import numpy as np

from eco_index.analysis.basis import Basis
from eco_index.analysis.restoration import SOURCES, VERDICTS, Restoration
from eco_index.assessment.parts.context import Context, known
from eco_index.products import PRODUCTS
from eco_index.programme import RestorationConfig
from eco_index.summary import Row, Zone
from eco_index.yamlio import Text
from eco_index.zonal import SumSpec, ZoneSums
from eco_index.zone_raster import drawn_zones
from eco_index.zones import ZoneLayer

INDICATOR = "restoration_effect"
_DENOMINATOR = Text(
    zh="工程区面积；有效面积为有对照且参与计算的方格内的工程区面积",
    en="area of the project; valid: its pixels in cells that found controls and were used",
)


def project_zones(context: Context, projects: ZoneLayer) -> dict[int, Zone]:
    """Return the projects to evaluate, by number, each as a zone of the summary.

    Of the programme's own layer these are its zones. Projects of another layer have its id before
    their own, for two layers may use one id, and say of which layer they are.
    """
    if projects.id == context.layer.id:
        own = {z.id: z for z in context.zones}
        return {k: own[zone] for k, zone in enumerate(projects.ids) if zone in own}
    grid = context.view.grid
    sums = ZoneSums(SumSpec(()), len(projects))
    for tile in grid.tiles():
        for drawn in drawn_zones(projects, grid, tile):
            sums.add(drawn.ids, {}, drawn.shares)
    km2 = sums.pixels * grid.pixel_area_m2 / 1e6
    return {
        k: Zone(
            id=f"{projects.id}:{zone}",
            name=projects.names[k],
            attributes=projects.attributes[k],
            area_km2=float(projects.area_km2[k]),
            pixels_km2=float(km2[k]),
            layer=projects.id,
        )
        for k, zone in enumerate(projects.ids)
    }


def effect_row(
    context: Context,
    config: RestorationConfig,
    zone: Zone,
    found: Restoration,
    pixels: np.ndarray,
    works: tuple[int, int],
) -> Row:
    """Return the row of a project whose effect was computed.

    Parameters
    ----------
    context, config
        What is assessed.
    zone : Zone
        The project.
    found : Restoration
        Its effect.
    pixels : numpy.ndarray
        (unit,), pixels of the project in each of its cells.
    works : tuple of int
        First and last year of the works.
    """
    valid = float(pixels[found.used].sum()) * context.region.grid.pixel_area_m2 / 1e6
    main = found.main
    told = not math.isnan(main.low)
    return _row(context, config, zone, found.basis, _note(found, works)).model_copy(
        update={
            "value": known(main.effect),
            "valid_km2": valid,
            "no_data_km2": max(zone.pixels_km2 - valid, 0.0),
            "interval": (main.low, main.high) if told else None,
            "interval_kind": "confidence" if told else "bounds",
        }
    )


def absent_row(
    context: Context, config: RestorationConfig, zone: Zone, basis: Basis, reason: Text
) -> Row:
    """Return the row of a project that cannot be evaluated: no value, no valid area, and why."""
    note = Text(zh=f"未评价：{reason.zh}", en=f"not evaluated: {reason.en}")
    return _row(context, config, zone, basis, note)


def _row(context: Context, config: RestorationConfig, zone: Zone, basis: Basis, note: Text) -> Row:
    title = PRODUCTS[config.product].title
    return Row(
        zone=zone.id,
        indicator=INDICATOR,
        title=Text(
            zh=f"修复工程成效（{title.zh}，相对对照区）",
            en=f"effect of restoration on {title.en}, against its controls",
        ),
        value=None,
        unit="pp" if config.product == "fvc" else "1",
        denominator=_DENOMINATOR,
        denominator_km2=zone.pixels_km2,
        valid_km2=0.0,
        no_data_km2=zone.pixels_km2,
        method=basis.method,
        evidence=basis.evidence,
        provisional=basis.provisional,
        trace=context.key(zone.id, INDICATOR),
        note=note,
    )


def _note(found: Restoration, works: tuple[int, int]) -> Text:
    """Say what was concluded, from which years, and how far the controls can be trusted."""
    verdict, source = VERDICTS[found.verdict], SOURCES[found.main.source]
    first, last = works
    old, new = found.years[found.years < first], found.years[found.years > last]
    zh = [verdict.zh, source.zh, f"施工{first}–{last}年"]
    en = [verdict.en, source.en, f"works {first}-{last}"]
    if old.size and new.size:
        before, after = _span(old), _span(new)
        zh.append(f"前{before.zh}，后{after.zh}")
        en.append(f"before {before.en}, after {after.en}")
    if found.placebo is not None:
        passed = found.placebo.holds_zero
        zh.append(f"安慰剂检验{'通过' if passed else '未通过'}")
        en.append(f"placebo check {'passed' if passed else 'failed'}")
    return Text(zh="；".join(zh), en="; ".join(en))


def _span(years: np.ndarray) -> Text:
    span = (int(years.min()), int(years.max()))
    return Text(
        zh=f"{span[0]}–{span[1]}年中{years.size}年", en=f"{years.size} of {span[0]}-{span[1]}"
    )
