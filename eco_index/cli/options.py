"""Arguments that several commands share, worded once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from eco_index.config import Region
    from eco_index.period import Period

RegionFile = Annotated[
    Path,
    typer.Argument(
        metavar="REGION.yaml",
        help="The region file, for example configs/regions/demo.yaml.",
        show_default=False,
    ),
]
Periods = Annotated[
    list[str],
    typer.Option(
        "--period",
        metavar="PERIOD",
        help="2025 (a year), 2025H1 or 2025H2 (its halves). Give it again for more periods.",
        show_default=False,
    ),
]
Programmes = Annotated[
    list[str] | None,
    typer.Option(
        "--programme",
        metavar="PROGRAMME",
        help="Only this programme of the region; give it again for more. Default: all.",
        show_default=False,
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print the answer as JSON on standard output, nothing else.")
]
Cluster = Annotated[
    str,
    typer.Option(
        metavar="local[:N]|tcp://HOST:PORT",
        help="local: threads of this process; local:N: N worker processes; "
        "tcp://...: a running Dask scheduler.",
    ),
]


Interim = Annotated[
    bool,
    typer.Option(
        "--interim",
        help="Assess periods that are not complete yet from the months that are over; the results "
        "are marked interim.",
    ),
]


def read_region(path: Path, interim: bool = False) -> Region:
    """Read a region file with its catalogue and programmes."""
    import datetime as dt

    from eco_index.config import load_region

    region = load_region(path)
    return region.interim(dt.date.today()) if interim else region


def read_periods(texts: list[str]) -> list[Period]:
    """Read periods, each once, in order of time."""
    from eco_index.period import Period

    return sorted({Period.parse(text) for text in texts}, key=lambda p: (p.end, p.start))


def read_programmes(region: Region, names: list[str] | None) -> list[str] | None:
    """Check programme names against the region's; None stands for all."""
    if not names:
        return None
    from eco_index.plan import programmes_of

    return programmes_of(region, [], names)


def check_cluster(text: str) -> str:
    """Check the form of --cluster."""
    from eco_index.errors import UsageError

    kind, _, rest = text.partition(":")
    workers = kind == "local" and (text == "local" or (rest.isdecimal() and int(rest) > 0))
    if workers or (text.startswith(("tcp://", "tls://")) and len(text) > len("tcp://")):
        return text
    raise UsageError(
        f"--cluster cannot be '{text}'",
        rule="local, local:N with N of at least 1, or tcp://HOST:PORT of a Dask scheduler",
    )
