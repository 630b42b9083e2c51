"""Tables of the simulated counties: statistics that official indices need, and the weather."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import shapely

from eco_index.simulation import places, vectors
from eco_index.simulation.climate import weather_rows
from eco_index.simulation.landscape import World
from eco_index.simulation.spec import SimSpec
from eco_index.simulation.truth import write_csv

# By county (Baisha, Yunling, Hewan). Densities are per km2 of county, so that regions of any size
# get plausible figures; everything is invented.
_PER_KM2 = {
    "erosion_severe_km2": (0.040, 0.012, 0.010),
    "erosion_moderate_km2": (0.110, 0.050, 0.035),
    "other_stress_km2": (0.012, 0.004, 0.006),
    "water_resources_mean_1e6m3": (0.022, 0.058, 0.036),
    "cod_t": (0.25, 0.20, 0.95),
    "nh3n_t": (0.020, 0.016, 0.075),
    "so2_t": (0.30, 0.22, 1.10),
    "dust_t": (0.42, 0.25, 1.30),
    "nox_t": (0.35, 0.28, 1.20),
    "solid_waste_t": (0.6, 0.9, 2.8),
}
_VALUES = {
    "biodiversity_index": (22.0, 41.0, 28.0),
    "precipitation_mm": (262.0, 348.0, 305.0),
    "protected_species_n": (31.0, 58.0, 24.0),
    "indicator_species_vitality": (52.0, 66.0, 48.0),
    "native_functional_share": (71.0, 83.0, 55.0),
    "soil_retention": (1450.0, 4200.0, 2300.0),
    "sand_fixation": (3900.0, 1750.0, 1600.0),
    "green_space_ratio": (31.0, 34.5, 36.2),
    "park_access_share": (58.0, 63.0, 71.0),
    "disaster_area_share": (6.5, 3.0, 4.2),
}
_WHOLE = ("protected_species_n",)
# Marine inputs stay empty: the region is inland, and an empty cell is not zero. Connectivity and
# land disturbance are not here: a run computes them from land cover.
_EMPTY = ("marine_shoreline_share", "sea_use_intensity")
# A dry first year and a wetter second one.
_WATER_OF_YEAR = (0.91, 1.06)


def county_table(world: World, year: int) -> tuple[list[str], list[list[object]]]:
    """Return header and rows of the statistics of a year (areas km2, lengths km)."""
    spec = world.spec
    k = spec.years.index(year)
    rng = np.random.default_rng([spec.seed, 5, k])
    counties = vectors.county_polygons(spec)
    rivers = shapely.unary_union(vectors.river_geometries(spec))
    red_line = shapely.unary_union(vectors.place_polygons(spec, places.RED_LINE))
    header = ["unit_id", "unit_name", "unit_name_en", "year", "unit_group", "coast", "area_km2"]
    header += ["river_length_km", "red_line_km2", *_PER_KM2, "water_resources_1e6m3", *_VALUES]
    header += ["restriction_code", *_EMPTY]
    rows: list[list[object]] = []
    for n, (code, name, _, attributes) in enumerate(places.COUNTIES):
        polygon = counties[n]
        area = polygon.area / 1e6
        row: list[object] = [code, name.zh, name.en, year, attributes["group"], "inland"]
        row += [
            f"{area:.4f}",
            f"{rivers.intersection(polygon).length / 1e3:.3f}",
            f"{red_line.intersection(polygon).area / 1e6:.4f}",
        ]
        amounts = {
            key: values[n] * area * (1.0 if "mean" in key else float(rng.uniform(0.96, 1.04)))
            for key, values in _PER_KM2.items()
        }
        row += [f"{a:.4f}" for a in amounts.values()]
        water = _WATER_OF_YEAR[k % 2] * amounts["water_resources_mean_1e6m3"]
        row.append(f"{water:.4f}")
        for key, values in _VALUES.items():
            value = values[n] * (1 if key in _WHOLE else float(rng.uniform(0.98, 1.02)))
            row.append(f"{value:.0f}" if key in _WHOLE else f"{value:.3f}")
        row += ["0", *("" for _ in _EMPTY)]
        rows.append(row)
    return header, rows


def write_statistics(world: World, folder: Path) -> None:
    """Write ``county_statistics_{year}.csv`` for every year."""
    for year in world.spec.years:
        header, rows = county_table(world, year)
        write_csv(folder / f"county_statistics_{year}.csv", header, rows)


def write_weather(spec: SimSpec, folder: Path) -> None:
    """Write ``weather.csv``: one line a county and month, all years."""
    header = ["zone", "year", "month", "rain_mm", "temperature_c"]
    write_csv(folder / "weather.csv", header, weather_rows(spec))
