"""Reference samples of land cover against the period's maps: for accuracy and for intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eco_index.assessment.parts.context import Context
from eco_index.groundtruth.samples import Sample, error_matrix, read_samples
from eco_index.products import LUCC


@dataclass(frozen=True)
class Reference:
    """The samples of the period's year.

    Attributes
    ----------
    path : Path
        Their table.
    samples : list of Sample
        Codes are level-2 classes of the LUCC scheme.
    """

    path: Path
    samples: list[Sample]

    def matrix(
        self, context: Context, product: str = "landcover", of: dict[int, int] | None = None
    ) -> tuple[np.ndarray, int]:
        """Return counts of samples by mapped and reference class, and how many took no part.

        Parameters
        ----------
        context : Context
            Which cube and period.
        product : str
            The class map.
        of : dict, optional
            LUCC class to the map's class, where the map has classes of its own.

        Returns
        -------
        numpy.ndarray
            int64 (class, class) in the order of `legend_of(of)`: rows the map.
        int
        """
        samples = self.samples
        if of is not None:
            samples = [Sample(s.id, s.x, s.y, of[s.code]) for s in samples]
        view, period = context.view, context.period

        def read(rows: slice, columns: slice) -> np.ndarray:
            return view.read(period.cadence, product, period.id, (rows, columns))

        crs = context.region.config.ground_truth.crs
        return error_matrix(samples, view.grid, read, legend_of(of), crs)


def legend_of(of: dict[int, int] | None = None) -> Sequence[int]:
    """Return the classes in the order of a matrix."""
    return list(LUCC) if of is None else sorted(set(of.values()))


def reference_of(context: Context) -> Reference | None:
    """Return the samples of the period's year; None without samples or without land cover.

    Raises
    ------
    InputError
        A table that is malformed.
    """
    config = context.region.config.ground_truth
    path = context.table("ground_truth.samples", config.samples)
    if path is None or context.region.config.landcover is None:
        return None
    return Reference(path, read_samples(path, legend_of(), config.sample_columns))
