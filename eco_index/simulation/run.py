"""Write the whole simulated region."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from eco_index.errors import UsageError
from eco_index.simulation.items import write_json
from eco_index.simulation.landscape import World, build_world
from eco_index.simulation.region_files import write_region_files
from eco_index.simulation.scenes import write_scenes
from eco_index.simulation.services import write_service_rasters
from eco_index.simulation.spec import SimSpec, demo_config
from eco_index.simulation.statistics import write_statistics, write_weather
from eco_index.simulation.surveys import write_grassland, write_plots, write_samples
from eco_index.simulation.truth import write_landcover, write_truth
from eco_index.simulation.vectors import write_layers

RECORD = "simulation.json"


def _digest(spec: SimSpec) -> str:
    """Identify what is written: the specification and the code of this package."""
    content = {k: v for k, v in asdict(spec).items() if k != "threads"}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def simulate(
    out: Path | str,
    spec: SimSpec | None = None,
    progress: Callable[[str, int, int, str], None] | None = None,
) -> Path:
    """Write imagery, land cover, vectors, tables and truth below ``out/data``.

    The same specification gives the same files, byte by byte. Data that an earlier call completed
    with the same specification are kept; other simulated data there are replaced.

    Parameters
    ----------
    out : Path
        Folder; ``data`` is made in it.
    spec : SimSpec, optional
        By default the shipped demo region.
    progress : callable, optional
        Called with ``("simulate", done, total, scene id)``.

    Returns
    -------
    Path
        ``out/data``.

    Raises
    ------
    UsageError
        ``out/data`` holds something that was not simulated.
    """
    spec = spec or SimSpec()
    data = Path(out) / "data"
    record = data / RECORD
    digest = _digest(spec)
    if record.exists():
        if json.loads(record.read_text(encoding="utf-8")) == {"digest": digest, "complete": True}:
            return data
        shutil.rmtree(data)
    elif data.exists() and any(data.iterdir()):
        raise UsageError(
            f"{data} holds files that were not simulated",
            rule="the simulated region is written into a folder of its own",
            fix="name another folder",
        )
    write_json(record, {"digest": digest, "complete": False})
    world = build_world(spec)
    write_ground(world, data)
    write_scenes(world, data, progress)
    # Written last: only now is the simulation complete.
    write_json(record, {"digest": digest, "complete": True})
    return data


def write_ground(world: World, data: Path) -> None:
    """Write everything but the imagery: zones, land cover, truth, tables, rasters."""
    write_layers(world, data / "vectors")
    write_landcover(world, data / "landcover")
    write_truth(world, data / "truth")
    write_statistics(world, data / "tables")
    write_weather(world.spec, data / "tables")
    write_plots(world, data / "tables")
    write_samples(world, data / "landcover", data / "tables")
    write_grassland(world, data / "tables")
    write_service_rasters(world, data / "services")


def small_region(folder: Path | str, size_px: int = 256, tile: int = 128, chunk: int = 64) -> Path:
    """Write a small simulated region with its own region file and catalogue.

    The same landscape as the demo, shrunk round the same place, with fewer scenes.

    Parameters
    ----------
    folder : Path
        Gets ``region.yaml``, ``data_catalog.yaml`` and ``data``.
    size_px : int
        Width and height, pixels of 30 m.
    tile, chunk : int
        Write tile and inner chunk, pixels.

    Returns
    -------
    Path
        The region file.
    """
    grid = demo_config().grid
    res = grid.resolution
    half = size_px // 2 * res
    x = round((grid.bounds[0] + grid.bounds[2]) / 2 / res) * res - half
    y = round((grid.bounds[1] + grid.bounds[3]) / 2 / res) * res + half
    spec = SimSpec(
        size_px=size_px, resolution=res, origin=(x, y), all_scenes=False, overviews=False
    )
    simulate(folder, spec)
    return write_region_files(Path(folder), spec, tile, chunk)
