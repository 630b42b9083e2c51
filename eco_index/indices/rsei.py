"""First principal component of RSEI (Xu 2013; sign rule checked with Xu et al. 2017).

Only the component is here; the four inputs arrive scaled to 0–1 in the order NDVI, WET, LST, NDBSI.
Sums are integers, so merging blocks is exact for any chunking. The inputs are made in
`rsei_inputs`, the map in `rsei_map`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from eco_index.errors import InputError

STEPS = 100_000  # scaled inputs are summed in steps of 1/STEPS
EXPECTED_SIGNS = (1, 1, -1, -1)


@dataclass(frozen=True)
class Moments:
    """Count, sums and sums of products of the four inputs in steps; add them with ``+``."""

    n: int
    sums: tuple[int, ...]
    products: tuple[int, ...]

    def __add__(self, other: Moments) -> Moments:
        return Moments(
            self.n + other.n,
            tuple(a + b for a, b in zip(self.sums, other.sums, strict=True)),
            tuple(a + b for a, b in zip(self.products, other.products, strict=True)),
        )


def moments(block: np.ndarray[Any, Any]) -> Moments:
    """Sums of a block of shape (4, ...), values 0–1; pixels with any NaN are left out.

    Raises
    ------
    InputError
        Wrong shape, or values outside 0–1.
    """
    if block.shape[:1] != (4,):
        raise InputError(f"RSEI got an array of shape {block.shape}.", rule="(4, ...)")
    flat = block.reshape(4, -1)
    flat = flat[:, ~np.isnan(flat).any(axis=0)]
    if flat.size and (flat.min() < 0 or flat.max() > 1):
        raise InputError("An input of RSEI lies outside 0-1.", rule="scale and clip before PCA")
    q = np.rint(flat.astype(np.float64) * STEPS).astype(np.int64)
    products = (q @ q.T).ravel()
    return Moments(
        q.shape[1], tuple(int(s) for s in q.sum(axis=1)), tuple(int(p) for p in products)
    )


def oriented(vector: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Turn the whole vector so that its signs are (+, +, -, -); InputError where none is so."""
    for v in (vector, -vector):
        if tuple(np.sign(v)) == EXPECTED_SIGNS:
            return v
    raise InputError(
        f"RSEI is not valid here: the loadings are {np.round(vector, 3).tolist()}.",
        rule="NDVI and WET positive, LST and NDBSI negative",
        fix="check the water mask, the season and the units; do not flip single signs",
    )


def first_component(m: Moments) -> tuple[np.ndarray[Any, Any], float]:
    """Loadings of PC1 (unit norm, sign rule applied) and its share of the variance, 0–1."""
    if m.n < 2:
        raise InputError(f"RSEI has {m.n} valid pixels.", rule="at least 2")
    top = [m.n * p - m.sums[i // 4] * m.sums[i % 4] for i, p in enumerate(m.products)]
    cov = np.array([t / (m.n * m.n * STEPS * STEPS) for t in top]).reshape(4, 4)
    values, vectors = np.linalg.eigh(cov)
    if values.sum() <= 0:
        raise InputError("The inputs of RSEI do not vary.", rule="variance > 0")
    return oriented(vectors[:, -1]), float(values[-1] / values.sum())
