"""RSEI on maps: one model fitted on all years, then the map of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from eco_index.errors import InputError
from eco_index.indices import rsei, rsei_inputs
from eco_index.indices import rsei_kernels as kernels
from eco_index.indices.doors import check_units
from eco_index.indices.tasselled import WetnessSet
from eco_index.methods import Method, load_method

VERSION = 1  # changes when results change

_UNITS = (kernels.INDEX_STEPS, kernels.INDEX_STEPS, kernels.KELVIN_STEPS, kernels.INDEX_STEPS)
_FAN = 16  # partial results that one step of a merge takes: bounds the memory

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Year:
    """Reflectance and temperature of one year.

    Attributes
    ----------
    name : str
        For messages.
    data : xarray.Dataset
        Bands (`rsei_inputs.BANDS` and those of `wetness`), reflectance 0–1, and ``lst``, K, on one
        grid; NaN where missing. May be Dask arrays of any chunks.
    wetness : WetnessSet
        For the sensor and level of this year's reflectance.
    """

    name: str
    data: xr.Dataset
    wetness: WetnessSet

    def arrays(self) -> list[xr.DataArray]:
        """Bands and temperature, checked."""
        names = [*dict.fromkeys((*rsei_inputs.BANDS, *self.wetness.bands)), "lst"]
        absent = [n for n in names if n not in self.data]
        if absent:
            raise InputError(
                f"variables are missing: {', '.join(absent)}",
                where=f"RSEI, year {self.name}",
                rule=f"needed: {', '.join(names)}",
            )
        check_units(self.data["lst"], "lst", ("K", "kelvin"))
        unified = xr.unify_chunks(*(self.data[n] for n in names))
        return [a for a in unified if isinstance(a, xr.DataArray)]


@dataclass(frozen=True)
class RseiModel:
    """What turns inputs into RSEI: the same for every year that is compared.

    Attributes
    ----------
    limits : tuple of (float, float)
        Lower and upper limit of NDVI, WET, LST (K) and NDBSI; values beyond are clipped.
    loadings : tuple of float
        Of the first component, signs (+, +, −, −), unit length.
    share : float
        Part of the variance that the component holds, 0–1.
    score : tuple of float
        Lowest and highest score of the fitted pixels: RSEI 0 and 1.
    percent : tuple of float
        Percentiles that the limits are.
    pixels, water : int
        Pixels fitted, and pixels left out as water.
    years : tuple of str
        Years that were pooled.
    water_above : float
        MNDWI above this is water.
    """

    limits: tuple[tuple[float, float], ...]
    loadings: tuple[float, ...]
    share: float
    score: tuple[float, float]
    percent: tuple[float, float]
    pixels: int
    water: int
    years: tuple[str, ...]
    water_above: float

    def steps(self) -> tuple[Array, Array]:
        """Limits in whole steps."""
        scaled = [[round(v * u) for v in pair] for pair, u in zip(self.limits, _UNITS, strict=True)]
        low, high = np.array(scaled, np.int64).T
        return np.ascontiguousarray(low), np.ascontiguousarray(high)

    def to_json(self) -> str:
        """Return it as text for an attribute or a file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> RseiModel:
        """Read what `to_json` wrote: a fitted model serves later years unchanged."""
        try:
            raw = json.loads(text)
            raw["limits"] = tuple(tuple(pair) for pair in raw["limits"])
            for key in ("loadings", "score", "percent", "years"):
                raw[key] = tuple(raw[key])
            return cls(**raw)
        except (ValueError, TypeError, KeyError) as error:
            raise InputError(f"this is no model of RSEI: {error}") from None


#: Name and wetness of a year: what a block needs besides its pixels, cheap to send to a worker.
Spec = tuple[str, WetnessSet]


def _merge(
    years: Sequence[Year], function: Callable[..., Any], add: Callable[[Any, Any], Any]
) -> Any:
    """Apply a function to the blocks of all years and add up what it returns."""

    def total(parts: Sequence[Any]) -> Any:
        out = parts[0]
        for part in parts[1:]:
            out = add(out, part)
        return out

    done, lazy = [], []
    for year in years:
        arrays = year.arrays()
        names, spec = [str(a.name) for a in arrays], (year.name, year.wetness)
        if arrays[0].chunks is None:
            done.append(function(spec, names, *(a.to_numpy() for a in arrays)))
            continue
        import dask

        call = dask.delayed(function, pure=False)
        columns = [a.data.to_delayed().ravel() for a in arrays]
        lazy += [call(spec, names, *blocks) for blocks in zip(*columns, strict=True)]
    if lazy:
        import dask

        merge = dask.delayed(total, pure=False)
        while len(lazy) > 1:
            lazy = [merge(lazy[i : i + _FAN]) for i in range(0, len(lazy), _FAN)]
        done.append(dask.compute(lazy[0])[0])
    return total(done)


def _steps(
    spec: Spec, names: list[str], blocks: tuple[Array, ...], water: float
) -> tuple[Array, int]:
    bands = dict(zip(names, blocks, strict=True))
    name, wetness = spec
    try:
        return rsei_inputs.steps_of(bands, bands.pop("lst"), wetness, water)
    except InputError as error:
        raise InputError(
            error.what, where=f"RSEI, year {name}", rule=error.rule, fix=error.fix
        ) from None


