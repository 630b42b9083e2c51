"""``eco demo``: the whole chain on a simulated region."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eco_index.cli import console
from eco_index.cli.options import AsJson, Cluster, check_cluster

if TYPE_CHECKING:
    from eco_index.demo import Demo


def demo(
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Folder for inputs and results. Default: eco-demo beside the data catalogue.",
            show_default=False,
        ),
    ] = None,
    cluster: Cluster = "local",
    as_json: AsJson = False,
) -> None:
    """Run everything on a simulated region: offline, no account, about two minutes.

    Makes two years of satellite scenes over 40 km x 40 km with a known truth, runs all assessment
    programmes and periods on them, publishes a release, and compares the results with the truth.

    Example: `eco demo --out /tmp/eco-demo`
    """
    check_cluster(cluster)
    from eco_index import demo as room

    folder = out or room.default_folder()
    with console.Progress(quiet=as_json) as progress:
        made = room.run_demo(folder, cluster, progress)
    if as_json:
        console.answer_json(
            {
                "folder": str(made.folder),
                "region_file": str(made.region_file),
                "release": str(made.release),
                "checks": [c.to_dict() for c in made.checks],
                "run": made.report.to_dict(),
                "exit_code": made.exit_code,
            }
        )
    else:
        _say(made, default=out is None)
    if made.exit_code:
        raise typer.Exit(made.exit_code)


def _say(made: Demo, default: bool) -> None:
    from eco_index.cli.runs import say_report

    say_report(made.report)
    console.answer()
    console.answer("compared with the truth of the simulation:")
    console.table(
        ("check", "found", "", "goal", "unit", ""),
        [
            (
                c.name,
                f"{c.found:.4f}",
                ">=" if c.at_least else "within",
                f"{c.goal:.4f}" if c.at_least else f"±{c.goal:g}",
                c.unit,
                "ok" if c.passed else "FAILED",
            )
            for c in made.checks
        ],
    )
    console.answer()
    console.answer(f"inputs:   {console.path_text(made.folder / 'data')}")
    console.answer(f"cube:     {console.path_text(made.report.archive)}")
    console.answer(f"reports:  {console.path_text(made.folder / 'out' / 'assessments')}")
    console.answer(f"release:  {console.path_text(made.release)}")
    first = [r for r in made.report.reports if "/2025/whole_region/" in r.replace("\\", "/")]
    for path in first or made.report.reports[:2]:
        console.answer(f"  open    {console.path_text(path)}")
    console.answer()
    if not default:
        console.answer(f"export ECO_DEMO_DIR={made.folder}   # the commands below need it")
    region = console.path_text(made.region_file)
    # After `make demo` the environment is not activated: print what can be typed as it stands.
    eco = "eco" if shutil.which("eco") else console.path_text(Path(sys.executable).with_name("eco"))
    console.answer("next:")
    console.answer(f"  {eco} plan {region} --period 2025")
    console.answer(f"  {eco} leads list {region}")
    console.answer(f"  {eco} show {console.path_text(made.report.archive)}")
    console.answer(
        f"  {eco} trace {console.path_text(made.release)} whole_region/2025/_all/fvc_mean"
    )
    console.answer(f"  {eco} serve {region}")
