"""Numba kernels that reduce the clear observations of each pixel: percentile, medoid, and so on.

A stack holds NDVI as stored (int16 x 1e-4, -32768 where not clear or not valid), one layer a scene,
in the order of the scenes' list; spectra are float32 reflectances. No result depends on how an area
is cut up, nor (the list being sorted) on the order in which scenes are found.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from eco_index.kernels import NDVI_FILL, NDVI_SCALE

_jit = njit(nogil=True, cache=True, error_model="numpy")

REACHED = 1e-6  # reflectance: the search for a geometric median stops at steps below
MAX_STEPS = 200


@_jit
def _sort(values: np.ndarray, count: int) -> None:
    """Shell sort of the first `count` values: in place, quick for the tens that occur."""
    for gap in (701, 301, 132, 57, 23, 10, 4, 1):
        for i in range(gap, count):
            value, j = values[i], i
            while j >= gap and values[j - gap] > value:
                values[j] = values[j - gap]
                j -= gap
            values[j] = value


@_jit
def _rounded(value: float) -> np.int16:
    """Round half away from zero, as everywhere in the cube."""
    size = np.int32(np.abs(value) + 0.5)
    return np.int16(size if value >= 0.0 else -size)


@_jit
def percentile(stack: np.ndarray, fraction: float, out: np.ndarray) -> None:
    """Fill `out` with a percentile of each pixel's valid values, interpolated linearly.

    Parameters
    ----------
    stack : int16[n, h, w]
        NDVI as stored.
    fraction : float
        0 to 1; 0.5 is the median.
    out : int16[h, w]
        NDVI as stored; -32768 where no value is valid.

    Notes
    -----
    Definition 7 of Hyndman & Fan 1996, the arithmetic that of `numpy.nanpercentile`.
    """
    layers, height, width = stack.shape
    values = np.empty(layers, np.int16)
    for y in range(height):
        for x in range(width):
            count = 0
            for i in range(layers):
                values[count] = stack[i, y, x]
                count += stack[i, y, x] != NDVI_FILL
            if count == 0:
                out[y, x] = NDVI_FILL
                continue
            _sort(values, count)
            at = (count - 1) * fraction
            low = int(np.floor(at))
            part = at - low
            a = float(values[low])
            b = float(values[min(low + 1, count - 1)])
            # From the nearer end, as NumPy does: the same bits, and never beyond either value.
            value = b - (b - a) * (1.0 - part) if part >= 0.5 else a + (b - a) * part
            out[y, x] = _rounded(value)


@_jit
def count_groups(stack: np.ndarray, groups: np.ndarray, out: np.ndarray) -> None:
    """Add to `out` in how many groups (neighbouring layers: scenes, or days) a value is valid."""
    layers, height, width = stack.shape
    for y in range(height):
        for x in range(width):
            last = -1
            for i in range(layers):
                if stack[i, y, x] != NDVI_FILL and groups[i] != last:
                    out[y, x] += np.uint16(1)
                    last = groups[i]


@_jit
def drop_incomplete(stack: np.ndarray, spectra: np.ndarray) -> None:
    """Take observations out of the stack that lack a value in any band."""
    bands, layers, height, width = spectra.shape
    for b in range(bands):
        for i in range(layers):
            for y in range(height):
                for x in range(width):
                    lacks = np.isnan(spectra[b, i, y, x])
                    stack[i, y, x] = NDVI_FILL if lacks else stack[i, y, x]


@_jit
def _gather(
    stack: np.ndarray,
    spectra: np.ndarray,
    y: int,
    x: int,
    layer: np.ndarray,
    points: np.ndarray,
) -> int:
    count = 0
    for i in range(stack.shape[0]):
        if stack[i, y, x] == NDVI_FILL:
            continue
        layer[count] = i
        for b in range(spectra.shape[0]):
            points[count, b] = spectra[b, i, y, x]
        count += 1
    return count


@_jit
def _apart(points: np.ndarray, i: int, j: int) -> float:
    total = 0.0
    for b in range(points.shape[1]):
        step = points[i, b] - points[j, b]
        total += step * step
    return np.sqrt(total)


@_jit
def _most_central(points: np.ndarray, count: int, sums: np.ndarray) -> int:
    """Return the point with the smallest sum of distances to all others, the first of equals."""
    sums[:count] = 0.0
    for i in range(count):
        for j in range(i + 1, count):
            apart = _apart(points, i, j)
            sums[i] += apart
            sums[j] += apart
    best = 0
    for i in range(1, count):
        if sums[i] < sums[best]:
            best = i
    return best


@_jit
def medoid(
    stack: np.ndarray,
    spectra: np.ndarray,
    numbers: np.ndarray,
    out: np.ndarray,
    winner: np.ndarray,
) -> None:
    """Fill `out` with the NDVI of each pixel's medoid observation.

    Parameters
    ----------
    stack : int16[n, h, w]
        NDVI as stored.
    spectra : float32[bands, n, h, w]
        Reflectances; complete where the stack is valid.
    numbers : uint16[n]
        Numbers of the layers' scenes.
    out : int16[h, w]
        NDVI as stored; -32768 where no value is valid.
    winner : uint16[h, w]
        Filled with the number of the scene; left alone where it has no rows.

    Notes
    -----
    The observation with the smallest sum of Euclidean distances to all others (Flood 2013); of
    equals the earliest.
    """
    layers, height, width = stack.shape
    layer, sums = np.empty(layers, np.int64), np.empty(layers)
    points = np.empty((layers, spectra.shape[0]))
    indexed = winner.shape[0] > 0
    for y in range(height):
        for x in range(width):
            count = _gather(stack, spectra, y, x, layer, points)
            if count == 0:
                out[y, x] = NDVI_FILL
                continue
            chosen = layer[_most_central(points, count, sums)]
            out[y, x] = stack[chosen, y, x]
            if indexed:
                winner[y, x] = numbers[chosen]


@_jit
def _cost(points: np.ndarray, count: int, place: np.ndarray) -> float:
    total = 0.0
    for i in range(count):
        apart = 0.0
        for b in range(points.shape[1]):
            step = points[i, b] - place[b]
            apart += step * step
        total += np.sqrt(apart)
    return total


@_jit
def _pull(points: np.ndarray, count: int, place: np.ndarray, work: np.ndarray) -> float:
    """Return how many points lie on `place`; fill `work` with what the others do.

    Row 0: sum of their unit pulls; row 1: their mean weighted by 1 / distance; rows 3 and on: the
    second derivatives of the cost.
    """
    bands = points.shape[1]
    work[0], work[1], work[3:] = 0.0, 0.0, 0.0
    total, here = 0.0, 0.0
    unit = work[2]
    for i in range(count):
        apart = 0.0
        for b in range(bands):
            unit[b] = points[i, b] - place[b]
            apart += unit[b] * unit[b]
        apart = np.sqrt(apart)
        if apart <= 1e-12:
            here += 1.0
            continue
        total += 1.0 / apart
        for b in range(bands):
            unit[b] /= apart
            work[0, b] += unit[b]
            work[1, b] += points[i, b] / apart
        for b in range(bands):
            for c in range(bands):
                work[3 + b, c] += ((1.0 if b == c else 0.0) - unit[b] * unit[c]) / apart
    for b in range(bands):
        work[1, b] = work[1, b] / total if total > 0.0 else place[b]
    return here


@_jit
def _length(vector: np.ndarray) -> float:
    total = 0.0
    for b in range(vector.shape[0]):
        total += vector[b] * vector[b]
    return np.sqrt(total)


@_jit
def _solve(matrix: np.ndarray, vector: np.ndarray) -> bool:
    """Replace `vector` by the solution of a symmetric positive system; False: nearly singular."""
    n = vector.shape[0]
    largest = 0.0
    for i in range(n):
        largest = max(largest, matrix[i, i])
    for i in range(n):
        if matrix[i, i] <= 1e-9 * largest:
            return False
        for j in range(i + 1, n):
            factor = matrix[j, i] / matrix[i, i]
            for k in range(i, n):
                matrix[j, k] -= factor * matrix[i, k]
            vector[j] -= factor * vector[i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            vector[i] -= matrix[i, k] * vector[k]
        vector[i] /= matrix[i, i]
    return True


@_jit
def centre_of(
    points: np.ndarray, count: int, sums: np.ndarray, centre: np.ndarray, work: np.ndarray
) -> int:
    """Fill `centre` with the geometric median of the first `count` points.

    Parameters
    ----------
    points : float64[n, bands]
        Reflectances.
    count : int
        How many of them count, at least 1.
    sums : float64[n]
        Scratch.
    centre : float64[bands]
        The result.
    work : float64[bands + 3, bands]
        Scratch.

    Returns
    -------
    int
        Steps that were taken; MAX_STEPS: not reached.

    Notes
    -----
    The place of the smallest sum of Euclidean distances. A data point is it exactly where the
    others' unit pulls on it come to less than its own number (Vardi & Zhang 2000). Else the search
    starts at the mean or, where that is better, leaves the best data point by their step. Newton's
    step is taken where it lowers the cost, Weiszfeld's, which always does, where it does not; no
    other data point is met, as costs only fall. Where several places are medians (two observations,
    an even number on a line), it is the one reached from there: of two observations the middle.
    """
    bands = points.shape[1]
    best = _most_central(points, count, sums)
    centre[:] = points[best]
    here = _pull(points, count, centre, work)
    pull = _length(work[0])
    if pull < here - 1e-9:
        return 0
    cost = _cost(points, count, centre)
    mean = work[2]
    mean[:] = 0.0
    for i in range(count):
        for b in range(bands):
            mean[b] += points[i, b] / count
    at_mean = _cost(points, count, mean)
    if at_mean <= cost * (1 + 1e-12):
        centre[:] = mean
        cost = at_mean
    for step in range(MAX_STEPS):
        here = _pull(points, count, centre, work)
        pull, newton = _length(work[0]), False
        place = work[2]
        if here == 0.0 and _solve(work[3:], work[0]):
            for b in range(bands):
                place[b] = centre[b] + work[0, b]
            newton = _cost(points, count, place) < cost
            if not newton and _length(work[0]) <= REACHED:
                return step + 1  # nothing left but rounding
        if not newton:
            keep = 0.0
            if here > 0.0:
                keep = min(1.0, here / pull) if pull > 0.0 else 1.0
            for b in range(bands):
                place[b] = centre[b] + (1.0 - keep) * (work[1, b] - centre[b])
        cost = _cost(points, count, place)
        for b in range(bands):
            work[1, b] = place[b] - centre[b]
            centre[b] = place[b]
        if _length(work[1]) <= (REACHED if newton else 1e-3 * REACHED):
            return step + 1
    return MAX_STEPS


@_jit
def geometric_median(
    stack: np.ndarray, spectra: np.ndarray, out: np.ndarray, centres: np.ndarray
) -> None:
    """Fill `out` with the NDVI of the geometric median of each pixel's spectra.

    Arguments as in `medoid`; the first two bands are red and near infrared, not below 0.
    `centres`, float32[bands, h, w], is filled with the median itself, NaN where there is none; left
    alone where it has no bands.
    """
    kept = centres.shape[0]
    layers, height, width = stack.shape
    bands = spectra.shape[0]
    layer, sums = np.empty(layers, np.int64), np.empty(layers)
    points = np.empty((layers, bands))
    centre, work = np.empty(bands), np.empty((bands + 3, bands))
    for y in range(height):
        for x in range(width):
            count = _gather(stack, spectra, y, x, layer, points)
            if count == 0:
                out[y, x] = NDVI_FILL
                for b in range(kept):
                    centres[b, y, x] = np.nan
                continue
            if count == 1:
                out[y, x] = stack[layer[0], y, x]
                for b in range(kept):
                    centres[b, y, x] = points[0, b]
                continue
            centre_of(points, count, sums, centre, work)
            red, nir = max(centre[0], 0.0), max(centre[1], 0.0)
            out[y, x] = _rounded((nir - red) / (red + nir) * NDVI_SCALE)
            for b in range(kept):
                centres[b, y, x] = centre[b]


@_jit
def keep_best(
    ndvi: np.ndarray,
    distance2: np.ndarray,
    pixel_m: float,
    enough_m: float,
    weight: float,
    base: float,
    best: np.ndarray,
    out: np.ndarray,
    winner: np.ndarray,
    number: int,
) -> None:
    """Keep a scene's NDVI where its score is the highest so far; of equals the one added first.

    Parameters
    ----------
    ndvi : int16[h, w]
        Of this scene alone.
    distance2 : int32[h, w]
        Squared distance to its next cloud or shadow, in pixels of `pixel_m` metres.
    pixel_m, enough_m : float
        Size of these pixels; distance from which a cloud does not matter any more.
    weight : float
        Of the cloud score.
    base : float
        Weighted sum of its other scores.
    best : float64[h, w]
        Highest score so far, -1 where there is none.
    out : int16[h, w]
        NDVI of that score.
    winner : uint16[h, w]
        Number of its scene; left alone where it has no rows.
    number : int
        Of this scene.
    """
    height, width = ndvi.shape
    indexed = winner.shape[0] > 0
    for y in range(height):
        for x in range(width):
            if ndvi[y, x] == NDVI_FILL:
                continue
            away = min(np.sqrt(float(distance2[y, x])) * pixel_m, enough_m) / enough_m
            score = base + weight * away
            if score > best[y, x]:
                best[y, x] = score
                out[y, x] = ndvi[y, x]
                if indexed:
                    winner[y, x] = np.uint16(number)
