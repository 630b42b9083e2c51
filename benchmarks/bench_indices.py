"""Patches against pylandstats, connectivity against networkx, services against plain xarray.

Prints one JSON object. `components_ratio_pylandstats` is the peer's time over ours for patches with
areas, perimeters and adjacencies of one land-cover map; `components_peak_mib` the greatest resident
memory of our process, the map streamed block by block and never held whole;
`pc_ratio_networkx` the peer's time over ours for PC on one network. Both sides must agree.
`chain_ratio_xarray` is the peer's time over ours for soil retention, sand fixation and habitat
quality, from disk to disk, `chain_peak_mib` our greatest resident memory; `chain_density_…` are the
same with the other influence of threats (see `benchmarks/chain.py`).
Each side runs in a process of its own, ours after one small run (compiled code is kept on disk).

Without options the sizes are those the project has set itself: a map of 20,000², a network of
10,000 patches, a chain on 10,000²; some ten minutes on a machine with nothing else to do. A peer
that cannot finish one in 5 minutes runs at a size that it can be expected to, as
`components_peer_size`, `pc_peer_patches` and `chain_peer_size` say, and the ratio is that of both
sides at that size.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.chain import chain
from benchmarks.processes import alone, largest, peak_mib

BLOCK = 2048
CLASSES = 6
#: Where peers show how long they take, if larger sizes are wanted.
PROBE_SIZE, PROBE_PATCHES = 2500, 1000


def strip(size: int, row: int, height: int) -> np.ndarray:
    """Return rows of a land-cover map of smooth fields with speckle."""
    y, x = np.arange(row, row + height)[:, None], np.arange(size)[None]
    random = np.random.default_rng(7)
    down, along = [], []  # a field is a sum of products of a column and a row
    for wave in (900.0, 420.0, 170.0, 90.0, 45.0, 24.0):
        a, b, shift = [*random.uniform(0.4, 1, 2).tolist(), random.uniform(0, 6)]
        down.append(np.sin(a * y / wave * 6 + shift))
        along.append(np.cos(b * x / wave * 6 - shift))
        v, u = a / wave * 5 * y, b / wave * 5 * x + 2 * shift
        down += [0.7 * np.sin(v), 0.7 * np.cos(v)]
        along += [np.cos(u), np.sin(u)]
    field = np.hstack(down).astype(np.float32) @ np.vstack(along).astype(np.float32)
    cover = np.clip((field + 4) * (CLASSES / 8), 0, CLASSES - 1).astype(np.uint8) + np.uint8(1)
    for k in range(height):
        noise = np.random.default_rng((11, row + k))
        at = noise.integers(0, size, size // 50)
        cover[k, at] = noise.integers(1, CLASSES + 1, at.size)
    return cover


def our_patches(path: str, size: int) -> dict[str, float]:
    """Patches of a raw map on disk, read in blocks."""
    from eco_index.indices.patches import PatchScan

    def scan(side: int) -> Any:
        found = PatchScan((side, side), range(1, CLASSES + 1), pixel_size=(30.0, 30.0))
        with open(path, "rb") as source:
            for row in range(0, side, BLOCK):
                height = min(BLOCK, side - row)
                for column in range(0, side, BLOCK):
                    width = min(BLOCK, side - column)
                    part = np.empty((height, width), np.uint8)
                    for k in range(height):
                        source.seek((row + k) * size + column)
                        part[k] = np.frombuffer(source.read(width), np.uint8)
                    found.add(part)
        return found.table()

    scan(64)
    start = time.perf_counter()
    table = scan(size)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak_mib": peak_mib(),
        "patches": len(table),
        "area": float(table.area_ha.sum()),
        "perimeter": float(table.perimeter_m.sum()),
    }


def peer_patches(path: str, size: int) -> dict[str, float]:
    """Return the same of pylandstats: areas and perimeters of all patches."""
    import pylandstats

    def scan(side: int) -> Any:
        cover = np.fromfile(path, np.uint8).reshape(size, size)[:side, :side]
        scape = pylandstats.Landscape(cover, res=(30, 30), nodata=0, neighborhood_rule="8")
        return scape.area(), scape.perimeter(), scape.edge_density()

    scan(64)
    start = time.perf_counter()
    area, perimeter, _ = scan(size)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "peak_mib": peak_mib(),
        "patches": len(area),
        "area": float(area["area"].sum()),
        "perimeter": float(perimeter["perimeter"].sum()),
    }


def network(n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return patch areas and links of patches strewn over a plane, about ten links each."""
    from scipy.spatial import cKDTree

    random = np.random.default_rng(3)
    place = random.uniform(0, 1000 * math.sqrt(n), (n, 2))
    pairs = cKDTree(place).query_pairs(1000 * math.sqrt(10 / math.pi), output_type="ndarray")
    length = np.maximum(np.hypot(*(place[pairs[:, 0]] - place[pairs[:, 1]]).T) - 300, 0)
    return random.lognormal(2, 1, n), pairs[:, 0], pairs[:, 1], length


