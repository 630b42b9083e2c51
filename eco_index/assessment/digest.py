"""What an assessment depends on, as one digest: unchanged means it need not be made again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from eco_index import __version__
from eco_index.assessment.unit_data import data_receipts
from eco_index.assessment.units import statistics_path
from eco_index.change import CHANGE_VERSION
from eco_index.config import Region
from eco_index.cube import CubeView
from eco_index.digests import hash_of, period_digest
from eco_index.indicators import INDICATORS
from eco_index.ledger import ledger_path, load_parameters, read_ledger
from eco_index.ledger.known import known_leads, searches
from eco_index.methods import method_of, methods_folder
from eco_index.period import Period
from eco_index.period_products import period_parameters
from eco_index.programme import ProgrammeConfig
from eco_index.services import service_receipts
from eco_index.services.habitat import habitat_receipts
from eco_index.services.maps import versions as service_versions
from eco_index.services.quality import quality_receipts
from eco_index.services.types import load_types
from eco_index.summary import SCHEMA_VERSION
from eco_index.zonal import ZONAL_VERSION
from eco_index.zone_raster import ZONES_VERSION
from eco_index.zones import layer_path

#: Raise it whenever summaries of the same inputs would say something else.
ASSESSMENT_VERSION = 4


def products_digest(view: CubeView, period: Period) -> str | None:
    """Return the digest of all products of a period, None unless every tile is done."""
    return period_digest(period, view.grid.tiles(), view.states())


def programme_methods(region: Region, programme: ProgrammeConfig) -> list[str]:
    """Return the ids of all methods a programme rests on."""
    known = {p.stem for p in methods_folder().glob("*.yaml")}
    with_landcover = region.config.landcover is not None
    ids = ["fvc_dimidiate"]
    for name in programme.indicators:
        record = INDICATORS.get(name)
        if record is not None and (with_landcover or not record.needs_landcover):
            ids.append(record.method)
    ids += programme.indices if with_landcover else ()
    ids += ["grassland_cover"] if programme.analyses.grassland_plots else []
    ids += ["forest_coverage"] if programme.analyses.forest_rate and with_landcover else []
    ids += ["residual_trend"] if programme.analyses.attribution else []
    ids += ["early_warning"] if programme.analyses.early_warning else []
    ids += ["uncertainty"] if programme.analyses.intervals else []
    ids += ["restoration_effect"] if programme.analyses.restoration else []
    ids += ["hj1176_2021"] if programme.analyses.ground_truth else []
    ids += ["hj1171_2021"] if programme.analyses.pattern and with_landcover else []
    return [m for m in dict.fromkeys(ids) if m in known]


def assessment_digest(
    region: Region, programme: ProgrammeConfig, period: Period, view: CubeView
) -> str:
    """Return the digest of everything a programme's summary of a period depends on.

    Raises
    ------
    InputError, UsageError
        A layer's file is missing, or the region file names something that does not exist.
    """
    layers = {programme.layer}
    previous = period.previous()
    years = [period.year, previous.year]
    files: list[Path | None] = []
    unit_data: list[Any] = []
    if programme.indices and region.config.units is not None:
        layers |= {region.config.units} | ({"red_line"} & set(region.config.layers))
        files += [statistics_path(region, year) for year in years]
        unit_data = [data_receipts(region, year) for year in years]
    if programme.analyses.restoration is not None:
        layers |= {programme.analyses.restoration.layer}
    layers |= set(programme.analyses.combine) & set(region.config.layers)
    files += [layer_path(region, layer, period.year) for layer in sorted(layers)]
    # Notes tell boundaries that changed since, and layers that lie shifted against the units.
    both = {programme.layer} | (set(programme.analyses.combine) & set(region.config.layers))
    files += [layer_path(region, layer, previous.year) for layer in sorted(both)]
    if region.config.units is not None:
        files.append(layer_path(region, region.config.units, period.year))
    files += _ground_truth(region, programme, period)
    methods = [*programme_methods(region, programme), *_service_methods(region, programme)]
    files += [methods_folder() / f"{m}.yaml" for m in methods]
    config = region.config.model_dump(mode="json", exclude={"output", "schedule", "programmes"})
    return hash_of(
        {
            "versions": [
                ASSESSMENT_VERSION, ZONAL_VERSION, CHANGE_VERSION, ZONES_VERSION, SCHEMA_VERSION,
                __version__,
            ],
            "region": config,
            "programme": programme.model_dump(mode="json"),
            "catalog": {k: v.model_dump(mode="json") for k, v in region.catalog.datasets.items()},
            "products": [
                products_digest(view, p) for p in _periods(region, programme, period, view)
            ],
            "parameters": period_parameters(region),
            "months": [m.id for m in region.config.period_months(period)],
            "overlays": {m: method_of(region, m).overlay_digest for m in methods},
            "failures": _failures(region, period, view),
            "files": [_file(path) for path in files],
            "unit_data": unit_data,
            "leads": _leads(region, programme, period),
            "services": _services(region, programme, years),
            "quality": quality_receipts(region, years) if programme.analyses.quality else None,
            "habitat": habitat_receipts(region, years) if programme.analyses.habitat else None,
        }
    )  # fmt: skip


def _service_methods(region: Region, programme: ProgrammeConfig) -> list[str]:
    """Return the methods of services and problems; they are listed with the numbers they read."""
    asked = programme.analyses
    inputs = programme.indices and region.config.unit_data.from_services
    found = ["hj1173_2021"] if asked.services or asked.problems or inputs else []
    found += ["hj1174_2021"] if asked.problems else []
    return [*found, "hj1172_2021"] if asked.quality else found


def _services(region: Region, programme: ProgrammeConfig, years: list[int]) -> list[Any]:
    """Return what identifies rasters, crosswalk and code behind services and problems."""
    if not _service_methods(region, programme) or region.config.services is None:
        return []
    types = load_types(region.config.services.types, region.config.path)
    found: list[Any] = [service_versions(), types.digest]
    found += [service_receipts(region, year) for year in years]
    sandy = region.config.landcover.sandy_land if region.config.landcover is not None else None
    if programme.analyses.problems and sandy is not None:
        path = region.catalog.path_of(sandy, "landcover.sandy_land", years[0])
        found.append(_file(path))
    return found


def _periods(
    region: Region, programme: ProgrammeConfig, period: Period, view: CubeView
) -> list[Period]:
    """Return every period a summary looks at."""
    asked = programme.analyses
    found = [period, period.previous()]
    if asked.problems:
        found += [Period(year, period.half) for year in region.config.problems.grass_years]
    if asked.quality and region.config.quality is not None:
        found += [Period(year, period.half) for year in region.config.quality.reference_years]
    if asked.baseline is not None:
        found.append(Period(asked.baseline, period.half))
    if asked.trend or asked.attribution or asked.early_warning or asked.restoration:
        found += [Period(y, period.half) for y in range(view.axis.years[0], period.year)]
    return found


def _ground_truth(region: Region, programme: ProgrammeConfig, period: Period) -> list[Path | None]:
    asked, config = programme.analyses, region.config.ground_truth
    named = [config.plots] if asked.ground_truth else []
    named += [config.samples] if asked.ground_truth or asked.intervals else []
    named += [config.grassland_plots, config.grassland_areas] if asked.grassland_plots else []
    forest = region.config.forest
    named += [forest.table, forest.rain] if asked.forest_rate else []
    named += [region.config.weather] if asked.attribution else []
    return [
        region.catalog.path_of(dataset, "ground truth", period.year)
        for dataset in named
        if dataset is not None
    ]


def _leads(region: Region, programme: ProgrammeConfig, period: Period) -> Any:
    """Return what the ledger says of the programme's layer: states, detections, searches."""
    if not programme.analyses.leads:
        return None
    ledger = read_ledger(ledger_path(region))
    names = (programme.id, programme.layer)
    return {
        "parameters": load_parameters().digest,
        "leads": [one.record() for one in known_leads(ledger, programme.layer, period)],
        "searches": [run.model_dump(mode="json") for run in searches(ledger, names, period)],
    }


def _failures(region: Region, period: Period, view: CubeView) -> list[Any]:
    found: list[Any] = []
    for month in region.config.period_months(period):
        manifest = view.manifest(month)
        found += [f.to_dict() for f in manifest.failures] if manifest is not None else []
    return found


def _file(path: Path | None) -> str | None:
    if path is None or not path.is_file():
        return None
    names: Iterable[Path] = (path,)
    if path.suffix.lower() == ".shp":  # attributes and CRS lie beside it
        names = sorted(path.parent.glob(f"{path.stem}.*"))
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.read_bytes())
    return digest.hexdigest()
