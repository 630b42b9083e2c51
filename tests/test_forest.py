"""Minimum area of forest patches, exact across tile borders."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from eco_index.errors import UsageError
from eco_index.indices import forest


@pytest.mark.parametrize(
    ("hectares", "pixel_m2", "count"),
    [(0.067, 900.0, 1), (0.067, 100.0, 7), (0.067, 670.0, 1), (0.067, 669.9, 2), (1.0, 100.0, 100)],
)
def test_pixels_of_the_minimum_area(hectares: float, pixel_m2: float, count: int) -> None:
    assert forest.min_pixels(hectares, pixel_m2) == count


def test_minimum_area_beyond_all_tiles() -> None:
    with pytest.raises(UsageError, match="takes 1000000 pixels"):
        forest.min_pixels(100.0, 1.0)


def test_patches_touch_at_corners() -> None:
    trees = np.zeros((8, 8), bool)
    trees[[0, 1, 2], [0, 1, 2]] = True  # a diagonal of three
    trees[6, 6] = trees[6, 7] = True
    got = forest.minimum_patches(trees, 3)
    assert got.sum() == 3 and got[1, 1] and not got[6, 6]
    assert forest.minimum_patches(trees, 1).sum() == 5


@given(
    st.integers(0, 10_000),
    st.floats(0.1, 0.6),
    st.integers(1, 12),
    st.integers(3, 20),
    st.integers(3, 20),
)
def test_tiles_with_their_halo_equal_the_whole(
    seed: int, share: float, pixels: int, height: int, width: int
) -> None:
    trees = np.random.default_rng(seed).random((37, 41)) < share
    # The plain way: label everything, drop small labels.
    labels, n = ndimage.label(trees, structure=np.ones((3, 3)))
    sizes = ndimage.sum_labels(trees, labels, np.arange(n + 1))
    whole = trees & (sizes[labels] >= pixels)
    halo = forest.halo_of(pixels)
    out = np.zeros_like(trees)
    for y in range(0, 37, height):
        for x in range(0, 41, width):
            y0, x0 = max(0, y - halo), max(0, x - halo)
            part = trees[y0 : y + height + halo, x0 : x + width + halo]
            kept = forest.minimum_patches(part, pixels)
            h, w = min(height, 37 - y), min(width, 41 - x)
            out[y : y + h, x : x + w] = kept[y - y0 : y - y0 + h, x - x0 : x - x0 + w]
    np.testing.assert_array_equal(out, whole)


def test_a_smaller_halo_would_not_do() -> None:
    trees = np.zeros((1, 20), bool)
    trees[0, 9:15] = True  # six in a row, seen from the tile that ends after its first pixel
    need = 6
    assert forest.minimum_patches(trees[:, : 10 + forest.halo_of(need)], need)[0, 9]
    assert not forest.minimum_patches(trees[:, : 10 + forest.halo_of(need) - 1], need)[0, 9]
