"""Plot tables: read, checked with all problems named at once, and matched to pixels of a map."""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError

from eco_index.errors import InputError
from eco_index.grid import Grid
from eco_index.period import Period

#: Columns of a plot table; others are ignored.
COLUMNS = ("id", "type", "x", "y", "date", "cover")
#: Problems listed in one message.
_SHOWN = 20


@dataclass(frozen=True)
class Plot:
    """A ground plot: `x`, `y` in the table's CRS, `cover` a fraction 0-1."""

    id: str
    type: str
    x: float
    y: float
    date: dt.date
    cover: float


@dataclass(frozen=True)
class Matches:
    """Plots beside the map's values.

    Attributes
    ----------
    plots : tuple of Plot
        Those within the period and on the grid.
    observed, retrieved : numpy.ndarray
        float64 (plot,); `retrieved` is NaN where the map has no value.
    rows, columns : numpy.ndarray
        int64 (plot,), pixel of each plot.
    other_period, off_grid : tuple of str
        Ids of the plots left out, and why.
    """

    plots: tuple[Plot, ...]
    observed: np.ndarray
    retrieved: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    other_period: tuple[str, ...]
    off_grid: tuple[str, ...]


def read_plots(
    path: Path | str, columns: Mapping[str, str] | None = None, **options: Any
) -> list[Plot]:
    """Read and check a CSV table (UTF-8, header `COLUMNS`); options as in `check_plots`.

    `columns` names the table's columns that stand for ours (``{"x": "lon"}``).

    Raises
    ------
    InputError
        A file that cannot be read as such a table, and all that `check_plots` raises.
    """
    path = Path(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            reader = csv.DictReader(source)
            ours = {theirs: name for name, theirs in (columns or {}).items()}
            names = [ours.get(n.strip(), n.strip()) for n in reader.fieldnames or ()]
            rows = [dict(zip(names, r.values(), strict=False)) for r in reader]
    except UnicodeDecodeError as error:
        raise InputError(
            "The plot table is not UTF-8.", where=str(path), fix="save it as CSV UTF-8"
        ) from error
    except (OSError, csv.Error) as error:
        raise InputError(f"The plot table cannot be read: {error}", where=str(path)) from error
    _columns(names, str(path))
    return check_plots(rows, where=str(path), **options)


def check_plots(
    rows: Iterable[Mapping[str, Any]],
    *,
    region: Any = None,
    crs: Any = 4326,
    region_crs: Any = 4326,
    today: dt.date | None = None,
    where: str = "plot table",
) -> list[Plot]:
    """Check a plot table and return its plots; every problem is named, with its row.

    Parameters
    ----------
    rows : iterable of mapping
        One mapping for each plot, with the keys `COLUMNS`; date as text (2024-07-31) or a date.
    region : shapely geometry, optional
        Plots must lie in it (border included).
    crs, region_crs
        CRS of the plots' coordinates and of the region, anything pyproj reads. Default: longitude
        and latitude in decimal degrees, x the longitude.
    today : datetime.date, optional
        Plots must not be later; the clock's date by default.
    where : str
        Name of the table in messages.

    Raises
    ------
    InputError
        A table without rows or columns; a cover that is missing, negative, in percent or above 1; a
        date that is none or in the future; ids missing or twice; coordinates missing, impossible or
        outside the region.
    """
    today = today or dt.date.today()
    table = [dict(r) for r in rows]
    if not table:
        raise InputError("The plot table has no rows.", where=where)
    _columns({k for r in table for k in r}, where)
    degrees = _crs(crs, where).is_geographic
    problems: list[str] = []
    plots: list[tuple[int, Plot]] = []
    first: dict[str, int] = {}
    percent = 0
    for line, row in enumerate(table, start=2):
        bad: list[str] = []
        name, kind = (
            str(row.get(k) if row.get(k) is not None else "").strip() for k in COLUMNS[:2]
        )
        if not name:
            bad.append("has no id")
        elif name in first:
            bad.append(f"repeats the id of row {first[name]}")
        else:
            first[name] = line
        if not kind:
            bad.append("has no type")
        x, y, cover = (_number(row.get(k)) for k in ("x", "y", "cover"))
        if not (math.isfinite(x) and math.isfinite(y)):
            bad.append(f"has no coordinates (x {row.get('x')!r}, y {row.get('y')!r})")
        elif degrees and not (-180 <= x <= 180 and -90 <= y <= 90):
            bad.append(f"lies at x {x:g}, y {y:g}, not degrees (or x and y are exchanged)")
        if not math.isfinite(cover):
            bad.append(f"has no cover ({row.get('cover')!r})")
        elif not 0 <= cover <= 1:
            percent += 1 < cover <= 100
            bad.append(f"has cover {cover:g}")
        date = _date(row.get("date"))
        if date is None:
            bad.append(f"has no date ({row.get('date')!r})")
        elif date > today:
            bad.append(f"is dated {date}, in the future (today {today})")
        problems += [f"row {line} ({name or 'no id'}) {text}" for text in bad]
        if not bad and date is not None:
            plots.append((line, Plot(name, kind, x, y, date, cover)))
    if region is not None and plots:
        at = _moved([p for _, p in plots], crs, region_crs, where)
        shapely.prepare(region)
        inside = shapely.intersects_xy(region, *at)
        problems += [
            f"row {line} ({p.id}) lies outside the region, at x {p.x:g}, y {p.y:g}"
            for (line, p), ok in zip(plots, inside, strict=True)
            if not ok
        ]
    if problems:
        rest = len(problems) - _SHOWN
        more = [f"and {rest} more"] if rest > 0 else []
        raise InputError(
            f"The plot table has {len(problems)} problem(s): "
            + "; ".join(problems[:_SHOWN] + more)
            + ".",
            where=where,
            rule="ids unique; cover a fraction 0-1; dates YYYY-MM-DD, not in the future; "
            "coordinates inside the region",
            fix="divide the covers by 100: they look like percent" if percent else None,
        )
    return [p for _, p in plots]


def match_plots(
    plots: Iterable[Plot],
    grid: Grid,
    read: Callable[[slice, slice], np.ndarray],
    *,
    crs: Any = 4326,
    period: Period | None = None,
) -> Matches:
    """Put the map's value beside each plot: the pixel that holds the plot's point.

    Parameters
    ----------
    plots : iterable of Plot
        Checked plots.
    grid : Grid
        Grid of the map.
    read : callable
        Rows and columns (slices) to the map's values there: float (h, w), NaN without a value, a
        fraction 0-1. It is called once for each tile that holds plots.
    crs
        CRS of the plots' coordinates.
    period : Period, optional
        Period of the map; plots of other dates are left out and named.

    Raises
    ------
    InputError
        Map values outside 0-1 (stored integers that were not scaled), or of the wrong shape.
    """
    given = list(plots)
    dated = [p for p in given if period is None or period.start <= p.date <= period.end]
    x, y = _moved(dated, crs, grid.crs, "plots")
    xmin, _, _, ymax = grid.bounds
    finite = np.isfinite(x) & np.isfinite(y)
    columns = np.full(len(dated), -1, np.int64)
    rows = columns.copy()
    columns[finite] = np.floor((x[finite] - xmin) / grid.resolution)
    rows[finite] = np.floor((ymax - y[finite]) / grid.resolution)
    height, width = grid.shape
    on = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
    kept = [p for p, ok in zip(dated, on, strict=True) if ok]
    rows, columns = rows[on], columns[on]
    retrieved = np.full(len(kept), np.nan)
    size = grid.tile_size
    tiles = {(int(r), int(c)) for r, c in zip(rows // size, columns // size, strict=True)}
    for row, column in sorted(tiles):
        at = (rows // size == row) & (columns // size == column)
        top, left = row * size, column * size
        window = (
            slice(top, min(top + size, height)),
            slice(left, min(left + size, width)),
        )
        values = np.asarray(read(*window), np.float64)
        want = tuple(s.stop - s.start for s in window)
        if values.shape != want:
            raise InputError(f"The map gave a tile of {values.shape}.", rule=f"expected {want}")
        retrieved[at] = values[rows[at] - top, columns[at] - left]
    wrong = np.isfinite(retrieved) & ((retrieved < 0) | (retrieved > 1)) | np.isinf(retrieved)
    if wrong.any():
        raise InputError(
            f"The map's value at plot {kept[int(np.argmax(wrong))].id} is {retrieved[wrong][0]:g}.",
            rule="a cover map read for plots holds fractions 0-1, NaN without a value",
            fix="scale stored integers before",
        )
    return Matches(
        tuple(kept),
        np.array([p.cover for p in kept], np.float64),
        retrieved,
        rows,
        columns,
        tuple(p.id for p in given if period and not period.start <= p.date <= period.end),
        tuple(p.id for p, ok in zip(dated, on, strict=True) if not ok),
    )


def _columns(names: Iterable[str], where: str) -> None:
    missing = [c for c in COLUMNS if c not in set(names)]
    if missing:
        raise InputError(
            f"The plot table lacks the column(s) {', '.join(missing)}.",
            where=where,
            rule=f"columns are {', '.join(COLUMNS)}",
        )


def _crs(crs: Any, where: str) -> CRS:
    try:
        return CRS.from_user_input(crs)
    except CRSError as error:
        raise InputError(f"'{crs}' is no coordinate system.", where=where) from error


def _moved(plots: list[Plot], crs: Any, target: Any, where: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the plots' coordinates in another CRS; infinite where that is impossible."""
    move = Transformer.from_crs(_crs(crs, where), _crs(target, where), always_xy=True)
    x, y = move.transform(
        np.array([p.x for p in plots], np.float64), np.array([p.y for p in plots], np.float64)
    )
    return np.asarray(x), np.asarray(y)


def _number(value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def _date(value: Any) -> dt.date | None:
    if isinstance(value, dt.datetime):
        return None if value != value else value.date()
    if isinstance(value, dt.date):
        return value
    try:
        return dt.date.fromisoformat(str(value).strip())
    except ValueError:
        return None
