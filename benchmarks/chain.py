"""RUSLE, RWEQ and habitat quality from maps on disk to maps on disk, ours and in plain xarray.

Both sides read one Zarr store and write a store of three float32 maps, with as many threads as
there are cores, each in a process of its own. The peer is what the formulas look like when they are
written down with xarray, Dask and SciPy: array operations, `map_overlap` for slope and decay,
`fftconvolve` for the decay, `open_zarr` and `to_zarr`. It checks nothing, ours checks every value.
Ours computes in float64; the peer does too, or, by choice, in the float32 of the files.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.processes import (
    LIMIT_SECONDS,
    alone,
    alternating,
    cores,
    median,
    peak_mib,
)

CHUNK = 1000
PIXEL = 30.0
LENGTH = 60.0  # slope length, m
RELIEF = 1000.0  # distance of the relief, m
OUTPUTS = ("soil_retention", "sand_fixation", "quality")


class Fields:
    """Smooth fields over the map, a strip of rows at a time."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.x = np.arange(size, dtype=np.float32)[None]

    def smooth(self, seed: int, row: int, height: int, scale: float = 1.0) -> np.ndarray:
        """Return values of about −1…1 (waves of 20 to 1000 pixels)."""
        random = np.random.default_rng(seed)
        waves = scale * np.geomspace(20, 1000, 14)[:, None]
        angle = random.uniform(0, 2 * np.pi, (14, 1))
        a, b = (2 * np.pi / waves * f(angle) for f in (np.cos, np.sin))
        shift, weight = random.uniform(0, 6, (14, 1)), waves**0.4
        y = np.arange(row, row + height, dtype=np.float32)[None]
        rows, columns = (a * y + shift).astype(np.float32), (b * self.x).astype(np.float32)
        total = (weight * np.sin(rows)).T @ np.cos(columns)
        total += (weight * np.cos(rows)).T @ np.sin(columns)
        return (total / (0.9 * np.sqrt((weight**2).sum()))).astype(np.float32)

    def strip(self, row: int, height: int) -> dict[str, np.ndarray]:
        """Return all inputs of some rows."""
        shape = (height, self.size)
        noise = np.random.default_rng((5, row))
        height_of = self.smooth(1, row, height, 3.0)
        relief = np.abs(self.smooth(2, row, height, 3.0))
        sand = 45 + 40 * np.tanh(self.smooth(3, row, height))
        silt = (100 - sand) * (0.6 + 0.3 * np.tanh(self.smooth(4, row, height)))
        cover = 0.5 + 0.45 * np.tanh(self.smooth(5, row, height))
        cover += 0.04 * noise.random(shape, np.float32)
        land = self._land(row, height)
        soil_types = np.array([0, 5, 6, 8, 7, 2, 3, 4], np.uint8)  # of soil.C_TYPES
        wind_types = np.array([0, 6, 1, 2, 3, 4, 4, 5], np.uint8)  # of wind.WIND_TYPES
        lucc = np.array([0, 12, 21, 31, 22, 42, 51, 61], np.uint8)
        maps = {
            "elevation": 1500 + 600 * np.tanh(height_of) + 2 * noise.random(shape, np.float32),
            "erosivity": 2000 + 1500 * np.tanh(self.smooth(6, row, height, 5.0)),
            "erodibility": 0.035 + 0.02 * np.tanh(self.smooth(7, row, height)),
            "cover": cover,
            "weather": 12 + 11 * np.tanh(self.smooth(8, row, height, 5.0)),
            "sand": sand,
            "silt": silt,
            "clay": 100 - sand - silt,
            "organic": 2 + 1.9 * np.tanh(self.smooth(9, row, height)),
            "relief": 60 * relief,
            "soil_types": soil_types[land],
            "wind_types": wind_types[land],
            "landcover": lucc[land],
            "roads": (np.abs(self.smooth(12, row, height)) < 0.01).astype(np.uint8),
        }
        maps["cover"][land == 0] = np.nan
        return {k: v.astype(np.float32) if v.dtype.kind == "f" else v for k, v in maps.items()}

    def _land(self, row: int, height: int) -> np.ndarray:
        """Return 1…7: cropland, forest, grass, shrub, water, town, sand; 0 where unknown."""
        kind = np.digitize(self.smooth(10, row, height), [-0.5, 0.0, 0.6, 0.9, 1.1]) + 1
        kind[kind == 6] = 7
        kind[self.smooth(11, row, height, 0.5) > 1.35] = 6
        kind[self.smooth(13, row, height, 2.0) > 1.9] = 0
        kind[:, : self.size // 40] = 0  # beyond the region
        return kind


def write_inputs(path: str, size: int) -> None:
    """Write the store of inputs, strip by strip."""
    import zarr

    fields = Fields(size)
    group = zarr.open_group(path, mode="w")
    for row in range(0, size, CHUNK):
        for name, values in fields.strip(row, min(CHUNK, size - row)).items():
            if row == 0:
                group.create_array(
                    name,
                    shape=(size, size),
                    chunks=(CHUNK, CHUNK),
                    dtype=values.dtype,
                    compressors=_codec(values.dtype),
                    fill_value=np.nan if values.dtype.kind == "f" else 0,
                    dimension_names=("y", "x"),
                )
            group[name][row : row + values.shape[0]] = values


def _codec(dtype: Any) -> Any:
    from zarr.codecs import BloscCodec

    return BloscCodec(cname="lz4", clevel=1, shuffle="shuffle", typesize=np.dtype(dtype).itemsize)


def _threads() -> Any:
    import dask

    return dask.config.set(scheduler="threads", num_workers=cores())


def _write(data: Any, path: str) -> None:
    encoding = {"compressors": [_codec(np.float32)], "chunks": (CHUNK, CHUNK), "_FillValue": np.nan}
    mode: Any = "w"
    with _threads():
        for name in data.data_vars:  # one map after the other: the least memory, for both sides
            data[[name]].to_zarr(path, mode=mode, encoding={name: encoding}, consolidated=False)
            mode = "a"


def habitat_parameters(influence: str) -> Any:
    """Return the shipped example with an influence."""
    from eco_index.indices.habitat_parameters import load_habitat

    return load_habitat("example").model_copy(update={"influence": influence})


def ours(source: str, target: str, influence: str) -> dict[str, float]:
    """The chain by this project."""
    import xarray as xr

    from eco_index.cube.maps import open_maps, save_maps
    from eco_index.indices.habitat import habitat_quality
    from eco_index.indices.soil_chain import soil_retention
    from eco_index.indices.wind_chain import sand_fixation
    from eco_index.methods import load_method

    method, parameters = load_method("hj1173_2021"), habitat_parameters(influence)

    def computed(data: Any) -> Any:
        soil = (data.sand, data.silt, data.clay, data.organic)
        made = {
            "soil_retention": soil_retention(
                *(data[k] for k in ("elevation", "erosivity", "erodibility", "soil_types")),
                data.cover,
                method,
                pixel=(PIXEL, PIXEL),
                length=LENGTH,
                dtype=np.float32,
            ),
            "sand_fixation": sand_fixation(
                data.weather,
                soil,
                data.relief,
                data.wind_types,
                data.cover,
                method,
                relief_distance=RELIEF,
                dtype=np.float32,
            ),
            "quality": habitat_quality(
                data.landcover,
                parameters,
                pixel=(PIXEL, PIXEL),
                threats={"roads": data.roads},
                dtype=np.float32,
            ).quality,
        }
        return xr.Dataset(made)

    def run(rows: int | None) -> None:
        data = open_maps(source).isel(y=slice(rows), x=slice(rows))
        with _threads():
            save_maps(computed(data), target, mode="w")

    run(100)  # compiled code comes from disk after the first time
    return _timed(run)


def _timed(run: Any) -> dict[str, float]:
    start, used = time.perf_counter(), time.process_time()
    run(None)
    return {
        "seconds": time.perf_counter() - start,
        "cpu_seconds": time.process_time() - used,
        "peak_mib": peak_mib(),
    }


def peer(source: str, target: str, influence: str, dtype: str) -> dict[str, float]:
    """The same formulas in plain xarray and Dask."""
    import xarray as xr

    from benchmarks import chain_peer
    from eco_index.methods import load_method

    method, parameters = load_method("hj1173_2021"), habitat_parameters(influence)

    def run(rows: int | None) -> None:
        data = xr.open_zarr(source, mask_and_scale=False, consolidated=False)
        data = data.isel(y=slice(rows), x=slice(rows))
        floats = [n for n in data.data_vars if data[n].dtype.kind == "f"]
        data = data.assign({n: data[n].astype(dtype) for n in floats})
        made = {
            "soil_retention": chain_peer.retention(data, method, PIXEL, LENGTH),
            "sand_fixation": chain_peer.fixation(data, method, RELIEF),
            "quality": chain_peer.quality(data, parameters, PIXEL, dtype),
        }
        _write(xr.Dataset(made).astype(np.float32), target)

    run(100)
    return _timed(run)


def difference(first: str, second: str) -> dict[str, float]:
    """Return the greatest difference of each map, as a share of its 99th percentile."""
    import zarr

    a, b = zarr.open_group(first, mode="r"), zarr.open_group(second, mode="r")
    worst: dict[str, float] = {}
    for name in OUTPUTS:
        scale = float(np.nanpercentile(np.abs(a[name][:CHUNK]), 99))
        for row in range(0, a[name].shape[0], CHUNK):
            left, right = (np.asarray(g[name][row : row + CHUNK], np.float64) for g in (a, b))
            if not np.array_equal(np.isnan(left), np.isnan(right)):
                odd = int((np.isnan(left) != np.isnan(right)).sum())
                raise SystemExit(f"{name}: {odd} pixels are missing on one side only")
            off = float(np.nanmax(np.abs(left - right), initial=0.0)) / scale
            worst[name] = max(worst.get(name, 0.0), off)
    return worst


def compare(source: str, influence: str, runs: int, tolerance: float = 1e-5) -> dict[str, Any]:
    """Run both sides in turns on one store and compare times, memory and results.

    Raises
    ------
    TimeoutError
        A side has not finished within the limit.
    """
    folder = Path(source).parent
    target = {n: str(folder / f"{n}.zarr") for n in ("ours", "peer", "peer32")}
    found = alternating(
        {
            "ours": (ours, (source, target["ours"], influence)),
            "peer": (peer, (source, target["peer"], influence, "float64")),
            "peer32": (peer, (source, target["peer32"], influence, "float32")),
        },
        runs,
        limit=LIMIT_SECONDS,
    )
    worst = difference(target["ours"], target["peer"])
    if max(worst.values()) > tolerance:
        raise SystemExit(f"results differ, as a share of the 99th percentile: {worst}")
    seconds = {n: median(r, "seconds") for n, r in found.items()}
    used = {n: median(r, "cpu_seconds") for n, r in found.items()}
    return {
        "ratio_xarray": round(seconds["peer"] / seconds["ours"], 2),
        "peak_mib": round(max(r["peak_mib"] for r in found["ours"]), 1),
        "cpu_ratio_xarray": round(used["peer"] / used["ours"], 2),
        "ratio_xarray_float32": round(seconds["peer32"] / seconds["ours"], 2),
        "cpu_ratio_xarray_float32": round(used["peer32"] / used["ours"], 2),
        "seconds": round(seconds["ours"], 2),
        "peer_seconds": round(seconds["peer"], 2),
        "cpu_seconds": round(used["ours"], 2),
        "peer_cpu_seconds": round(used["peer"], 2),
        "peer_peak_mib": round(max(r["peak_mib"] for r in found["peer"]), 1),
        "worst_difference": float(f"{max(worst.values()):.2g}"),
    }


def chain(size: int, peer_size: int | None, runs: int, folder: Path) -> dict[str, Any]:
    """Both influences of threats on the same inputs: keys `chain_…`, `chain_density_…`.

    Where the peer does not finish the size, both sides run at the largest that it does, and ours
    alone at the size: its memory and seconds are those that are given.
    """
    compared = peer_size or size
    out: dict[str, Any] = {}

    def inputs(side: int) -> str:
        path = folder / f"{side}" / "inputs.zarr"
        if not path.exists():
            write_inputs(str(path), side)
        return str(path)

    for influence, prefix in (("nearest", "chain"), ("density", "chain_density")):
        found: dict[str, Any] = {}
        while not found:
            try:
                found = compare(inputs(compared), influence, runs)
            except TimeoutError:
                compared //= 2
        if compared != size:
            target = str(folder / "ours.zarr")
            large = alone(ours, inputs(size), target, influence)
            found |= {k: round(large[k], 2) for k in ("seconds", "cpu_seconds", "peak_mib")}
        out |= {f"{prefix}_{k}": v for k, v in found.items()}
    return out | {"chain_size": size, "chain_peer_size": compared, "chain_runs": runs}
