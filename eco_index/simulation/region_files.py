"""Region file and catalogue for a simulated region that lies in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from eco_index import yamlio
from eco_index.config import configs_folder
from eco_index.simulation.spec import SimSpec

_PREFIX = "${ECO_DEMO_DIR:-eco-demo}/"


def _own_paths(value: Any) -> Any:
    """Replace the demo folder by the catalogue's own folder."""
    if isinstance(value, dict):
        return {k: _own_paths(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_own_paths(v) for v in value]
    return value.removeprefix(_PREFIX) if isinstance(value, str) else value


def write_region_files(
    folder: Path, spec: SimSpec, tile: int, chunk: int, region_id: str = "demo_small"
) -> Path:
    """Write ``region.yaml`` and ``data_catalog.yaml`` after the shipped files of the demo.

    Parameters
    ----------
    folder : Path
        The simulated data lie in ``folder/data``.
    spec : SimSpec
        Gives grid and years.
    tile, chunk : int
        Write tile and inner chunk, pixels.
    region_id : str
        Id in the region file.

    Returns
    -------
    Path
        The region file.
    """
    configs = configs_folder()
    catalog, _ = yamlio.read_yaml(configs.parent / "data_catalog.yaml")
    catalog["datasets"] = {
        key: _own_paths(entry)
        for key, entry in catalog["datasets"].items()
        if key.startswith("demo_") or entry["access"]["type"] == "written"
    }
    region, _ = yamlio.read_yaml(configs / "regions" / "demo.yaml")
    region |= {
        "id": region_id,
        "catalog": "data_catalog.yaml",
        "output": "out",
        "years": {"first": spec.years[0], "last": spec.years[-1]},
        "grid": {
            "crs": spec.crs_wkt,
            "resolution": spec.resolution,
            "bounds": list(spec.bounds),
            "tile": tile,
            "chunk": chunk,
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (("data_catalog.yaml", catalog), ("region.yaml", region)):
        text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=100)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "region.yaml"
