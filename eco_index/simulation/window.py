"""Where the file of a simulated scene lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from affine import Affine


@dataclass(frozen=True)
class Window:
    """Where the file of a scene lies.

    Attributes
    ----------
    transform : Affine
    shape : tuple of int
        Rows, columns.
    edge : tuple of float
        Observed where a*u + b*v <= c (u east, v south, fractions of the region).
    footprint : shapely.Polygon
        Observed part, degrees.
    lattice : numpy.ndarray
        float64 [rows, columns, 2]: columns and rows of the simulated land under every
        ``render.STEP``-th pixel.
    """

    transform: Affine
    shape: tuple[int, int]
    edge: tuple[float, float, float]
    footprint: shapely.Polygon
    lattice: np.ndarray
