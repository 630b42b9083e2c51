"""Assess a programme in a period: sums, indices and maps into one schema-checked summary."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import shapely

from eco_index import __version__
from eco_index.assessment import sources
from eco_index.assessment.digest import assessment_digest, products_digest
from eco_index.assessment.gather import Gathered, gather
from eco_index.assessment.layer_notes import coverage_notes, shift_notes
from eco_index.assessment.notes import notes_of, scene_notes
from eco_index.assessment.parts import Context, parts_of
from eco_index.assessment.parts.leads import FOLDER as LEADS
from eco_index.assessment.rows import build_rows
from eco_index.assessment.specs import change_spec, records_of, sum_spec, unit_spec
from eco_index.assessment.totals import totals
from eco_index.assessment.unit_data import fill_inputs
from eco_index.assessment.units import Evaluated, evaluate_units, index_values, unit_inputs
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.errors import InputError
from eco_index.indicators import region_mean, to_index_value
from eco_index.indicators.result import IndexResult
from eco_index.methods import Method, method_of
from eco_index.period import Period
from eco_index.period_products import period_parameters
from eco_index.programme import ProgrammeConfig
from eco_index.summary import (
    SCHEMA_VERSION,
    TOTAL,
    TOTAL_NAME,
    Analysis,
    IndexValue,
    PeriodInfo,
    Programme,
    Provenance,
    RegionInfo,
    Row,
    Summary,
    Zone,
    write_summary,
)
from eco_index.yamlio import Text
from eco_index.zones import ZoneLayer, load_layer

Results = dict[str, Evaluated]


def assess(
    region: Region,
    programme: ProgrammeConfig,
    period: Period,
    view: CubeView,
    output: Path,
    previous: bool = True,
    tag: str | None = None,
) -> Path:
    """Write a programme's summary of a period, with zones and overview maps beside it.

    All is made beside its place first: an assessment that fails, is killed or meets a full disk
    changes nothing of the one that is there.

    Parameters
    ----------
    region, programme, period
        What is assessed.
    view : CubeView
        The cube; the period's products must be done.
    output : Path
        Folder of the assessment; gets summary.json, zones.geojson and maps/.
    previous : bool
        Compare with the same period a year before, where the cube holds it.
    tag : str, optional
        Tag that pins the period.

    Returns
    -------
    Path
        The summary file.

    Raises
    ------
    InputError
        Products not done; a layer or table that cannot be used.
    """
    made = output.with_name(f".{output.name}.new")
    shutil.rmtree(made, ignore_errors=True)
    try:
        summary = _made(region, programme, period, view, made, previous, tag)
        return _put_in_place(made, output, summary)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _made(
    region: Region,
    programme: ProgrammeConfig,
    period: Period,
    view: CubeView,
    output: Path,
    previous: bool,
    tag: str | None,
) -> Summary:
    """Write zones, maps and other files of an assessment into a folder; return its summary."""
    if products_digest(view, period) is None:
        raise InputError(
            f"the products of {period.id} are not all in the archive",
            where=f"{view.path}, programme {programme.id}",
            fix=f"run it first: eco run {region.config.path.name} --period {period.id}",
        )
    # At first: what changes while this runs makes the summary stale.
    digest = assessment_digest(region, programme, period, view)
    earlier = period.previous()
    interim = region.config.is_interim(period)
    # A part of a season is not compared with a whole one.
    comparable = previous and not interim and products_digest(view, earlier) is not None
    compared = earlier if comparable else None
    layer = load_layer(region, programme.layer, period.year)
    if programme.filter:
        layer = layer.select(programme.filter)
    # Half-years have no official index: it stands on a whole growing season.
    methods = programme.indices if period.half == 0 and region.config.landcover else ()
    units = None
    if methods and region.config.units is not None:
        units = load_layer(region, region.config.units, period.year)
    records = records_of(region, programme)
    months = region.config.period_months(period)
    sums = gather(
        view, period, compared, layer, units, sum_spec(records), change_spec(records),
        unit_spec(), months, region.config.landcover is not None,
    )  # fmt: skip
    prefix = f"{programme.id}/{period.id}"
    notes = notes_of(region, layer, period, compared)
    notes += shift_notes(region, layer, period.year)
    indices, results = _indices(
        region, view, methods, period, compared, units, layer, sums, prefix, notes
    )
    uses, marks = sources.methods_used(region, programme, results)
    zones = _zones(layer, sums, region.grid.pixel_area_m2 / 1e6)
    notes += coverage_notes(layer, [z.pixels_km2 for z in zones])
    rows = build_rows(
        records, zones, sums.now, sums.before, sums.change,
        region.grid.pixel_area_m2 / 1e6, marks, prefix,
    )  # fmt: skip
    for part in totals(layer, tuple(zones), sums):
        rows += build_rows(
            records, part.zones, part.now, part.before, part.change,
            region.grid.pixel_area_m2 / 1e6, marks, prefix,
        )  # fmt: skip
        zones += part.zones
    quality, failures = sources.quality_of(view, months, sums.months)
    marked_scenes = sources.scene_marks_of(region, view, months)
    notes += scene_notes(marked_scenes)
    output.mkdir(parents=True, exist_ok=True)
    maps = sums.overview.write(output, compared)
    parts = parts_of(
        Context(
            region, programme, period, compared, view, layer, tuple(zones[: len(layer)]), sums,
            rows, indices, output, prefix, results,
        )
    )  # fmt: skip
    analyses = [a for part in parts for a in part.analyses]
    uses += [u for part in parts for u in part.methods if u.id not in {v.id for v in uses}]
    notes += [n for part in parts for n in part.notes]
    zones += [z for part in parts for z in part.zones]
    maps = (*maps, *(m for part in parts for m in part.maps))
    _write_zones(layer, output / "zones.geojson")
    marked: list[Row | IndexValue | Analysis] = [*rows, *indices, *analyses]
    provisional = any(item.provisional for item in marked)
    tags = view.tags
    return Summary(
        region=RegionInfo(id=region.id, name=region.config.name),
        programme=Programme(
            id=programme.id,
            name=programme.name,
            layer=programme.layer,
            layer_title=layer.title,
            note=programme.note,
        ),
        period=PeriodInfo(
            id=period.id,
            start=str(period.start),
            end=str(period.end),
            months=tuple(m.id for m in months),
            compared_with=compared.id if compared else None,
        ),
        status="interim" if interim else "final",
        provisional=provisional or any(u.provisional for u in uses),
        simulated=_simulated(region),
        zones=tuple(zones),
        zones_file="zones.geojson",
        rows=tuple(rows),
        indices=tuple(indices),
        analyses=tuple(analyses),
        gate=next((part.gate for part in parts if part.gate is not None), None),
        maps=maps,
        files=tuple(name for part in parts for name in part.files),
        quality=tuple(quality),
        failures=tuple(failures),
        scene_marks=tuple(marked_scenes),
        inputs=tuple(sources.inputs_of(region, programme, period, view)),
        methods=tuple(uses),
        notes=tuple(notes),
        provenance=Provenance(
            snapshot=tags.get(tag, view.snapshot) if tag else view.snapshot,
            tag=tag,
            previous_snapshot=view.snapshot if compared else None,
            input_digest=digest,
            code_version=__version__,
            schema_version=SCHEMA_VERSION,
            grid=region.grid.signature(),
            parameters=period_parameters(region),
        ),
    )


def _put_in_place(made: Path, output: Path, summary: Summary) -> Path:
    """Move all files to the assessment's folder, the summary that names them last."""
    write_summary(summary, made / "summary.json")
    files = [p for p in made.rglob("*") if p.is_file()]
    for path in sorted(files, key=lambda p: p.name == "summary.json"):
        place = output / path.relative_to(made)
        place.parent.mkdir(parents=True, exist_ok=True)
        os.replace(path, place)
    _forget_files(output, summary)
    return output / "summary.json"


