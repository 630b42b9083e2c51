"""``eco exports``: composites of a large region as batch exports of Earth Engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from eco_index.cli import console
from eco_index.cli.options import AsJson, Interim, Periods, RegionFile, read_periods, read_region

if TYPE_CHECKING:
    from eco_index.exports import Destination, Status

LISTED = 20  # lines about single files


def exports(
    region_file: RegionFile,
    period: Periods,
    start: Annotated[
        bool, typer.Option("--start", help="Start what is missing or has failed.")
    ] = False,
    bucket: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --start: bucket of Google Cloud Storage."),
    ] = None,
    drive: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="With --start: folder of Google Drive.")
    ] = None,
    prefix: Annotated[
        str, typer.Option(metavar="PATH", help="With --bucket: put before file names.")
    ] = "",
    interim: Interim = False,
    as_json: AsJson = False,
) -> None:
    """Follow Earth Engine's batch exports of a large region, and check what was received.

    Without --start nothing is started: it compares what is expected (images, tiles, bands) with
    what the service has made and what lies in the folder `received` of the catalogue. `eco run`
    reads from that folder before it asks the service. Exit code 1 if an export failed or a file
    cannot be used.

    Example: `eco exports my.yaml --period 2025 --start --bucket my-bucket --prefix eco/2025`
    """
    from eco_index import exports as batch

    region = read_region(region_file, interim)
    periods = read_periods(period)
    destination = _destination(start, bucket, drive, prefix)
    if destination is None:
        status = batch.status(region, periods)
    else:
        with console.Progress(quiet=as_json) as progress:
            status = batch.start(region, periods, destination, progress)
    if as_json:
        console.answer_json(status.to_dict())
    else:
        _say(status)
    if any(item.state in ("failed", "unusable") for item in status.items):
        raise typer.Exit(1)


def _destination(
    start: bool, bucket: str | None, drive: str | None, prefix: str
) -> Destination | None:
    from eco_index.errors import UsageError
    from eco_index.exports import Destination

    if not start and not (bucket or drive or prefix):
        return None
    if not start or bool(bucket) == bool(drive) or (prefix and not bucket):
        raise UsageError(
            "it is not clear what is to be started where",
            rule="--start goes with either --bucket NAME (and --prefix) or --drive FOLDER",
            fix="without any of them, the state of the exports is shown",
        )
    if bucket:
        return Destination("bucket", bucket, prefix)
    assert drive is not None
    return Destination("drive", drive)


def _say(status: Status) -> None:
    told = status.to_dict()
    expected, received = told["expected"], told["received"]
    for title, part in (("expected", expected), ("received", received)):
        console.answer(
            f"{title}: {part['images']} images of {part['tiles']} tiles, {part['bands']} bands"
        )
    console.answer(f"up to {console.size_text(expected['bytes'])} before compression")
    console.answer(f"folder: {console.path_text(status.folder)}")
    console.table(("state", "images"), list(status.counts().items()))
    bad = [i for i in status.items if i.state in ("failed", "unusable")]
    for item in bad[:LISTED]:
        console.answer(
            f"{item.month} {item.expected.tile} {item.name}.tif {item.state}: {item.reason}"
        )
    if len(bad) > LISTED:
        console.answer(f"... and {len(bad) - LISTED} more (--json lists all)")
    if status.foreign:
        console.answer(
            f"{len(status.foreign)} other files in the folder are not read "
            f"(first: {status.foreign[0]})"
        )
    console.answer("complete" if status.complete else "not complete yet")