def our_pc(n: int, importance: bool) -> dict[str, float]:
    """PC of the network."""
    from eco_index.indices.connectivity import Links, connectivity

    area, *rows = network(n)
    connectivity(np.ones(2), Links(np.array([0]), np.array([1]), np.ones(1)), 1000)
    start = time.perf_counter()
    found = connectivity(area, Links(*rows), 1000, importance=importance)
    return {"seconds": time.perf_counter() - start, "value": found.numerator}


def peer_pc(n: int, importance: bool) -> dict[str, float]:
    """PC of the network with all shortest paths of networkx."""
    import networkx as nx

    area, first, second, length = network(n)
    graph = nx.Graph()
    graph.add_nodes_from(range(n))
    rows = zip(first.tolist(), second.tolist(), length.tolist(), strict=True)
    graph.add_weighted_edges_from(((a, b, d * math.log(2) / 1000) for a, b, d in rows))
    start = time.perf_counter()
    total = 0.0
    for source, row in nx.all_pairs_dijkstra_path_length(graph):
        ends = np.fromiter(row.keys(), np.int64, len(row))
        lengths = np.fromiter(row.values(), float, len(row))
        total += area[source] * float(area[ends] @ np.exp(-lengths))
    return {"seconds": time.perf_counter() - start, "value": total}


def strips(size: int) -> Iterator[np.ndarray]:
    """Yield the map in strips of at most 256 rows."""
    for row in range(0, size, 256):
        yield strip(size, row, min(256, size - row))


def components(size: int, peer_size: int | None) -> dict[str, float]:
    """Both sides on one map; a smaller peer size gives the ratio at that size."""
    with tempfile.TemporaryDirectory() as folder:

        def path(side: int) -> str:
            name = Path(folder) / f"{side}.raw"
            if not name.exists():
                with open(name, "wb") as target:
                    for part in strips(side):
                        part.tofile(target)
            return str(name)

        if peer_size is None:
            peer_size, peer = largest(
                lambda side: (peer_patches, (path(side), side)), size, PROBE_SIZE
            )
        else:
            peer = alone(peer_patches, path(peer_size), peer_size)
        ours = alone(our_patches, path(peer_size), peer_size)
        large = ours if size == peer_size else alone(our_patches, path(size), size)
    for key in ("patches", "area", "perimeter"):
        if not math.isclose(ours[key], peer[key], rel_tol=1e-9):
            raise SystemExit(f"{key} differ: {ours[key]} here, {peer[key]} there")
    return {
        "components_ratio_pylandstats": round(peer["seconds"] / ours["seconds"], 2),
        "components_peak_mib": round(large["peak_mib"], 1),
        "components_size": size,
        "components_peer_size": peer_size,
        "components_patches": int(large["patches"]),
        "components_seconds": round(large["seconds"], 3),
        "components_peer_seconds": round(peer["seconds"], 3),
        "components_peer_peak_mib": round(peer["peak_mib"], 1),
    }


def paths(n: int, peer_n: int | None, importance: bool) -> dict[str, float]:
    """Both sides on one network; `importance` adds dPC to ours only."""
    if peer_n is None:
        peer_n, peer = largest(lambda count: (peer_pc, (count, False)), n, PROBE_PATCHES)
    else:
        peer = alone(peer_pc, peer_n, False)
    ours = alone(our_pc, peer_n, False)
    if not math.isclose(ours["value"], peer["value"], rel_tol=1e-9):
        raise SystemExit(f"PC differs: {ours['value']} here, {peer['value']} there")
    large = ours if n == peer_n else alone(our_pc, n, False)
    out = {
        "pc_ratio_networkx": round(peer["seconds"] / ours["seconds"], 2),
        "pc_patches": n,
        "pc_peer_patches": peer_n,
        "pc_seconds": round(large["seconds"], 3),
        "pc_peer_seconds": round(peer["seconds"], 3),
    }
    if importance:
        out["dpc_seconds"] = round(alone(our_pc, n, True)["seconds"], 3)
    return out


PARTS = ("components", "pc", "chain")


def main(arguments: list[str] | None = None) -> None:
    """Run and print one JSON object."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks indices", description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="part to run (default: all)")
    parser.add_argument("--size", type=int, default=20_000, help="side of the map, pixels")
    parser.add_argument("--peer-size", type=int, help="side of the peer's map (default: as it can)")
    parser.add_argument("--patches", type=int, default=10_000, help="patches of the network")
    parser.add_argument(
        "--peer-patches", type=int, help="patches for the peer (default: as it can)"
    )
    parser.add_argument("--importance", action="store_true", help="time dPC of every patch as well")
    parser.add_argument("--chain-size", type=int, default=10_000, help="side of the chain's maps")
    parser.add_argument(
        "--chain-peer-size", type=int, help="side for the peer (default: as it can)"
    )
    parser.add_argument("--chain-runs", type=int, default=1, help="runs of each side, in turns")
    given = parser.parse_args(arguments)
    parts = given.only or PARTS
    result: dict[str, float] = {}
    if "components" in parts:
        result |= components(given.size, given.peer_size)
    if "pc" in parts:
        result |= paths(given.patches, given.peer_patches, given.importance)
    if "chain" in parts:
        with tempfile.TemporaryDirectory() as folder:
            result |= chain(given.chain_size, given.chain_peer_size, given.chain_runs, Path(folder))
    print(json.dumps(result))


if __name__ == "__main__":
    main()
