"""How a class map errs, from reference samples (Olofsson et al. 2014, equations 9 and 10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Samples that the variance of a class' rates takes for seen, shared equally by all classes.
PRIOR = 1.0


@dataclass(frozen=True)
class MapErrors:
    """Error rates of a class map; the strata are the mapped classes.

    Attributes
    ----------
    rates : numpy.ndarray
        (class, class), share of what is mapped as the row's class that is the column's class; of a
        class with fewer than two samples nothing is known and the map is taken as it is.
    samples : numpy.ndarray
        (class,), samples of the mapped class.
    present : numpy.ndarray
        bool (class,), classes that the map or the reference has among the samples.
    """

    rates: np.ndarray
    samples: np.ndarray
    present: np.ndarray

    @classmethod
    def of(cls, counts: np.ndarray) -> MapErrors:
        """Return the errors behind sample counts (class, class); rows are the map's classes."""
        n = np.asarray(counts, np.float64)
        rows = n.sum(axis=1)
        rates = np.eye(len(n))
        rates[rows >= 2] = n[rows >= 2] / rows[rows >= 2, None]
        return cls(rates, rows, n.any(axis=0) | n.any(axis=1))

    @property
    def known(self) -> np.ndarray:
        """Classes of the map with samples enough, bool (class,)."""
        return np.asarray(self.samples >= 2)

    def covariance(self, which: int) -> np.ndarray:
        """Return the covariance (class, class) of the rates of a mapped class.

        Notes
        -----
        That of a Dirichlet distribution with the counts and one sample more, shared equally by all
        classes present: equation 10 calls rates certain where no sample was wrong, however few
        there are. With many samples both agree.
        """
        if not self.known[which]:
            return np.zeros_like(self.rates)
        n = self.samples[which]
        q = (n * self.rates[which] + PRIOR * self.present / self.present.sum()) / (n + PRIOR)
        return np.asarray((np.diag(q) - np.outer(q, q)) / (n + PRIOR + 1))

    def sigma(self, effects: np.ndarray) -> float:
        """Return the standard deviation of a number by its change with each rate.

        Parameters
        ----------
        effects : numpy.ndarray
            (class, class), change of the number for a change of a rate.
        """
        rows = np.flatnonzero(effects.any(axis=1)).tolist()
        variance = sum(float(effects[i] @ self.covariance(i) @ effects[i]) for i in rows)
        # What is zero may be rounded to less.
        return float(np.sqrt(max(variance, 0.0)))
