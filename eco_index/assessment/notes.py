"""Notes of a summary: what a reader must know of zones, comparison and inputs."""

from __future__ import annotations

from collections.abc import Iterable

from eco_index.config import Region
from eco_index.period import Period
from eco_index.summary import SceneMark
from eco_index.yamlio import Text
from eco_index.zones import ZoneLayer


def notes_of(
    region: Region, layer: ZoneLayer, period: Period, compared: Period | None
) -> list[Text]:
    """Return the notes of an assessment."""
    notes = [
        Text(
            zh="“区间”为观测缺失的上下限：假定全部无数据像元取最小或最大可能值；不含分类与模型误差",
            en="intervals are bounds for missing observations: all pixels without data taken at "
            "the smallest or largest possible value; errors of classification and model are not "
            "in them",
        )
    ]
    if region.config.is_interim(period):
        season = [m.id for m in region.config.season_months(period)]
        notes.append(
            Text(
                zh=f"中期结果：仅用生长季{season[0]}至{season[-1]}的影像，不与上年整季比较",
                en=f"interim: only imagery of {season[0]} to {season[-1]}; not compared with the "
                "whole season of the year before",
            )
        )
    if compared is not None:
        notes.append(
            Text(
                zh=f"与{compared.zh}的比较采用同一套（本期）边界",
                en=f"the comparison with {compared.id} uses the same (present) boundaries",
            )
        )
    if region.config.landcover is None:
        notes.append(
            Text(
                zh="本区未提供土地覆盖数据：用地、森林及官方指数不评价",
                en="the region has no land cover: land use, forest and official indices are not "
                "assessed",
            )
        )
    for k in range(len(layer)):
        if layer.area_km2[k] - layer.inside_km2[k] > region.grid.pixel_area_m2 / 1e6:
            notes.append(
                Text(
                    zh=f"{layer.names[k].zh}仅有{layer.inside_km2[k]:.2f} km²"
                    f"（全部{layer.area_km2[k]:.2f} km²）位于评估网格内，结果只代表网格内部分",
                    en=f"only {layer.inside_km2[k]:.2f} of {layer.area_km2[k]:.2f} km2 of "
                    f"{layer.names[k].en} lie on the grid; its numbers stand for that part",
                )
            )
    if layer.outside:
        names = ", ".join(layer.outside)
        notes.append(
            Text(
                zh=f"不在评估网格内、未评估的区域：{names}",
                en=f"zones outside the grid, not assessed: {names}",
            )
        )
    return notes


def scene_notes(marks: Iterable[SceneMark]) -> list[Text]:
    """Return a note for each kind of lower quality among the scenes that were used."""
    return [
        Text(
            zh=f"{m.title.zh}的{m.of}景影像中有{m.scenes}景质量较低：{m.text.zh}",
            en=f"{m.scenes} of {m.of} scene(s) of {m.title.en} are of lower quality: {m.text.en}",
        )
        for m in marks
        if m.lower
    ]
