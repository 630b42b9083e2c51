"""What errors of a class map mean for the share of a class (Olofsson et al. 2014)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.analysis.map_errors import MapErrors
from eco_index.analysis.uncertainty import Part, normal_part
from eco_index.errors import InputError
from eco_index.groundtruth.accuracy import class_accuracy


@dataclass(frozen=True)
class ClassShare:
    """Share of a class (or several together) by the map and by the reference.

    Attributes
    ----------
    mapped, estimated : float
        0-1; `estimated` corrects the map by its errors at the samples (eq. 9).
    sigma : float
        Standard error of `estimated`, see `MapErrors.covariance`.
    """

    mapped: float
    estimated: float
    sigma: float

    def part(self, scale: float = 1.0) -> Part:
        """Return the part of a printed mapped share; `scale` 100 for percent."""
        return normal_part(
            "classification", scale * self.sigma, scale * (self.estimated - self.mapped)
        )


def class_share(counts: np.ndarray, mapped_areas: np.ndarray, members: Sequence[int]) -> ClassShare:
    """Return the share of some classes of a zone from reference samples.

    Parameters
    ----------
    counts : numpy.ndarray
        (class, class) sample counts; rows are the map's classes, columns the reference's.
    mapped_areas : numpy.ndarray
        (class,), area of each class on the map of the zone. Samples of a larger region serve a zone
        only if the map errs alike everywhere; say so where the share is printed.
    members : sequence of int
        Positions of the classes that are counted together (all forest classes).

    Raises
    ------
    InputError
        As in `class_accuracy`; members that are no classes.

    Notes
    -----
    Strata are the mapped classes; the reference's classes are taken together before the variance is
    formed, so that confusion among members costs nothing.
    """
    class_accuracy(counts, mapped_areas)  # the doors
    errors = MapErrors.of(counts)
    area = np.asarray(mapped_areas, np.float64)
    chosen = sorted(set(members))
    if not chosen or chosen[0] < 0 or chosen[-1] >= area.size:
        raise InputError(
            f"The classes {list(members)} are not in the matrix.", rule=f"0 to {area.size - 1}"
        )
    w = area / area.sum()
    member = np.isin(np.arange(area.size), chosen).astype(np.float64)
    sigma = errors.sigma(np.outer(w, member))
    return ClassShare(float(w[chosen].sum()), float(w @ errors.rates @ member), sigma)
