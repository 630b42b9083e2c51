"""The Prefect flows do what `eco run` does, offline, with a server of their own."""

import datetime as dt
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
from simulated import copy_region

from eco_index import pipeline
from eco_index.config import load_region
from eco_index.cube import open_archive
from eco_index.errors import PartialError, UsageError
from eco_index.period import Period
from flows.periods import last_complete_period
from flows.receipts import receipt, require_success
from flows.schedule import serve, tied

PERIOD = "2025H2"
WAIT = 240  # seconds a server or a run may take on a busy machine


@pytest.mark.parametrize(
    ("cadence", "today", "period"),
    [
        ("yearly", "2026-01-15", "2025"),
        ("yearly", "2026-11-24", "2025"),
        ("half_yearly", "2026-01-15", "2025H2"),
        ("half_yearly", "2026-07-15", "2026H1"),
        ("half_yearly", "2026-06-30", "2025H2"),
    ],
)
def test_a_schedule_assesses_the_period_that_has_just_ended(cadence, today, period):
    assert last_complete_period(cadence, dt.date.fromisoformat(today)).id == period


def test_receipts_are_short_and_plain():
    assert receipt({"a": Path("x"), "b": list(range(1000)), "c": (1, None)}) == {
        "a": "x",
        "b": {"count": 1000},
        "c": [1, None],
    }


def test_a_programme_that_failed_makes_the_flow_fail_after_the_others_finished():
    require_success({"period": "2025", "failures": {}})
    with pytest.raises(PartialError, match=r"2025 red_line.*(?s:.)*no such layer"):
        require_success({"period": "2025", "failures": {"red_line": {"what": "no such layer"}}})


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_taken_port_is_refused_by_name(small_region):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(UsageError, match=f"port {port}"):
            serve(load_region(small_region), port=port, say=lambda text: None)


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_killed_serve_leaves_no_server_behind():
    child = [
        sys.executable,
        "-c",
        "import os, time; print(os.getpid(), flush=True); time.sleep(60)",
    ]
    code = "import subprocess, sys, time; subprocess.Popen(sys.argv[1:]); time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code, *tied(child)], stdout=subprocess.PIPE, text=True
    ) as parent:
        pid = int(parent.stdout.readline())
        parent.kill()
    end = time.monotonic() + 20
    while time.monotonic() < end and alive(pid):
        time.sleep(0.05)
    if alive(pid):
        os.kill(pid, signal.SIGKILL)
        raise AssertionError("the child outlived its parent")


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # ended; nobody has asked for its exit code yet


def arrays_of(region):
    view = open_archive(region.archive_path).view()
    whole = (slice(None), slice(None))
    return {p: view.read("half_yearly", p, PERIOD, whole) for p in ("fvc", "landcover", "forest")}


def wait_for(what, question, process=None):
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        if process is not None and process.poll() is not None:
            raise AssertionError(f"{what}: the server ended with {process.returncode}")
        try:
            answer = question()
        except httpx.HTTPError:
            answer = None
        if answer:
            return answer
        time.sleep(0.5)
    raise AssertionError(f"{what}: nothing after {WAIT} s")


@pytest.mark.e2e
def test_a_deployment_of_eco_serve_does_what_eco_run_does(small_region, tmp_path):
    by_run, by_flow = (load_region(copy_region(small_region, tmp_path / n)) for n in ("a", "b"))
    port = free_port()
    api = f"http://127.0.0.1:{port}/api"
    # A shell starts background jobs, and all below them, with Ctrl-C ignored; here it is sent.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from eco_index.cli import main; main()"
    command = [sys.executable, "-c", code, "serve"]
    command += [str(by_flow.config.path), "--port", str(port)]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    with (tmp_path / "serve.log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment)
    try:
        report = pipeline.run(by_run, [Period.parse(PERIOD)])  # while the server comes up
        assert report.exit_code == 0
        with httpx.Client(timeout=30, trust_env=False) as client:

            def deployments():
                found = client.post(f"{api}/deployments/filter", json={}).json()
                ready = [d for d in found if d["status"] == "READY"]
                return {d["name"]: d for d in ready} if len(ready) == 2 else None

            known = wait_for("deployments", deployments, server)
            assert set(known) == {f"{by_flow.id}-yearly", f"{by_flow.id}-half-yearly"}
            assert all(d["schedules"][0]["schedule"]["cron"] for d in known.values())
            page = client.get(f"http://127.0.0.1:{port}/", follow_redirects=True)
            assert page.status_code == 200 and "<html" in page.text.lower()
            asking = {"Access-Control-Request-Method": "POST", "Origin": "http://other.example"}
            foreign = client.options(f"{api}/flows/filter", headers=asking)
            assert "access-control-allow-origin" not in foreign.headers
            run = client.post(
                f"{api}/deployments/{known[f'{by_flow.id}-half-yearly']['id']}/create_flow_run",
                json={"parameters": {"period": PERIOD}},
            ).json()

            def finished():
                state = client.get(f"{api}/flow_runs/{run['id']}").json()["state"]
                return state if state["type"] in ("COMPLETED", "FAILED", "CRASHED") else None

            state = wait_for("flow run", finished, server)
            assert state["type"] == "COMPLETED", state
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.wait(60)
        except subprocess.TimeoutExpired:
            server.terminate()  # not kill: it still has the Prefect server to stop
            server.wait(60)
            raise
    with pytest.raises(OSError):  # the web page went with it
        socket.create_connection(("127.0.0.1", port), timeout=2)
    expected, found = arrays_of(by_run), arrays_of(by_flow)
    for name in expected:
        np.testing.assert_array_equal(expected[name], found[name])
    programme = "nature_reserves"
    for name in ("summary.json", "report.zh.html", "report.en.html", "table.csv"):
        folder = pipeline.assessment_folder(by_flow, Period.parse(PERIOD), programme)
        assert (folder / name).exists()
