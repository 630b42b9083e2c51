"""The demonstration: a simulated region run through every stage and compared with its truth."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eco_index import leads, pipeline, simulation
from eco_index.config import Region, configs_folder, load_region
from eco_index.cube import CubeView, open_archive
from eco_index.period import Period
from eco_index.products import PRODUCTS
from eco_index.summary import TOTAL, Row, Summary, read_summary
from eco_index.zone_raster import zone_ids
from eco_index.zones import load_layer

PERIODS = ("2024", "2024H1", "2024H2", "2025", "2025H1", "2025H2")
RELEASE = "demo"
#: Assessed for the last year only: before the works it has nothing to tell.
LATE = "restoration"
Progress = Callable[[str, int, int, str], None]

#: What the simulation must be recovered to.
MOST_RMSE, MOST_BIAS, MOST_FOREST = 0.05, 0.01, 0.5
#: The same of means of small zones, points of vegetation cover.
MOST_POINTS = 1.0
#: Functional zone that the mine lies in, and the projects: with the planted forest, without effect.
MINE_ZONE = "buffer"
TREES, FENCE = "RP01", "RP02"
#: Where a planted change must show: programme, indicator, smallest share of the planted area.
#: The mine is partly bare ground, which a land cover map does not call built-up.
VISIBLE = {
    "mine": ("nature_reserves", "built_gain_area", 0.4),
    "planted_forest": ("whole_region", "forest_gain_area", 0.9),
    "degraded_steppe": ("whole_region", "fvc_decrease_area", 0.9),
    "shrunken_lake": ("whole_region", "water_loss_area", 0.9),
}


@dataclass(frozen=True)
class Check:
    """A comparison of a result with the simulation's truth.

    Attributes
    ----------
    name : str
    found, goal : float
        The figure, and the limit it is held against.
    unit : str
    at_least : bool
        The goal is a lower limit (else an upper one, of the absolute value).
    """

    name: str
    found: float
    goal: float
    unit: str
    at_least: bool = False

    @property
    def passed(self) -> bool:
        return self.found >= self.goal if self.at_least else abs(self.found) <= self.goal

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"passed": self.passed}


@dataclass(frozen=True)
class Demo:
    """What the demonstration made.

    Attributes
    ----------
    folder, region_file : Path
    report : pipeline.RunReport
    release : Path
    checks : tuple of Check
    """

    folder: Path
    region_file: Path
    report: pipeline.RunReport
    release: Path
    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        return self.report.exit_code or int(not all(c.passed for c in self.checks))


def default_folder() -> Path:
    """Return where the demonstration goes without ``--out``: beside the catalogue."""
    return configs_folder().parent / "eco-demo"


def run_demo(folder: Path, cluster: str = "local", progress: Progress | None = None) -> Demo:
    """Simulate, run all periods and programmes, find leads, publish, compare with the truth.

    Parameters
    ----------
    folder : Path
        Gets ``data`` (simulated inputs) and ``out`` (cube, assessments, releases).
    cluster : str
        As for `pipeline.run`.
    progress : callable, optional
        ``progress(stage, done, total, text)``.
    """
    from eco_index.release import publish

    folder = folder.resolve()
    os.environ["ECO_DEMO_DIR"] = str(folder)
    simulation.simulate(folder, progress=progress)
    region_file = configs_folder() / "regions" / "demo.yaml"
    region = load_region(region_file)
    periods = [Period.parse(p) for p in PERIODS]
    last = Period.parse("2025")
    # Leads stand on the cube alone, and the reports of protected zones tell of them: they are
    # searched before, so that every assessment is made once.
    for period in (last.previous(), last):
        pipeline.acquire_period(region, period, progress)
        pipeline.compute_period(region, period, cluster, progress)
    archive = open_archive(region.archive_path)
    leads.find(region, archive.view(), last, progress=progress)
    early = [n for n, p in region.programmes.items() if not p.on_demand and n != LATE]
    report = pipeline.run(region, periods, early, cluster=cluster, progress=progress)
    for receipt in (
        pipeline.assess_period(region, last, [LATE], progress),
        pipeline.report_period(region, last, [LATE], progress),
    ):
        report.add(receipt, last)
    release = region.written("releases") / last.id / RELEASE
    if not release.exists():
        release = publish(region, last, RELEASE, archive)
    checks = (
        *compare_with_truth(region, folder, archive.view(), [2024, 2025]),
        *_leads_in_place(region),
    )
    return Demo(folder, region_file, report, release, checks)


def compare_with_truth(
    region: Region, folder: Path, view: CubeView, years: list[int]
) -> Iterator[Check]:
    """Compare vegetation cover, forest coverage and planted changes with the simulation's truth."""
    counties = load_layer(region, "counties")
    for year in years:
        with np.load(folder / "data" / "truth" / f"truth_{year}.npz") as file:
            fvc, forest = file["fvc"], file["forest"]
        difference: list[np.ndarray] = []
        found = np.zeros((len(counties), 3), np.int64)  # pixels, forest in the cube, in truth
        for tile in view.grid.tiles():
            stored = view.read("yearly", "fvc", str(year), tile)
            clear = stored != PRODUCTS["fvc"].fill
            difference.append((stored * PRODUCTS["fvc"].scale - fvc[tile.slices])[clear])
            ids = zone_ids(counties, view.grid, tile)
            mapped = view.read("yearly", "forest", str(year), tile) == 1
            for k, mask in enumerate((ids > 0, mapped, forest[tile.slices] == 1)):
                found[:, k] += np.bincount(ids[mask], minlength=len(counties) + 1)[1:]
        errors = np.concatenate(difference)
        yield Check(
            f"{year} vegetation cover, RMSE", float(np.sqrt((errors**2).mean())), MOST_RMSE, "1"
        )
        yield Check(f"{year} vegetation cover, bias", float(errors.mean()), MOST_BIAS, "1")
        for k, name in enumerate(counties.names):
            gap = 100 * float(found[k, 1] - found[k, 2]) / float(found[k, 0])
            yield Check(f"{year} forest coverage of {name.en}", gap, MOST_FOREST, "points")
    yield from _planted(region, folder, years[-1])
    if "nature_reserves" in region.programmes:
        yield from _functional_zones(region, folder, years[-1])
    if "restoration" in region.programmes:
        yield from _projects(region, folder, years[-1])


