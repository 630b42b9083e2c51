"""Connectivity of a unit's important ecological spaces, from a class map in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from eco_index.errors import InputError
from eco_index.indices.connectivity import border_pixels, connectivity, raster_links
from eco_index.indices.patches import PatchScan
from eco_index.methods import Method

#: Patches of a unit beyond which the paths between them are not searched (own rule).
MOST_PATCHES = 20_000

Blocks = Iterable[tuple[int, int, np.ndarray]]


@dataclass(frozen=True)
class Spaces:
    """What counts as a space, and how far species move between spaces.

    Attributes
    ----------
    dispersal_m, probability : float
        A link of `dispersal_m` has this probability.
    least_probability : float
        Paths below it count as none.
    min_patch_ha : float
        Smaller patches are no spaces.
    """

    dispersal_m: float
    probability: float
    least_probability: float
    min_patch_ha: float

    @classmethod
    def of(cls, method: Method) -> Spaces:
        """Return the parameters that a method file states (``connectivity.*``)."""
        names = ("dispersal_m", "probability", "least_probability", "min_patch_ha")
        return cls(*(method.number(f"connectivity.{n}").required for n in names))

    @property
    def reach_m(self) -> float:
        """Distance at which a link falls to the least probability."""
        return float(self.dispersal_m * np.log(self.least_probability) / np.log(self.probability))


def spaces_connectivity(
    blocks: Callable[[], Blocks],
    shape: tuple[int, int],
    pixel_size: tuple[float, float],
    landscape_ha: float,
    spaces: Spaces,
) -> float:
    """Return the probability of connectivity (PC) of the spaces of a unit.

    Patches are connected pixels (8 neighbours) inside the unit, whatever the blocks; distances run
    from edge to edge. Memory is bounded by a block and the patches: the map is read twice.

    Parameters
    ----------
    blocks : callable
        Returns (row, column, block) in row-major order; a block is uint8, 1 for a space, 0 else.
    shape : tuple of int
        Height and width that the blocks tile.
    pixel_size : tuple of float
        Height and width of a pixel, m.
    landscape_ha : float
        Area of the unit, ha.
    spaces : Spaces
        Least patch and dispersal.

    Returns
    -------
    float
        PC, 0–1; 0 without a patch of the least size.

    Raises
    ------
    InputError
        More than `MOST_PATCHES` patches.
    """
    scan = PatchScan(shape, (1,), 0, pixel_size)
    for _, _, block in blocks():
        scan.add(block)
    table = scan.table()
    wanted = table.area_ha >= spaces.min_patch_ha * (1 - 1e-12)
    numbers = table.id[wanted]
    if not numbers.size:
        return 0.0
    if numbers.size > MOST_PATCHES:
        raise InputError(
            f"{numbers.size} patches of at least {spaces.min_patch_ha:g} ha",
            rule=f"up to {MOST_PATCHES} patches a unit are connected with one another",
            fix="raise connectivity.min_patch_ha in an overlay, or give connectivity in the table",
        )
    pixels = []
    for row, column, block in blocks():
        found = border_pixels(scan.labels(block, row, column), row, column)
        pixels.append(found[np.isin(found[:, 0], numbers)])
    links = raster_links(pixels, numbers, pixel_size, spaces.reach_m)
    found_pc = connectivity(
        table.area_ha[wanted],
        links,
        spaces.dispersal_m,
        probability=spaces.probability,
        landscape_ha=landscape_ha,
        least_probability=spaces.least_probability,
        importance=False,
    ).pc
    return min(float(found_pc), 1.0)
