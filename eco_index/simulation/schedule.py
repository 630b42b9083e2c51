"""Which satellite passes when, how cloudy it is, and what is wrong with the scene."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace

import numpy as np

from eco_index.simulation.spec import SimSpec


@dataclass(frozen=True)
class Orbit:
    """A ground track over the region.

    Attributes
    ----------
    sensor : str
        ``landsat`` or ``sentinel2``.
    track : str
        WRS path and row, or MGRS tile.
    relative_orbit : int
    epsg : int
        UTM zone of the files.
    edge : tuple of float or None
        Observed where a*u + b*v <= c (u east, v south); None: the whole region.
    """

    sensor: str
    track: str
    relative_orbit: int
    epsg: int
    edge: tuple[float, float, float] | None


ORBITS = {
    "L125": Orbit("landsat", "125030", 125, 32649, (1.0, 0.16, 0.86)),
    "L124": Orbit("landsat", "124030", 124, 32650, (-1.0, -0.16, -0.24)),
    "S075": Orbit("sentinel2", "49TGH", 75, 32649, (1.0, 0.18, 0.82)),
    "S032": Orbit("sentinel2", "50TKN", 32, 32650, None),
}


@dataclass(frozen=True)
class Pass:
    """One scene to simulate.

    Attributes
    ----------
    orbit : str
        Key of ORBITS.
    date : datetime.date
    cloud, snow : float
        Shares of the scene.
    core : bool
        False: left out where ``SimSpec.all_scenes`` is False.
    flaw : str
        Empty, ``truncated`` (damaged file), ``missing_band``, or ``old_baseline``
        (Sentinel-2 without the radiometric offset).
    number : int
        Position in the schedule; seeds what is random in the scene.
    edge_shift : float
        The swath wanders by this fraction of the region.
    """

    orbit: str
    date: dt.date
    cloud: float
    snow: float = 0.0
    core: bool = True
    flaw: str = ""
    number: int = 0
    edge_shift: float = 0.0


# Month, day, orbit, cloud, snow, core. Every month has a nearly clear look at every place (two
# Landsat tracks or one Sentinel-2 scene); July and August, the peak of vegetation, have several.
_TEMPLATE = (
    (4, 6, "L125", 0.12, 0.30, True),
    (4, 15, "L124", 0.25, 0.18, False),
    (4, 20, "S032", 0.08, 0.12, True),
    (5, 1, "L124", 0.15, 0.12, True),
    (5, 5, "S075", 0.30, 0.08, False),
    (5, 10, "L125", 0.08, 0.00, True),
    (5, 23, "S032", 0.10, 0.00, True),
    (6, 11, "L125", 0.10, 0.00, True),
    (6, 14, "S032", 0.12, 0.00, True),
    (6, 18, "L124", 0.18, 0.00, True),
    (7, 5, "L125", 0.06, 0.00, True),
    (7, 10, "S032", 0.15, 0.00, True),
    (7, 14, "L124", 0.12, 0.00, True),
    (7, 17, "S075", 0.35, 0.00, True),
    (7, 21, "L125", 0.50, 0.00, True),
    (7, 30, "S032", 0.10, 0.00, True),
    (8, 6, "L125", 0.15, 0.00, True),
    (8, 9, "S075", 0.12, 0.00, False),
    (8, 15, "L124", 0.10, 0.00, True),
    (8, 19, "S032", 0.30, 0.00, True),
    (9, 8, "L124", 0.25, 0.00, True),
    (9, 13, "S032", 0.08, 0.00, True),
    (9, 15, "L125", 0.10, 0.00, True),
)
# What is wrong, by position of the year in SimSpec.years: (month, day) of the template -> flaw.
_FLAWS = (
    {(7, 17): "missing_band", (7, 10): "old_baseline"},
    {(7, 21): "truncated"},
)


def season(date: dt.date) -> float:
    """State of the vegetation on a date: 0 in winter, 1 on the plateau (1 July to 20 August)."""
    # The plateau is flat so that one clear look within it shows the year's maximum.
    knots = ((91, 0.0), (121, 0.22), (152, 0.62), (182, 1.0), (232, 1.0), (253, 0.80), (274, 0.45))
    days, values = zip(*knots, strict=True)
    return float(np.interp(date.timetuple().tm_yday, days, values))


def passes(spec: SimSpec) -> list[Pass]:
    """Return all scenes of all years, by date."""
    found: list[Pass] = []
    for k, year in enumerate(spec.years):
        flaws = _FLAWS[k] if k < len(_FLAWS) else {}
        for number, (month, day, orbit, cloud, snow, core) in enumerate(_TEMPLATE):
            rng = np.random.default_rng([spec.seed, 3, k, number])
            shift = -3 * k if day > 3 else 0  # orbits do not fall on the same days every year
            found.append(
                Pass(
                    orbit,
                    dt.date(year, month, day + shift),
                    cloud * float(rng.uniform(0.8, 1.2)),
                    snow,
                    core,
                    flaws.get((month, day), ""),
                    1000 * k + number,
                    float(rng.uniform(-0.02, 0.02)),
                )
            )
    kept = [p for p in found if p.core or spec.all_scenes]
    return [replace(p) for p in sorted(kept, key=lambda p: (p.date, p.orbit))]