def _planted(region: Region, folder: Path, year: int) -> Iterator[Check]:
    text = (folder / "data" / "truth" / "changes.geojson").read_text(encoding="utf-8")
    for feature in json.loads(text)["features"]:
        kind = feature["properties"]["kind"]
        programme, indicator, share = VISIBLE[kind]
        summary = _summary(region, year, programme)
        yield Check(
            f"{year} {kind.replace('_', ' ')}: {indicator}",
            _total(summary, indicator),
            share * float(feature["properties"]["area_km2"]),
            "km2",
            at_least=True,
        )


def _functional_zones(region: Region, folder: Path, year: int) -> Iterator[Check]:
    """Compare the vegetation cover of every functional zone."""
    layer = load_layer(region, "nature_reserves", year)
    with np.load(folder / "data" / "truth" / f"truth_{year}.npz") as file:
        fvc = file["fvc"]
    pixels, cover = np.zeros(len(layer) + 1), np.zeros(len(layer) + 1)
    for tile in region.grid.tiles():
        ids = zone_ids(layer, region.grid, tile).ravel()
        pixels += np.bincount(ids, minlength=len(layer) + 1)
        cover += np.bincount(ids, fvc[tile.slices].ravel(), minlength=len(layer) + 1)
    rows = {r.zone: r for r in _summary(region, year, "nature_reserves").rows if _is_cover(r)}
    for k, (zone, name) in enumerate(zip(layer.ids, layer.names, strict=True), start=1):
        if zone in rows:
            gap = (rows[zone].value or 0.0) - 100 * cover[k] / pixels[k]
            yield Check(f"{year} cover of {name.en}", gap, MOST_POINTS, "points")


def _projects(region: Region, folder: Path, year: int) -> Iterator[Check]:
    """Compare what the projects changed: one planted a forest, the other did nothing."""
    rows = _summary(region, year, "restoration").rows
    gained = sum(
        r.value or 0.0 for r in rows if (r.zone, r.indicator) == (TREES, "forest_gain_area")
    )
    text = (folder / "data" / "truth" / "changes.geojson").read_text(encoding="utf-8")
    (planted,) = (
        f["properties"]["area_km2"]
        for f in json.loads(text)["features"]
        if f["properties"]["kind"] == "planted_forest"
    )
    yield Check(f"{year} forest gained by project {TREES}", gained, 0.9 * planted, "km2", True)
    (fence,) = (r for r in rows if r.zone == FENCE and _is_cover(r))
    moved = np.nan if fence.change is None else fence.change
    yield Check(f"{year} change of cover in project {FENCE}", moved, MOST_POINTS, "points")


def _leads_in_place(region: Region) -> Iterator[Check]:
    """Count the leads of mining that the ledger places in the functional zone of the mine."""
    ledger = leads.read_ledger(leads.ledger_path(region))
    placed = [
        one
        for one in ledger.leads.values()
        if one.latest.kind == "mining" and one.latest.functional_zone == MINE_ZONE
    ]
    yield Check(f"leads of mining in the {MINE_ZONE} zone", len(placed), 1, "1", True)


def _summary(region: Region, year: int, programme: str) -> Summary:
    folder = pipeline.assessment_folder(region, Period(year), programme)
    return read_summary(folder / "summary.json")


def _is_cover(row: Row) -> bool:
    return (row.indicator, row.variable) == ("fvc_mean", "")


def _total(summary: Summary, indicator: str) -> float:
    rows = [r for r in summary.rows if r.indicator == indicator and r.value is not None]
    together = [r for r in rows if r.zone == TOTAL]
    return sum(r.value or 0.0 for r in together or rows)
