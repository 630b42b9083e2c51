"""What a summary says of its inputs, methods and observation quality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from eco_index.assessment.digest import programme_methods
from eco_index.assessment.gather import MonthSums
from eco_index.assessment.rows import MethodMark
from eco_index.assessment.units import Evaluated
from eco_index.config import Region
from eco_index.cover import choice_of, end_members, percent_of, statement
from eco_index.cube import CubeView
from eco_index.indicators import method_use
from eco_index.indicators.adapters import to_method_number
from eco_index.methods import Method, method_of
from eco_index.period import Month, Period
from eco_index.period_products import period_parameters
from eco_index.programme import ProgrammeConfig
from eco_index.sources.scene_marks import marked_scenes
from eco_index.summary import (
    Evidence,
    Failure,
    InputDataset,
    MethodInput,
    MethodNumber,
    MethodOption,
    MethodUse,
    MonthQuality,
    SceneMark,
    weakest,
)

#: Numbers of parameter methods that the products really use.
USED = {
    "fvc_dimidiate": ("ndvi_soil", "ndvi_veg"),
    "forest_coverage": ("min_area_ha",),
    "hj1176_2021": ("parameter_accuracy", "overall_accuracy", "level1_accuracy"),
}
#: Instead of the fixed pair, by the region's choice of end members.
USED_BY_CHOICE = {"percentile": ("low_percent", "high_percent"), "map": ()}


def methods_used(
    region: Region,
    programme: ProgrammeConfig,
    results: Mapping[str, Evaluated],
) -> tuple[list[MethodUse], dict[str, MethodMark]]:
    """Return the methods of a summary and what rows say of each."""
    uses: list[MethodUse] = []
    for method_id in programme_methods(region, programme):
        if method_id in results:
            found = results[method_id]
            use = method_use(found.method, found.results.values())
            uses.append(_with_inputs(use, found.method))
            continue
        if method_id in programme.indices:
            continue  # not evaluated for this period
        method = method_of(region, method_id)
        for key in _used(region, method_id):
            method.number(key)
        use = method_use(method)
        if method_id == "forest_coverage":
            use = _contiguity(region, use, method)
        if method_id == "fvc_dimidiate" and region.config.fvc is not None:
            use = _own_end_members(region, use)
        uses.append(use)
    marks = {
        use.id: MethodMark(
            f"{use.id}@{use.version}",
            weakest(n.evidence for n in use.numbers),
        )
        for use in uses
    }
    return uses, marks


def _used(region: Region, method_id: str) -> tuple[str, ...]:
    used = USED.get(method_id, ())
    landcover = region.config.landcover
    if method_id == "forest_coverage" and landcover is not None and landcover.canopy is not None:
        return (*used, "canopy")
    return USED_BY_CHOICE.get(choice_of(region), used) if method_id == "fvc_dimidiate" else used


def _with_inputs(use: MethodUse, method: Method) -> MethodUse:
    inputs = {k: MethodInput(title=s.title, unit=s.unit) for k, s in method.file.inputs.items()}
    options = {
        k: MethodOption(
            title=s.title,
            choices=s.choices,
            default=s.default,
            given_by_unit=s.given_by_unit,
        )
        for k, s in method.file.options.items()
    }
    return use.model_copy(update={"inputs": inputs, "options": options})


def _contiguity(region: Region, use: MethodUse, method: Method) -> MethodUse:
    """Name the rule of contiguous pixels where it decides: patches of more than one pixel."""
    if period_parameters(region)["forest_min_pixels"] <= 1:
        return use
    rule = method.rules["contiguous"]
    return use.model_copy(
        update={
            "numbers": (*use.numbers, to_method_number(rule)),
            "provisional": use.provisional or not rule.sure,
        }
    )


def _own_end_members(region: Region, use: MethodUse) -> MethodUse:
    """The region file's own choice of end members replaces the method's pair."""
    own, choice = region.config.fvc, choice_of(region)
    assert own is not None
    numbers: list[MethodNumber] = []
    if choice == "percentile" and own.evidence is None:
        numbers += use.numbers  # the method's percentiles
    elif choice == "percentile":
        percent = zip(("low_percent", "high_percent"), percent_of(region), strict=True)
        numbers += [_number(key, value, "%", own.evidence, own.source) for key, value in percent]
    evidence = own.evidence or weakest(n.evidence for n in numbers)
    fixed = choice == "fixed"
    source = own.source if fixed else statement(region)
    source_zh = own.source if fixed else statement(region, "zh")
    if choice == "map":
        numbers.append(_number("end_members", None, "1", evidence, source, source_zh))
    else:
        pair = zip(("ndvi_soil", "ndvi_veg"), end_members(region), strict=True)
        numbers += [_number(key, value, "1", evidence, source, source_zh) for key, value in pair]
    unsure = evidence in ("recalled", "placeholder")
    return use.model_copy(update={"numbers": tuple(numbers), "provisional": unsure})


def _number(
    key: str,
    value: float | None,
    unit: str,
    evidence: Evidence | None,
    source: str | None,
    source_zh: str | None = None,
) -> MethodNumber:
    return MethodNumber(
        key=key, value=value, unit=unit, evidence=evidence or "placeholder", source=source or "",
        source_zh=source_zh or "",
    )  # fmt: skip


def quality_of(
    view: CubeView, months: list[Month], sums: Mapping[str, MonthSums]
) -> tuple[list[MonthQuality], list[Failure]]:
    """Return the observation quality of each month, and every asset that could not be used."""
    quality, failures = [], []
    for month in months:
        manifest = view.manifest(month)
        failed = manifest.failures if manifest is not None else ()
        part = sums[month.id]
        quality.append(
            MonthQuality(
                month=month.id,
                scenes=len(manifest.scenes) if manifest is not None else 0,
                failed_scenes=len({(f.dataset, f.scene) for f in failed}),
                observed_share=part.seen / part.pixels if part.pixels else None,
                mean_clear_count=part.count / part.pixels if part.pixels else None,
            )
        )
        failures += [
            Failure(
                month=month.id, dataset=f.dataset, scene=f.scene, asset=f.asset, reason=f.reason
            )
            for f in failed
        ]
    return quality, failures


def scene_marks_of(region: Region, view: CubeView, months: list[Month]) -> list[SceneMark]:
    """Return what the manifests say of how good the scenes are that were used."""
    manifests = [view.manifest(month) for month in months]
    scenes = [scene for m in manifests if m is not None for scene in m.scenes]
    return [
        SceneMark(
            dataset=m.dataset,
            title=region.catalog.get(m.dataset, "the scenes of a manifest").title,
            mark=m.mark,
            text=m.text,
            lower=m.lower,
            scenes=m.scenes,
            of=m.of,
        )
        for m in marked_scenes(scenes)
    ]


def inputs_of(
    region: Region, programme: ProgrammeConfig, period: Period, view: CubeView
) -> list[InputDataset]:
    """Return every dataset that was read, imagery with its number of scenes."""
    used: Counter[str] = Counter()
    failed: Counter[str] = Counter()
    for month in region.config.period_months(period):
        manifest = view.manifest(month)
        if manifest is not None:
            used.update(s.dataset for s in manifest.scenes)
            failed.update(d for d, _ in {(f.dataset, f.scene) for f in manifest.failures})
    ids: list[str] = list(region.config.imagery)
    config = region.config
    if config.landcover is not None:
        ids += [
            d
            for d in (
                config.landcover.dataset,
                config.landcover.rivers,
                config.landcover.sandy_land,
                config.landcover.canopy,
            )
            if d is not None
        ]
    if config.fvc is not None:
        ids += [d for d in (config.fvc.soil_map, config.fvc.veg_map) if d is not None]
    layers = [programme.layer, *([config.fvc.zones] if config.fvc and config.fvc.zones else [])]
    layers += [name for name in programme.analyses.combine if name in config.layers]
    if programme.indices and config.units is not None:
        layers += [config.units, *(["red_line"] if "red_line" in config.layers else [])]
        ids += [config.statistics] if config.statistics is not None else []
        ids += config.unit_data.datasets().values()
    asked = programme.analyses
    if config.services is not None:
        from_maps = programme.indices and config.unit_data.from_services
        if asked.services or asked.problems or from_maps:
            ids += config.services.datasets().values()
    if asked.problems and config.problems.grass_zones is not None:
        layers.append(config.problems.grass_zones)
    if asked.habitat and config.habitat is not None:
        ids += config.habitat.datasets().values()
    if asked.quality and config.quality is not None:
        ids += config.quality.datasets().values()
        layers += [config.quality.zones] if config.quality.zones is not None else []
    ids += [config.layers[name].dataset_of(period.year) for name in layers]
    out = []
    for dataset_id in dict.fromkeys(ids):
        entry = region.catalog.get(dataset_id, f"programme {programme.id}")
        imagery = dataset_id in config.imagery
        out.append(
            InputDataset(
                id=dataset_id,
                title=entry.title,
                source=entry.source,
                licence=entry.licence,
                scenes=used[dataset_id] if imagery else None,
                failed_scenes=failed[dataset_id] if imagery else None,
            )
        )
    return out
