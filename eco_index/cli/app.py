"""The Typer application: global options, and the commands registered in reading order."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from eco_index.cli import archives, demo, exports, indices, leads, official, runs, serve

EPILOG = """
New here? `eco demo` runs the whole chain on a simulated region in about two minutes, offline.

Exit codes: 0 done; 1 some work failed, the rest is kept; 2 wrong usage or configuration;
3 input data unusable; 130 interrupted (finished work is kept).
"""

app = typer.Typer(
    name="eco",
    help="From satellite imagery to a published ecological assessment.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"eco-index {version('eco-index')}")
        raise typer.Exit


@app.callback()
def _global(
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of every error.")
    ] = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    if debug:
        os.environ["ECO_DEBUG"] = "1"


START, RESULTS, METHODS, SERVICE = "Start here", "Results", "Official methods", "Schedules"

app.command(rich_help_panel=START)(demo.demo)
app.command(rich_help_panel=START)(runs.plan)
app.command(rich_help_panel=START)(runs.run)
app.command(rich_help_panel=START)(exports.exports)
app.command(rich_help_panel=RESULTS)(archives.show)
app.command(rich_help_panel=RESULTS)(archives.verify)
app.command(rich_help_panel=RESULTS)(archives.publish)
app.command(rich_help_panel=RESULTS)(archives.trace)
app.add_typer(leads.leads_app, name="leads", rich_help_panel=RESULTS)
app.add_typer(official.methods_app, name="methods", rich_help_panel=METHODS)
app.command(rich_help_panel=METHODS)(official.index)
app.command(rich_help_panel=METHODS)(indices.rsei)
app.command(rich_help_panel=SERVICE)(serve.serve)
