"""Rain and temperature of the counties, month by month."""

from __future__ import annotations

import numpy as np

from eco_index.simulation import places
from eco_index.simulation.spec import SimSpec

# Of a normal year: share of the year's rain and mean temperature (degC) by month.
_RAIN_SHARE = (0.01, 0.01, 0.02, 0.04, 0.09, 0.18, 0.28, 0.22, 0.09, 0.04, 0.01, 0.01)
_TEMPERATURE = (-18.0, -14.0, -5.0, 5.0, 13.0, 18.5, 21.0, 19.0, 12.5, 4.0, -7.0, -15.0)
#: Rain of a normal year in mm, and what a county is warmer than the table, by county.
_NORMAL_RAIN = (262.0, 348.0, 305.0)
_WARMER = (0.6, -1.2, 0.3)
#: A standard deviation of a year's rain, as a share of it.
RAIN_DEVIATION = 0.22
#: Anomaly of the last year where vegetation follows the weather: a dry one.
DRY_YEAR = -2.0
# The first two years: a dry and a wetter one, as the other tables have them.
_FIRST = (-0.4, 0.3)


def anomalies(spec: SimSpec) -> dict[int, float]:
    """Return the rain anomaly of every year, in standard deviations; alike in all counties."""
    rng = np.random.default_rng([spec.seed, 10])
    found = {year: float(np.clip(rng.normal(), -1.5, 1.5)) for year in spec.years}
    for year, anomaly in zip(spec.years, _FIRST, strict=False):
        found[year] = anomaly
    if spec.follows_weather:
        found[spec.years[-1]] = DRY_YEAR
    return found


def weather_rows(spec: SimSpec) -> list[list[object]]:
    """Return county, year, month, rain (mm) and temperature (degC) of every month."""
    rng = np.random.default_rng([spec.seed, 11])
    rows: list[list[object]] = []
    for year, anomaly in anomalies(spec).items():
        for n, county in enumerate(places.COUNTIES):
            wet = _NORMAL_RAIN[n] * (1 + RAIN_DEVIATION * anomaly + float(rng.normal(0, 0.01)))
            warm = _WARMER[n] - 0.3 * anomaly + float(rng.normal(0, 0.3))
            share = np.array(_RAIN_SHARE) * rng.uniform(0.97, 1.03, 12)
            for month in range(12):
                rain = wet * share[month] / share.sum()
                rows.append(
                    [county[0], year, month + 1, f"{rain:.1f}", f"{_TEMPERATURE[month] + warm:.1f}"]
                )
    return rows
