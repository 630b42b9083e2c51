"""Deployments of a region, their default periods, and the server with its web page."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from eco_index.config import Region
from eco_index.errors import EcoError, UsageError

from .home import STARTUP_SECONDS, environment, home_of
from .periods import Cadence, last_complete_period, today_of

STOP_SECONDS = 15


def deployment_names(region: Region) -> dict[Cadence, str]:
    """Return the names of a region's deployments, by cadence."""
    return {"yearly": f"{region.id}-yearly", "half_yearly": f"{region.id}-half-yearly"}


def deployments(region: Region, cluster: str = "local") -> list[Any]:
    """Return the yearly and half-yearly deployments of a region.

    Both leave the period open: a run on schedule takes the last complete one; a run started by
    hand may name any.
    """
    from prefect.deployments.runner import EntrypointType
    from prefect.schedules import Cron

    from .run import assessment

    schedule = region.config.schedule
    crons: dict[Cadence, str] = {
        "yearly": schedule.yearly,
        "half_yearly": schedule.half_yearly,
    }
    return [
        assessment.to_deployment(
            name=name,
            schedule=Cron(crons[cadence], timezone=schedule.timezone),
            parameters={
                "region": str(region.config.path.resolve()),
                "period": None,
                "programmes": None,
                "cadence": cadence,
                "cluster": cluster,
            },
            description=f"{region.config.name.zh} / {region.config.name.en}, {cadence}",
            tags=[region.id, cadence],
            # By module, so that a run finds the flow from any folder.
            entrypoint_type=EntrypointType.MODULE_PATH,
        )
        for cadence, name in deployment_names(region).items()
    ]


def serve(
    region: Region,
    host: str = "127.0.0.1",
    port: int = 4200,
    cluster: str = "local",
    say: Callable[[str], None] = print,
) -> None:
    """Run server, web page and both deployments until interrupted (Ctrl-C or SIGTERM).

    Raises
    ------
    UsageError
        The port is taken.
    EcoError
        The server does not come up.
    """
    _require_free_port(host, port)
    # The wildcard address is for listening; from here the server is reached by loopback.
    reachable = "127.0.0.1" if host in ("0.0.0.0", "::") else host
    api_url = f"http://{reachable}:{port}/api"
    # This process becomes a Prefect client: its settings are read when Prefect is imported.
    os.environ.update(environment(region, api_url))
    # The server asks for no password: a page of some other site open in the same browser must not
    # be able to use it.
    os.environ["PREFECT_SERVER_API_CORS_ALLOWED_ORIGINS"] = ",".join(
        f"http://{name}:{port}" for name in dict.fromkeys((reachable, "127.0.0.1", "localhost"))
    )
    if reachable not in ("127.0.0.1", "localhost", "::1") or reachable != host:
        say(f"note: whoever reaches {host}, port {port}, can start runs; there is no password")
    with _server(region, host, port, api_url):
        names = list(deployment_names(region).values())
        say(f"web page:     http://{reachable}:{port}")
        say(f"deployments:  {', '.join(names)}")
        say("start a run by hand from the web page, or from another terminal:")
        say(
            f"  PREFECT_API_URL={api_url} {_beside_python('prefect')} deployment run "
            f"assessment/{names[0]} "
            f"-p period={last_complete_period('yearly', today_of(region)).id}"
        )
        say("stop with Ctrl-C")
        from prefect import serve as serve_deployments

        # One run at a time: an archive on a local disk has a single committer. Schedules are not
        # paused at the end, so a run missed while this was off is made up for at the next start.
        serve_deployments(
            *deployments(region, cluster),
            pause_on_shutdown=False,
            print_starting_message=False,
            limit=1,
        )


def _beside_python(command: str) -> str:
    """Return a command as it can be typed: its path unless it is on PATH."""
    return command if shutil.which(command) else str(Path(sys.executable).with_name(command))


def _require_free_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UsageError(
                f"cannot listen on {host}, port {port}: {error.strerror}",
                rule="the web page needs a free port of its own",
                fix="name another one with --port, or stop what uses it",
            ) from None


def tied(command: list[str]) -> list[str]:
    """Return a command whose process is asked to end when the one that started it is gone.

    Also where that one was killed and could do nothing more: Linux sends SIGTERM (prctl(2),
    PR_SET_PDEATHSIG, kept across exec). Elsewhere the command as it is.
    """
    if sys.platform != "linux":
        return command
    tie = "ctypes.CDLL(None).prctl(1, 15); os.execv(sys.argv[1], sys.argv[1:])"
    return [sys.executable, "-c", f"import ctypes, os, sys; {tie}", *command]


@contextlib.contextmanager
def _server(region: Region, host: str, port: int, api_url: str) -> Iterator[None]:
    """Run the Prefect server as a child process; it ends when the block ends."""
    log_path = home_of(region) / "server.log"
    command = [sys.executable, "-m", "prefect", "server", "start"]
    command = tied([*command, "--host", host, "--port", str(port)])
    with log_path.open("ab") as log:
        # A session of its own: Ctrl-C reaches this process first, which then stops the server.
        server = subprocess.Popen(
            command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
        )
    try:
        _wait_until_up(server, f"{api_url}/health", log_path)
        yield
    finally:
        server.terminate()
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _wait_until_up(server: subprocess.Popen[bytes], url: str, log_path: Path) -> None:
    end = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            if urllib.request.urlopen(url, timeout=5).status == 200:
                return
        time.sleep(0.5)
    raise EcoError(
        "the Prefect server did not start",
        where=f"{log_path} holds its messages",
        rule=f"it must answer within {STARTUP_SECONDS} s",
    )