def _forget_files(output: Path, summary: Summary) -> None:
    """Delete maps and other files of an earlier summary that this one does not name."""
    named = {output / name for name in (*summary.files, *(m.path for m in summary.maps))}
    for path in (*(output / "maps").glob("*.tif"), *(output / LEADS).glob("*")):
        if path not in named:
            path.unlink()


def _indices(
    region: Region,
    view: CubeView,
    methods: tuple[str, ...],
    period: Period,
    compared: Period | None,
    units: ZoneLayer | None,
    layer: ZoneLayer,
    sums: Gathered,
    prefix: str,
    notes: list[Text],
) -> tuple[list[IndexValue], Results]:
    """Return the official indices of the programme's units; all units form the unit set."""
    values: list[IndexValue] = []
    used: Results = {}
    if units is None or sums.units_now is None:
        return values, used
    on_units = layer.id == region.config.units
    wanted = dict(zip(layer.ids, layer.names, strict=True) if on_units else
                  zip(units.ids, units.names, strict=True))  # fmt: skip
    for method_id in methods:
        method = method_of(region, method_id)
        now, found = unit_inputs(region, units, sums.units_now, period.year, method)
        before = None
        if compared is not None and sums.units_before is not None:
            before, _ = unit_inputs(region, units, sums.units_before, compared.year, method)
        rows, both = [now], [period]
        if before is not None and compared is not None:
            rows, both = [now, before], [period, compared]
        found += fill_inputs(rows, region, view, both, units, method)
        results, earlier = evaluate_units(method, now, before)
        values += index_values(method, results, earlier, wanted, prefix)
        shown = {u: results[u] for u in wanted if u in results}
        if on_units and len(wanted) == len(units) and len(shown) > 1:
            values.append(_region_value(method, results, earlier, prefix))
        unit_set = [*now.values(), *(before or {}).values()]
        used[method_id] = Evaluated(method, shown, now, unit_set)
        warnings = [w for r in shown.values() for w in r.warnings]
        notes += [n for n in (*found, *warnings) if n not in notes]
    return values, used


def _region_value(
    method: Method,
    results: dict[str, IndexResult],
    earlier: dict[str, IndexResult],
    prefix: str,
) -> IndexValue:
    """Return the index of all units together."""
    return to_index_value(
        method,
        region_mean(method, list(results.values())),
        TOTAL,
        TOTAL_NAME,
        region_mean(method, list(earlier.values())) if earlier else None,
        f"{prefix}/{TOTAL}/{method.id}",
    )


def _zones(layer: ZoneLayer, sums: Gathered, pixel_km2: float) -> list[Zone]:
    return [
        Zone(
            id=layer.ids[k],
            name=layer.names[k],
            attributes=layer.attributes[k],
            area_km2=float(layer.area_km2[k]),
            pixels_km2=float(sums.now.pixels[k]) * pixel_km2,
        )
        for k in range(len(layer))
    ]


def _write_zones(layer: ZoneLayer, path: Path) -> None:
    features: list[dict[str, Any]] = [
        {
            "type": "Feature",
            "properties": {"id": zone_id, "name_zh": name.zh, "name_en": name.en},
            "geometry": json.loads(shapely.to_geojson(shape)),
        }
        for zone_id, name, shape in zip(
            layer.ids, layer.names, layer.gdf.geometry.array, strict=True
        )
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features}, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _simulated(region: Region) -> bool:
    wanted_by = "the region's imagery"
    return any(
        "simulated" in region.catalog.get(d, wanted_by).source.lower()
        for d in region.config.imagery
    )
