"""The benchmark of indices: one JSON object with all keys; a peer that is too slow gets less."""

import json
import time

import pytest

from benchmarks import bench_indices, chain, processes


class Clock:
    """Processes that take as long as they say, without waiting."""

    def __init__(self, seconds_of):
        self.seconds_of, self.begun = seconds_of, []

    def alone(self, work, size, limit=None):
        seconds = self.seconds_of(size)
        self.begun.append(size)
        if limit is not None and seconds > limit:
            raise TimeoutError
        return {"seconds": seconds, "size": size}

    def side(self, size):
        return None, (size,)


def test_a_slow_peer_runs_at_the_largest_size_it_can(monkeypatch):
    slow = Clock(lambda n: 1e-3 * n**2)
    monkeypatch.setattr(processes, "alone", slow.alone)
    size, found = processes.largest(slow.side, 1000, 10, limit=300)
    assert size == found["size"] == 420 and slow.begun == [10, 420]  # 176 s of 180
    quick = Clock(lambda n: 1e-5 * n**2)
    monkeypatch.setattr(processes, "alone", quick.alone)
    assert processes.largest(quick.side, 1000, 10, limit=300)[0] == 1000
    assert processes.largest(quick.side, 8, 10, limit=300)[0] == 8


def test_a_peer_slower_than_expected_is_ended_and_gets_less(monkeypatch):
    worse = Clock(lambda n: 1e-6 * n**4)  # quick at 10, yet 1600 s at 200
    monkeypatch.setattr(processes, "alone", worse.alone)
    size, found = processes.largest(worse.side, 200, 10, limit=300)
    assert worse.begun == [10, 200, 100] and size == 100 and found["seconds"] < 300
    never = Clock(lambda n: 1 if n == 10 else 1e9)
    monkeypatch.setattr(processes, "alone", never.alone)
    with pytest.raises(SystemExit, match="no size"):
        processes.largest(never.side, 200, 10, limit=300)


def sleeper(seconds):
    time.sleep(seconds)
    return {"seconds": seconds}


def test_a_process_that_takes_too_long_is_ended():
    start = time.perf_counter()
    with pytest.raises(TimeoutError):
        processes.alone(sleeper, 600, limit=0.2)
    assert time.perf_counter() - start < 60
    assert processes.alone(sleeper, 0.0)["seconds"] == 0


def test_one_object_with_all_keys(capsys, monkeypatch):
    for module in (processes, chain, bench_indices):  # here, not in processes of their own
        monkeypatch.setattr(module, "alone", lambda work, *args, limit=None: work(*args))
    monkeypatch.setattr(chain, "CHUNK", 150)
    small = "--size 200 --peer-size 150 --patches 60 --chain-size 260 --chain-peer-size 150"
    bench_indices.main(small.split())
    found = json.loads(capsys.readouterr().out)
    wanted = (
        "components_ratio_pylandstats", "components_peak_mib", "pc_ratio_networkx",
        "chain_ratio_xarray", "chain_peak_mib",
    )  # fmt: skip
    assert all(found[key] > 0 for key in wanted)
    assert (found["components_size"], found["components_peer_size"]) == (200, 150)
    assert (found["pc_patches"], found["pc_peer_patches"]) == (60, 60)
    assert (found["chain_size"], found["chain_peer_size"]) == (260, 150)


def test_without_options_the_sizes_are_those_of_the_goal(capsys, monkeypatch):
    asked = {}
    for name in ("components", "paths", "chain"):
        monkeypatch.setattr(bench_indices, name, lambda *a, n=name: asked.setdefault(n, a) and {})
    bench_indices.main([])
    assert asked["components"] == (20_000, None) and asked["paths"][:2] == (10_000, None)
    assert asked["chain"][:2] == (10_000, None)
    assert capsys.readouterr().out == "{}\n"
