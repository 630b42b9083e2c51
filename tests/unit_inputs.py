"""Inputs of one imaginary unit, for tests of the official indices."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from eco_index.methods import load_method
from eco_index.products import LUCC


def unit(**changes: Any) -> dict[str, Any]:
    """Return complete inputs: 1000 km2, all of it forest unless areas are given."""
    areas = {f"area_{code}": 0.0 for code in LUCC}
    if not any(k in areas for k in changes):
        areas["area_21"] = 1000.0
    row: dict[str, Any] = {
        "unit_id": "150101",
        "unit_name": "甲县",
        "area_km2": 1000.0,
        **areas,
        "ndvi_mean": 0.5,
        "river_length_km": 300.0,
        "water_resources_1e6m3": 140.0,
        "water_resources_mean_1e6m3": 140.0,
        "erosion_severe_km2": 100.0,
        "erosion_moderate_km2": 50.0,
        "other_stress_km2": 10.0,
        "precipitation_mm": 400.0,
        "cod_t": 800.0,
        "nh3n_t": 80.0,
        "so2_t": 1000.0,
        "dust_t": 500.0,
        "nox_t": 1000.0,
        "solid_waste_t": 2000.0,
        "biodiversity_index": 40.0,
        "restriction_code": 0.0,
        "red_line_km2": 300.0,
        "connectivity": 0.4,
        "soil_retention": 200.0,
        "sand_fixation": 100.0,
        "green_space_ratio": 30.0,
        "park_access_share": 70.0,
        "protected_species_n": 60.0,
        "indicator_species_vitality": 50.0,
        "native_functional_share": 80.0,
        "land_disturbance": 12.0,
        "disaster_area_share": 2.0,
    }
    return row | changes


def overlay_text(method_id: str, **numbers: float) -> str:
    """Return an overlay file that confirms everything a method leaves open.

    Placeholders without value get 1.0; `numbers` (key with dots as ``__``) replace values.
    """
    method = load_method(method_id)
    given = {k.replace("__", "."): v for k, v in numbers.items()}
    lines = [
        f"method: {method_id}",
        f'method_version: "{method.version}"',
        "document: official text",
        "entered_by: 张三",
        "date: 2026-01-15",
    ]
    values = {
        n.key: n.value if n.value is not None else 1.0
        for n in method.numbers.values()
        if not n.sure
    } | given
    still = [n.key for n in method.open_items()]
    rules = [k.removeprefix("rule.") for k in still if k.startswith("rule.")]
    options = [k.removeprefix("option.") for k in still if k.startswith("option.")]
    if values:
        lines += ["numbers:", *(f"  {k}: {{value: {v!r}, page: p. 3}}" for k, v in values.items())]
    lines += ["rules:", *(f"  {k}: {{page: p. 4}}" for k in rules)] if rules else []
    if options:
        lines.append("options:")
        lines += [f'  {k}: {{choice: "{method.choices[k]}", page: p. 5}}' for k in options]
    return "\n".join(lines) + "\n"


HEADER = "unit_id,species,group,protection,native,indicator,recorded\n"


def species_file(folder: Path, lines: str) -> Path:
    path = folder / "species.csv"
    path.write_text(HEADER + lines, encoding="utf-8-sig")
    return path
