"""Variograms on a grid of cells: empirical by FFT, fitted by weighted least squares.

Journel & Huijbregts 1978, Mining Geostatistics, ch. II; Pebesma 2004, Computers & Geosciences 30,
683-691 (weights pairs / distance^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Shape = Literal["exponential", "matern32"]
SHAPES: tuple[Shape, ...] = ("exponential", "matern32")
#: Lags up to this share of the diagonal of the observed cells are fitted.
_REACH = 0.5
#: Fewest pairs of cells behind a lag.
_PAIRS = 60
_RANGES = 24  # trial ranges, geometric from half a cell to the diagonal
_FINE = 16  # lags are one cell wide up to here, and grow by 8 % beyond


@dataclass(frozen=True)
class Variogram:
    """A fitted variogram: nugget + sill x shape(distance / range).

    Attributes
    ----------
    nugget, sill : float
        In the square of the variable's unit, 0 or more.
    length : float
        Range parameter in cells.
    shape : {'exponential', 'matern32'}
    """

    nugget: float
    sill: float
    length: float
    shape: Shape

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Return the variogram at distances in cells; 0 at distance 0."""
        grown = _curve(distance, self.length, self.shape)
        return self.nugget * (distance > 0) + self.sill * grown


def _curve(distance: np.ndarray, length: float, shape: Shape) -> np.ndarray:
    x = distance / length
    return 1 - np.exp(-x) if shape == "exponential" else 1 - (1 + x) * np.exp(-x)


class Lags:
    """Sums over pairs of cells of a grid, by lag, through the fast Fourier transform.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns of the grid.
    """

    def __init__(self, shape: tuple[int, int]) -> None:
        from scipy import fft

        self._fft = fft
        self.size = tuple(fft.next_fast_len(2 * n, real=True) for n in shape)
        away = [np.minimum(np.arange(n), n - np.arange(n)) for n in self.size]
        self.distance = np.hypot(away[0][:, None], away[1][None])
        r = self.distance
        with np.errstate(divide="ignore"):
            far = _FINE + np.floor(np.log(np.maximum(r, _FINE) / _FINE) / np.log(1.08))
        self._bin = np.where(r < _FINE, np.round(r), far).astype(np.int64)

    def transform(self, cells: np.ndarray) -> np.ndarray:
        return np.asarray(self._fft.rfft2(cells, self.size))

    def correlate(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Sum of a_i b_j over pairs, per lag, of two transforms."""
        return np.asarray(self._fft.irfft2(a * b.conj(), self.size))

    def binned(self, sums: np.ndarray) -> np.ndarray:
        """Add up per-lag sums in rings of distance."""
        return np.bincount(self._bin.ravel(), sums.ravel())

    def fit(self, values: np.ndarray, known: np.ndarray) -> Variogram | None:
        """Fit a variogram to the known cells.

        Parameters
        ----------
        values : numpy.ndarray
            float64 (h, w); unknown cells are ignored.
        known : numpy.ndarray
            bool (h, w).

        Returns
        -------
        Variogram or None
            None where fewer than three rings have enough pairs.
        """
        z = np.where(known, values - values[known].mean(), 0.0)
        f_known, f_z, f_square = (self.transform(a) for a in (known.astype(float), z, z * z))
        pairs = np.round(self.correlate(f_known, f_known))
        crossed = self.correlate(f_square, f_known) + self.correlate(f_known, f_square)
        squares = crossed - 2 * self.correlate(f_z, f_z)
        count = self.binned(pairs)
        with np.errstate(invalid="ignore", divide="ignore"):
            gamma = self.binned(squares) / count / 2
            ring = self.binned(self.distance * pairs) / count
        rows, columns = np.nonzero(known)
        diagonal = float(np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1))
        use = (count >= _PAIRS) & (np.arange(count.size) > 0) & (ring <= _REACH * diagonal)
        if use.sum() < 3:
            return None
        return _fitted(ring[use], np.maximum(gamma[use], 0.0), count[use], diagonal)

    def variance(self, weights: np.ndarray, model: Variogram) -> float:
        """Variance of sum(weights x values), for weights that add to zero."""
        return max(-self.mean_gamma(weights, model), 0.0)

    def mean_gamma(self, weights: np.ndarray, model: Variogram) -> float:
        """Sum of w_i w_j gamma(h_ij) over all pairs: for weights that add to one, a mean."""
        f = self.transform(weights)
        return float((self.correlate(f, f) * model.at(self.distance)).sum())


def _fitted(x: np.ndarray, gamma: np.ndarray, count: np.ndarray, diagonal: float) -> Variogram:
    """Least squares with weights pairs / distance^2, nugget and sill not negative."""
    w = np.sqrt(count) / x
    y = w * gamma
    best: tuple[float, Variogram] | None = None
    for length in np.geomspace(0.5, diagonal, _RANGES):
        for shape in SHAPES:
            b = w * _curve(x, float(length), shape)
            nugget, sill = _two(w, b, y)
            error = float(((nugget * w + sill * b - y) ** 2).sum())
            if best is None or error < best[0] * (1 - 1e-12):
                best = (error, Variogram(nugget, sill, float(length), shape))
    assert best is not None
    return best[1]


def _two(a: np.ndarray, b: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    """Least squares of y on a and b with coefficients that are not negative."""
    aa, ab, bb, ay, by = a @ a, a @ b, b @ b, a @ y, b @ y
    det = aa * bb - ab * ab
    if det > 1e-12 * aa * bb:
        first, second = (ay * bb - by * ab) / det, (by * aa - ay * ab) / det
        if first >= 0 and second >= 0:
            return float(first), float(second)
    alone_a, alone_b = max(ay / aa, 0.0), max(by / bb, 0.0)
    gain_a, gain_b = 2 * alone_a * ay - alone_a**2 * aa, 2 * alone_b * by - alone_b**2 * bb
    return (float(alone_a), 0.0) if gain_a >= gain_b else (0.0, float(alone_b))
