"""Reference samples of land cover: read, checked, and set against a class map."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pyproj import Transformer

from eco_index.csv_rows import read_rows
from eco_index.errors import InputError
from eco_index.grid import Grid

#: Columns of a sample table; others are ignored.
COLUMNS = ("id", "x", "y", "class")
_SHOWN = 10


@dataclass(frozen=True)
class Sample:
    """A place whose land cover somebody looked at: `code` is a class of the map's legend."""

    id: str
    x: float
    y: float
    code: int


def read_samples(
    path: Path, legend: Sequence[int], columns: Mapping[str, str] | None = None
) -> list[Sample]:
    """Read and check a CSV table (UTF-8).

    Parameters
    ----------
    path : Path
        Table with the columns `COLUMNS`, or those that `columns` names for them.
    legend : sequence of int
        Class codes of the map.
    columns : mapping, optional
        Our name of a column to the table's.

    Raises
    ------
    InputError
        No such table, columns that are missing, ids twice, coordinates that are none, classes that
        the legend does not have: every problem with its row.
    """
    names = {c: (columns or {}).get(c, c) for c in COLUMNS}
    header, table = read_rows(Path(path), "the sample table")
    if not table:
        raise InputError("the sample table has no rows", where=str(path))
    missing = [n for n in names.values() if n not in header]
    if missing:
        raise InputError(
            f"the sample table lacks the column(s) {', '.join(missing)}",
            where=str(path),
            rule=f"columns: {', '.join(names.values())}",
        )
    samples: list[Sample] = []
    problems: list[str] = []
    seen: set[str] = set()
    for line, row in enumerate(table, start=2):
        name = str(row[names["id"]] or "").strip()
        try:
            x, y, code = (float(row[names[c]] or "") for c in COLUMNS[1:])
        except (TypeError, ValueError):
            problems.append(f"row {line} ({name or 'no id'}) has no coordinates or no class")
            continue
        if not name or name in seen:
            problems.append(f"row {line} has {'no id' if not name else f'the id {name} again'}")
        elif code not in legend:
            problems.append(f"row {line} ({name}) has the class {code:g}, not of the map's legend")
        elif not np.isfinite([x, y]).all():
            problems.append(f"row {line} ({name}) has no coordinates")
        seen.add(name)
        samples.append(Sample(name, x, y, int(code)))
    if problems:
        rest = len(problems) - _SHOWN
        more = [f"and {rest} more"] if rest > 0 else []
        raise InputError(
            f"the sample table has {len(problems)} problem(s): "
            + "; ".join(problems[:_SHOWN] + more),
            where=str(path),
            rule="ids unique; coordinates numbers; classes those of the map",
        )
    return samples


def error_matrix(
    samples: Sequence[Sample],
    grid: Grid,
    read: Callable[[slice, slice], np.ndarray],
    legend: Sequence[int],
    crs: str = "EPSG:4326",
) -> tuple[np.ndarray, int]:
    """Count samples by mapped and reference class.

    Parameters
    ----------
    samples : sequence of Sample
        Checked samples.
    grid : Grid
        Grid of the map.
    read : callable
        Rows and columns (slices) to the map's codes there; called once a tile with samples.
    legend : sequence of int
        Codes in the order of the matrix; other codes are "no class".
    crs : str
        CRS of the samples' coordinates.

    Returns
    -------
    numpy.ndarray
        int64 (class, class): rows the map, columns the reference.
    int
        Samples off the grid or where the map has no class.
    """
    move = Transformer.from_crs(crs, grid.crs, always_xy=True)
    x, y = (np.asarray(a) for a in move.transform([s.x for s in samples], [s.y for s in samples]))
    columns = np.floor((x - grid.bounds[0]) / grid.resolution)
    rows = np.floor((grid.bounds[3] - y) / grid.resolution)
    height, width = grid.shape
    on = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    slot = {code: k for k, code in enumerate(legend)}
    matrix = np.zeros((len(legend), len(legend)), np.int64)
    left_out = int((~on).sum())
    reference = np.array([s.code for s in samples])[on]
    row, column = rows[on].astype(np.int64), columns[on].astype(np.int64)
    size = grid.tile_size
    for top, left in sorted(
        set(zip((row // size).tolist(), (column // size).tolist(), strict=True))
    ):
        at = (row // size == top) & (column // size == left)
        window = (
            slice(top * size, min((top + 1) * size, height)),
            slice(left * size, min((left + 1) * size, width)),
        )
        codes = read(*window)[row[at] - top * size, column[at] - left * size]
        for mapped, true in zip(codes.tolist(), reference[at].tolist(), strict=True):
            if mapped in slot:
                matrix[slot[mapped], slot[true]] += 1
            else:
                left_out += 1
    return matrix, left_out
