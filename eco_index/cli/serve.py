"""``eco serve``: schedules and their web page."""

from __future__ import annotations

from typing import Annotated

import typer

from eco_index.cli import console
from eco_index.cli.options import Cluster, RegionFile, check_cluster, read_region


def serve(
    region_file: RegionFile,
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port of the web page.")] = 4200,
    host: Annotated[
        str, typer.Option(help="Address to listen on; the default is for this machine only.")
    ] = "127.0.0.1",
    cluster: Cluster = "local",
) -> None:
    """Run the region's schedules, with a web page, until you press Ctrl-C.

    The yearly run (15 January) assesses the year before, the half-yearly run (15 January and
    15 July) the half that has just ended; the region file's key `schedule` changes that.
    Needs no account and no network; its data base lies in the region's output folder.

    Example: `eco serve configs/regions/demo.yaml --port 4200`
    """
    region = read_region(region_file)
    check_cluster(cluster)
    from flows.schedule import serve as run_server

    run_server(region, host=host, port=port, cluster=cluster, say=console.note)