def fit(
    years: Sequence[Year],
    percent: tuple[float, float] | None = None,
    water_above: float | None = None,
    method: Method | None = None,
) -> RseiModel:
    """Fit limits, loadings and the range of the score on all years together.

    Parameters
    ----------
    years : sequence of Year
        One year: the index of that year alone. Several: limits and loadings are pooled, so that
        a change between years is not made by the scaling.
    percent : tuple of float, optional
        Percentiles (inverted distribution function) that become 0 and 1; minimum and maximum by
        the method file, 1 and 99 resist outliers.
    water_above : float, optional
        MNDWI above this is water; by the method file.
    method : Method, optional
        ``rsei``.

    Returns
    -------
    RseiModel
        The same for any chunking.

    Raises
    ------
    InputError
        No valid pixel, an input that does not vary, or loadings without the signs (+, +, −, −).

    Notes
    -----
    Three passes over the blocks with sums of bounded size: histograms, sums of products, extremes
    of the score. Xu (2013); Xu et al. (2017).
    """
    method = method or load_method("rsei")
    low, high = percent or tuple(method.number(f"{k}_percent").required for k in ("low", "high"))
    if not 0 <= low < high <= 100:
        raise InputError(f"percentiles {low:g} and {high:g}", rule="0 <= low < high <= 100")
    water = method.number("water_above").required if water_above is None else water_above
    if not years:
        raise InputError("RSEI was given no year")

    def histograms(spec: Spec, names: list[str], *blocks: Array) -> list[Any]:
        steps, wet = _steps(spec, names, blocks, water)
        out: list[Any] = [np.int64(wet)]
        for row, (first, bins) in zip(steps, rsei_inputs.RANGES, strict=True):
            out.append(np.zeros(bins, np.int64))
            kernels.count_steps(row, first, out[-1])
        return out

    left_out, *counts = _merge(
        years, histograms, lambda a, b: [x + y for x, y in zip(a, b, strict=True)]
    )
    limits = []
    for name, count, (first, _), unit in zip(
        rsei_inputs.NAMES, counts, rsei_inputs.RANGES, _UNITS, strict=True
    ):
        pair = tuple((first + _percentile(count, p)) / unit for p in (low, high))
        if not pair[0] < pair[1]:
            raise InputError(
                f"'{name}' does not vary: {pair[0]:g} at both ends", where="RSEI", rule="it varies"
            )
        limits.append((pair[0], pair[1]))
    model = RseiModel(
        limits=tuple(limits),
        loadings=(),
        share=0.0,
        score=(0.0, 1.0),
        percent=(float(low), float(high)),
        pixels=0,
        water=int(left_out),
        years=tuple(y.name for y in years),
        water_above=float(water),
    )
    lows, highs = model.steps()

    def moments(spec: Spec, names: list[str], *blocks: Array) -> rsei.Moments:
        steps, _ = _steps(spec, names, blocks, water)
        sums, products = np.zeros(4, np.int64), np.zeros((4, 4), np.int64)
        n = kernels.add_moments(steps, lows, highs, sums, products)
        full = products + np.tril(products, -1).T
        return rsei.Moments(n, tuple(sums.tolist()), tuple(full.ravel().tolist()))

    total = _merge(years, moments, lambda a, b: a + b)
    loadings, share = rsei.first_component(total)

    def extremes(spec: Spec, names: list[str], *blocks: Array) -> tuple[float, float]:
        steps, _ = _steps(spec, names, blocks, water)
        score = np.empty(steps.shape[1])
        kernels.scores(steps, lows, highs, loadings, score)
        found = score[~np.isnan(score)]
        return (float(found.min()), float(found.max())) if found.size else (np.inf, -np.inf)

    score = _merge(years, extremes, lambda a, b: (min(a[0], b[0]), max(a[1], b[1])))
    return replace(
        model, loadings=tuple(loadings.tolist()), share=share, score=score, pixels=total.n
    )


def _percentile(counts: Array, percent: float) -> int:
    """Bin of the smallest value that at least `percent` of all values do not exceed."""
    total = int(counts.sum())
    if total < 2:
        raise InputError(f"RSEI has {total} valid pixels.", rule="at least 2, not masked as water")
    rank = max(1, int(np.ceil(round(percent / 100 * total, 6))))
    return int(np.searchsorted(np.cumsum(counts), rank))


def apply(model: RseiModel, year: Year) -> xr.DataArray:
    """RSEI of a year, 0–1, float32; NaN where an input is missing or water lies.

    Parameters
    ----------
    model : RseiModel
        Fitted on this year, on several years, or earlier on others.
    year : Year
        Inputs.

    Returns
    -------
    xarray.DataArray
        Lazy if the inputs are; the same values for any chunking. Attributes carry the model.
    """
    arrays = year.arrays()
    names = [str(a.name) for a in arrays]
    spec = (year.name, year.wetness)
    low, high = model.steps()
    loadings = np.array(model.loadings)
    least, most = model.score

    def block(*blocks: Array) -> Array:
        steps, _ = _steps(spec, names, blocks, model.water_above)
        score = np.empty(steps.shape[1])
        kernels.scores(steps, low, high, loadings, score)
        index = np.clip((score - least) / (most - least), 0.0, 1.0)
        return index.astype(np.float32).reshape(blocks[0].shape)

    out: xr.DataArray = xr.apply_ufunc(
        block, *arrays, dask="parallelized", output_dtypes=[np.float32], join="exact"
    )
    out.attrs = {
        "long_name": "remote-sensing ecological index (RSEI)",
        "long_name_zh": "遥感生态指数",
        "units": "1",
        "valid_range": [0.0, 1.0],
        "year": year.name,
        "wetness_set": year.wetness.id,
        "wetness_source": year.wetness.source,
        "rsei_model": model.to_json(),
        "comment": "relative to the area and years of the model; not comparable between areas",
    }
    return out.rename("rsei")
