"""Indices that stand on files of their own: `eco rsei`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eco_index.cli import console
from eco_index.cli.options import AsJson

SpecFile = Annotated[
    Path,
    typer.Argument(
        metavar="RSEI.yaml",
        help="Years with their raster files, sensor and level; see docs/methods/rsei.md.",
        show_default=False,
    ),
]


def rsei(spec: SpecFile, as_json: AsJson = False) -> None:
    """Compute RSEI (Xu 2013) from raster files: maps, classes and means of zones.

    All years of the file share one scaling and one principal component, so that a change between
    them is a change on the ground. Refuses where the component is not an ecological one.

    Example:
    `eco rsei rsei.yaml`
    """
    from eco_index.rsei_run import load_spec, run_rsei

    with console.Progress(quiet=as_json) as progress:
        report = run_rsei(load_spec(spec), progress)
    if as_json:
        console.answer_json(report)
        return
    loads = ", ".join(f"{k} {v:+.3f}" for k, v in report["loadings"].items())
    console.answer(f"first component: {report['share']:.1%} of the variance; {loads}")
    rows = [
        [name, _mean(y["mean"]), y["valid_pixels"], y["missing_pixels"], y["wetness"], y["map"]]
        for name, y in report["years"].items()
    ]
    console.table(["year", "mean", "valid", "missing", "wetness", "map"], rows)
    console.answer(f"model: {report['model']}")
    if report["zones"]:
        console.answer(f"zones: {report['zones']}")


def _mean(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
