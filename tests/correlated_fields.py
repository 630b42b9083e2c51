"""Synthetic zones: spatially correlated values and gaps."""

from __future__ import annotations

import numpy as np


def field(random: np.random.Generator, n: int, length: float) -> np.ndarray:
    """Standard normal field (n, n) with correlation over about `length` pixels."""
    k2 = np.fft.fftfreq(2 * n)[:, None] ** 2 + np.fft.rfftfreq(2 * n)[None] ** 2
    amplitude = (1 + (2 * np.pi * length) ** 2 * k2) ** -0.75
    noise = np.fft.rfft2(random.normal(size=(2 * n, 2 * n)))
    found = np.fft.irfft2(noise * amplitude, (2 * n, 2 * n))[:n, :n]
    return (found - found.mean()) / found.std()


def zone(n: int) -> np.ndarray:
    """An ellipse with a rectangle grown onto it, bool (n, n)."""
    y, x = np.mgrid[:n, :n]
    c = (n - 1) / 2
    return ((x - c) ** 2 + ((y - c) * 1.4) ** 2 < c**2) | ((x > n * 0.5) & (y < n * 0.3))


def seen(random: np.random.Generator, inside: np.ndarray, length: float) -> np.ndarray:
    """Pixels of a zone with a view: gaps in clumps, 10 to 60 % of the zone."""
    cloud = field(random, inside.shape[0], length)
    return inside & (cloud > np.quantile(cloud[inside], random.uniform(0.1, 0.6)))


def covered(intervals: list[tuple[float, float, float]]) -> float:
    """Share of (low, high, truth) whose interval holds the truth."""
    low, high, truth = np.array(intervals).T
    return float(((low <= truth) & (truth <= high)).mean())
