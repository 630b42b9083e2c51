"""Habitat quality after the formulas of InVEST: threats that decay over distance.

D = β Σ_r (w_r / Σ w) S_jr I_r and Q = H_j (1 − D^z / (D^z + k^z)) with z = 2.5, where I_r is the
influence of threat r at the pixel, H_j the suitability of its class, S_jr its sensitivity, β its
accessibility and k the half-saturation. Parameters are files of ``configs/habitat``.

References: Sharp et al., InVEST user's guide, Habitat Quality; Terrado et al. 2016. The influence
``nearest`` is that of the guide and of InVEST from 3.13 on; ``density`` is the convolution of
InVEST 3.3 to 3.12 (its exponential kernel was another: exp(−d/d_max) up to 5 d_max).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from eco_index.errors import InputError, UsageError
from eco_index.indices import habitat_kernels as kernels
from eco_index.indices.doors import check_codes, check_units, checked, float_type
from eco_index.indices.habitat_parameters import HabitatParameters, Threat
from eco_index.indices.surroundings import surrounded
from eco_index.indices.terrain import check_pixel

VERSION = 1  # changes when results change

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class _Source:
    """One threat, ready to be computed."""

    name: str
    classes: tuple[int, ...]
    marked: Array  # uint8 by class code: 1 where the class is the threat
    distance: float
    exponential: bool
    reach: tuple[int, int]
    table: Array  # weight times sensitivity by class code
    densities: dict[int, kernels.Density]  # by levels
    by_square: Array | None  # decay by squared distance, where pixels are square


class HabitatChain:
    """Degradation and quality of a block with its surroundings.

    Parameters
    ----------
    parameters : HabitatParameters
        Threats, classes, half-saturation.
    pixel : tuple of float
        Width and height of a pixel, m.
    dtype : type
        Of the maps, float64 or float32; all is computed in float64.
    """

    def __init__(
        self, parameters: HabitatParameters, pixel: tuple[float, float], dtype: Any = np.float64
    ) -> None:
        check_pixel(*pixel)
        self.dtype = float_type(dtype)
        self.parameters, self.pixel = parameters, (float(pixel[0]), float(pixel[1]))
        self._nearest = parameters.influence == "nearest"
        size = max(parameters.classes) + 1
        self._habitat = np.full(size, -1.0)
        self._habitat[0] = np.nan
        for code, entry in parameters.classes.items():
            self._habitat[code] = entry.habitat
        total = sum(t.weight for t in parameters.threats.values())
        self.sources: list[_Source] = []
        for name, threat in parameters.threats.items():
            table = np.zeros(size)
            for code, entry in parameters.classes.items():
                table[code] = threat.weight / total * entry.sensitivity.get(name, 0.0)
            self.sources.append(
                _Source(
                    name,
                    threat.classes,
                    np.isin(np.arange(size), threat.classes).astype(np.uint8),
                    threat.max_distance_m,
                    threat.decay == "exponential",
                    kernels.reach_of(threat.max_distance_m, self.pixel),
                    table,
                    {} if self._nearest else self._densities(threat),
                    self._by_square(threat) if self._nearest else None,
                )
            )

    def _densities(self, threat: Threat) -> dict[int, kernels.Density]:
        exponential = threat.decay == "exponential"
        weights = kernels.decay_weights(threat.max_distance_m, self.pixel, exponential)
        return {levels: kernels.Density(weights, levels) for levels in (1, kernels.LEVELS)}

    def _by_square(self, threat: Threat) -> Array | None:
        width, height = self.pixel
        if width != height or threat.max_distance_m > 2000 * width:  # a table of moderate size
            return None
        exponential = threat.decay == "exponential"
        return kernels.decay_by_square(threat.max_distance_m, width, exponential)

    @property
    def reach(self) -> tuple[int, int]:
        """Rows and columns around a block that matter to it."""
        return max(s.reach[0] for s in self.sources), max(s.reach[1] for s in self.sources)

    def __call__(
        self, cover: Array, maps: Sequence[Array], access: Array | None, depth: tuple[int, int]
    ) -> Array:
        """Return degradation and quality, (2, h, w).

        Parameters
        ----------
        cover : integer array
            (h + 2 dy, w + 2 dx), class codes; 0 is missing.
        maps : sequence of array
            The same shape: threats without classes, in the order of the parameters.
        access : array or None
            (h, w), 0 (closed) to 1 (open).
        depth : tuple of int
            dy and dx; at the map's border the surroundings are 0.
        """
        (dy, dx), (height, width) = depth, cover.shape
        inner = np.ascontiguousarray(cover[dy : height - dy, dx : width - dx])
        out = np.empty((2, *inner.shape), self.dtype)
        total = out[0] if self.dtype == np.float64 else np.empty(inner.shape)
        total.fill(0.0)
        given = iter(maps)
        for source in self.sources:
            values = None if source.classes else next(given)
            threat, levels = self._threat(source, cover, values)
            self._add(source, threat, levels, inner, depth, total)
        opened = np.ones((1, 1)) if access is None else np.asarray(access, np.float64)
        half = self.parameters.half_saturation
        if kernels.finish(inner, self._habitat, opened, half, total, out[0], out[1]):
            known = {code: entry.name.en for code, entry in self.parameters.classes.items()}
            check_codes(inner, known, "land cover")
            checked(opened, "accessibility", "1", 0, 1, "per cent must be divided by 100")
        return out

    def _threat(self, source: _Source, cover: Array, values: Array | None) -> tuple[Array, int]:
        """Return whole numbers 0 … levels (uint8), and the levels."""
        if values is None:
            return kernels.marks(cover, source.marked), 1
        levels = kernels.LEVELS if values.dtype.kind == "f" and not self._nearest else 1
        out = np.empty(values.shape, np.uint8)
        if values.dtype.kind not in "fiub" or kernels.whole_levels(values, levels, out):
            gaps = int(np.isnan(values).sum()) if values.dtype.kind == "f" else 0
            if gaps:
                raise InputError(
                    f"the threat '{source.name}' is missing at {gaps} pixels",
                    rule="a threat is known everywhere: what is missing is not 'no threat'",
                    fix="fill with 0 where you know that there is none",
                )
            checked(values, source.name, "1", 0, 1, "a share of the pixel; 255 is no threat value")
        if self._nearest and values.dtype.kind == "f":
            odd = int((values != out).sum())
            if odd:
                raise InputError(
                    f"the threat '{source.name}' holds {odd} shares between 0 and 1",
                    rule="influence 'nearest' needs maps of 0 and 1",
                    fix="choose a threshold, or influence: density",
                )
        return out, levels

    def _add_nearest(self, source: _Source, marked: Array, codes: Array, out: Array) -> None:
        if source.by_square is not None:
            reach, by_square = source.reach[0], source.by_square
            kernels.add_nearest(marked, reach, by_square, codes, source.table, out)
        else:
            size = (*self.pixel, source.distance)
            form = (source.reach, size, source.exponential)
            kernels.add_nearest_aside(marked, *form, codes, source.table, out)

    def _add(
        self,
        source: _Source,
        threat: Array,
        levels: int,
        codes: Array,
        depth: tuple[int, int],
        out: Array,
    ) -> None:
        (ry, rx), (dy, dx) = source.reach, depth
        # Where a map is smaller than the reach it has less around it: nothing is beyond.
        more = [(max(ry - dy, 0),) * 2, (max(rx - dx, 0),) * 2]
        if more[0][0] or more[1][0]:
            threat = np.pad(threat, more)
        oy, ox = max(dy - ry, 0), max(dx - rx, 0)
        for top, bottom in kernels.tiles_of(out.shape[0], ry):
            for left, right in kernels.tiles_of(out.shape[1], rx):
                part = threat[oy + top : oy + bottom + 2 * ry, ox + left : ox + right + 2 * rx]
                where = (slice(top, bottom), slice(left, right))
                if not part.any():
                    continue
                part = np.ascontiguousarray(part)
                if self._nearest:
                    self._add_nearest(source, part, codes[where], out[where])
                else:
                    density = source.densities[levels]
                    density.add(part, codes[where], source.table, out[where])


def habitat_quality(
    landcover: xr.DataArray,
    parameters: HabitatParameters,
    *,
    pixel: tuple[float, float],
    threats: Mapping[str, xr.DataArray] | None = None,
    access: xr.DataArray | None = None,
    dtype: Any = np.float64,
) -> xr.Dataset:
    """Habitat degradation and quality.

    Parameters
    ----------
    landcover : xarray.DataArray
        Integer class codes of the parameters, (rows, columns), 0 where missing; chunked or not.
    parameters : HabitatParameters
        See `habitat_parameters.load_habitat`.
    pixel : tuple of float
        Width and height of a pixel, m (a projected grid).
    threats : mapping of str to xarray.DataArray, optional
        Maps of the threats that are not classes of the land cover, on the same grid: 0 or 1, or
        (influence ``density``) shares of 0–1, which are rounded to 1 %. Known everywhere.
    access : xarray.DataArray, optional
        Accessibility β, 0 (fully protected) to 1 (open); open everywhere if not given.
    dtype : type
        Of the maps, float64 or float32 (half the memory); all is computed in float64.

    Returns
    -------
    xarray.Dataset
        ``degradation`` (0–1) and ``quality`` (0–1), lazy if `landcover` is; the same bits for any
        chunking. NaN where land cover or accessibility is missing. Nothing is known beyond the
        map's border and where land cover is missing: threats there do not count, so that
        degradation is a lower bound within the greatest distance of them.

    Raises
    ------
    InputError
        Grids that differ, unknown classes (with their pixels), values out of range, missing threat.
    UsageError
        Maps of other threats than the parameters name.

    Notes
    -----
    Memory is that of a chunk with the greatest distance around it. Chunks smaller than that
    distance are merged.
    """
    chain = HabitatChain(parameters, pixel, dtype)
    given = dict(threats or {})
    wanted = parameters.map_threats
    if set(given) != set(wanted):
        absent, extra = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
        raise UsageError(
            f"maps are given for the threats {sorted(given) or 'none'}",
            rule=f"maps of: {', '.join(wanted) or 'none'}"
            + (f" (missing: {', '.join(absent)})" if absent else ""),
            fix=f"leave out {', '.join(extra)}" if extra else "give a map of 0 and 1 for each",
        )
    maps = [given[name] for name in wanted]
    others = [*maps, *([] if access is None else [access])]
    _one_grid(landcover, others)
    for name, one in zip([*wanted, "accessibility"], others, strict=False):
        check_units(one, name, ("1",))
    reach = chain.reach
    depth = (min(reach[0], landcover.shape[0]), min(reach[1], landcover.shape[1]))
    if all(a.chunks is None for a in (landcover, *others)):
        around = [(depth[0],) * 2, (depth[1],) * 2]
        padded = [np.pad(a.to_numpy(), around) for a in (landcover, *maps)]
        result: Any = chain(
            padded[0], padded[1:], None if access is None else access.to_numpy(), depth
        )
    else:
        result = _lazy(chain, landcover, maps, access, depth)
    made: dict[str, xr.DataArray] = {}
    for position, (name, zh, en) in enumerate(_OUTPUTS):
        made[name] = xr.DataArray(result[position], landcover.coords, landcover.dims, name)
        made[name].attrs = {"units": "1", "long_name": en, "long_name_zh": zh}
    notes = {
        "parameters": f"{parameters.id}@{parameters.version}",
        "parameters_digest": parameters.digest,
        "influence": parameters.influence,
        "provisional": int(parameters.provisional),
    }
    return xr.Dataset(made, attrs=notes)


_OUTPUTS = (
    ("degradation", "生境退化度", "habitat degradation"),
    ("quality", "生境质量", "habitat quality"),
)


def _lazy(
    chain: HabitatChain,
    landcover: xr.DataArray,
    maps: Sequence[xr.DataArray],
    access: xr.DataArray | None,
    depth: tuple[int, int],
) -> Any:
    import dask.array as da

    cover = da.asarray(landcover.data)
    if landcover.chunks is None:
        first = next(a for a in (*maps, access) if a is not None and a.chunks is not None)
        cover = cover.rechunk(first.data.chunks)
    chunks = tuple(
        da.overlap.ensure_minimum_chunksize(max(d, 1), c)
        for d, c in zip(depth, cover.chunks, strict=True)
    )
    padded = [
        surrounded(da.asarray(a).rechunk(chunks), depth, 0)
        for a in (cover, *(m.data for m in maps))
    ]
    rest = [] if access is None else [da.asarray(access.data).rechunk(chunks)]

    def block(*arrays: Array) -> Array:
        opened = arrays[len(padded)] if rest else None
        return chain(arrays[0], arrays[1 : len(padded)], opened, depth)

    return da.map_blocks(
        block, *padded, *rest, dtype=chain.dtype, new_axis=0, chunks=((2,), *chunks)
    )


def _one_grid(landcover: xr.DataArray, others: Sequence[xr.DataArray]) -> None:
    if landcover.ndim != 2:
        raise InputError(
            f"the land cover has the dimensions {landcover.dims}", rule="rows, columns"
        )
    if landcover.dtype.kind not in "iu":
        check_codes(np.zeros(0, landcover.dtype), {}, "land cover")
    for other in others:
        same = other.dims == landcover.dims and other.shape == landcover.shape
        if not same or any(
            d in landcover.coords and d in other.coords and not landcover[d].equals(other[d])
            for d in landcover.dims
        ):
            raise InputError(
                f"an input has {dict(other.sizes)}, the land cover {dict(landcover.sizes)}, or "
                "other coordinates",
                rule="all inputs lie on one grid",
                fix="warp them to one grid first",
            )
