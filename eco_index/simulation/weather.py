"""Smooth clouds and snow patches of a scene."""

from __future__ import annotations

import numpy as np

from eco_index.simulation.noise import fractal_noise
from eco_index.simulation.render import WEATHER_STEP

# The surface is harmed only where the field has risen this many pixels beyond the flagged edge,
# so that a bilinear kernel over unflagged pixels never mixes cloud in.
CLEARANCE_PX = 2.5


def weather_field(
    shape: tuple[int, int],
    share: float,
    rng: np.random.Generator,
    cells: float,
    slope: float = 0.0,
) -> tuple[np.ndarray, float]:
    """Return a field that is above 0 on `share` of the scene, and its margin.

    Parameters
    ----------
    shape : tuple of int
        Scene rows, columns (pixels).
    share : float
        0-1.
    rng : numpy.random.Generator
        Source of randomness.
    cells : float
        Blobs along the longer side.
    slope : float
        Preference for the north (top) of the scene.

    Returns
    -------
    tuple
        float32 field at every WEATHER_STEP-th pixel, and the value that the field does not exceed
        within CLEARANCE_PX of its zero line.
    """
    small = (shape[0] // WEATHER_STEP + 2, shape[1] // WEATHER_STEP + 2)
    if share <= 0:
        return np.full(small, -1e3, np.float32), 1.0
    field = fractal_noise(small, cells, rng, octaves=2, gain=0.35)
    field -= np.float32(slope) * np.linspace(-1, 1, small[0], dtype=np.float32)[:, np.newaxis]
    field -= np.float32(np.quantile(field, 1 - min(share, 0.99)))
    steepest = max(float(np.abs(np.diff(field, axis=axis)).max()) for axis in (0, 1))
    return field, max(1e-3, CLEARANCE_PX * np.sqrt(2) * steepest / WEATHER_STEP)
