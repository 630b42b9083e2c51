"""First look, tile by tile: where land cover changed as a kind asks, joined to objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from eco_index.grid import Grid, Tile
from eco_index.indices.patches import PatchScan
from eco_index.ledger.parameters import LeadParameters
from eco_index.zone_raster import zone_ids
from eco_index.zones import ZoneLayer

Window = tuple[slice, slice]
#: An object whose box is longer is cut along a lattice of cells, in pixels counted from the
#: grid's corner: a change of a map's legend over a whole region must not fill the memory.
LARGEST, CELL = 2048, 1024
#: ("before" or "after", product, window of the grid) to stored integers (h, w).
Read = Callable[[str, str, Window], np.ndarray]


@dataclass(frozen=True)
class Patch:
    """Connected pixels of one group of kinds.

    Attributes
    ----------
    group : str
    rows, cols : numpy.ndarray
        int64 (n,): pixels of the grid, row by row.
    kinds : numpy.ndarray
        uint8 (n,): position of each pixel's kind among the parameters' kinds, from 1.
    zones : dict
        Layer id to int32 (sheet, n): zone number of each pixel, 0 for none.
    part : bool
        Whether it was cut from a larger object.
    """

    group: str
    rows: np.ndarray
    cols: np.ndarray
    kinds: np.ndarray
    zones: dict[str, np.ndarray]
    part: bool = False

    @property
    def n(self) -> int:
        return int(self.rows.size)

    def window(self, grid: Grid, margin: int) -> Window:
        """Return its box grown by a margin, cut at the grid's edge."""
        height, width = grid.shape
        r0, r1 = int(self.rows.min()), int(self.rows.max()) + 1
        c0, c1 = int(self.cols.min()), int(self.cols.max()) + 1
        return (
            slice(max(0, r0 - margin), min(height, r1 + margin)),
            slice(max(0, c0 - margin), min(width, c1 + margin)),
        )

    def mask(self, window: Window) -> np.ndarray:
        """Return which pixels of a window are its own."""
        rows, cols = window
        out = np.zeros((rows.stop - rows.start, cols.stop - cols.start), bool)
        out[self.rows - rows.start, self.cols - cols.start] = True
        return out


def kind_table(parameters: LeadParameters) -> np.ndarray:
    """Return uint8 (68, 68): number of the kind of each pair of classes (before, after), 0 none.

    Where a pair fits several kinds, the first one counts.
    """
    table = np.zeros((68, 68), np.uint8)
    for number, kind in reversed(list(enumerate(parameters.kinds.values(), 1))):
        table[np.ix_(kind.before, kind.after)] = number
    return table


def group_table(parameters: LeadParameters) -> np.ndarray:
    """Return uint8 (kind + 1,): number of the group of each kind, from 1."""
    numbers = [parameters.groups.index(k.group) + 1 for k in parameters.kinds.values()]
    return np.array([0, *numbers], np.uint8)


def scan(
    read: Read,
    grid: Grid,
    searched: Sequence[ZoneLayer],
    described: Sequence[ZoneLayer],
    parameters: LeadParameters,
) -> list[Patch]:
    """Return all objects of at least the minimum area inside the zones of the searched layers.

    Objects are connected over sides and corners, across tiles; an object is cut at the border of
    the zones taken together, so no result depends on the tiling.

    Parameters
    ----------
    read : callable
        Gives land cover of both periods.
    grid : Grid
        The region's grid.
    searched : sequence of ZoneLayer
        Pixels outside all of them are left out.
    described : sequence of ZoneLayer
        Further layers whose zone numbers are wanted (counties).
    parameters : LeadParameters
        Kinds and minimum area.
    """
    kinds, groups = kind_table(parameters), group_table(parameters)
    patches = PatchScan(
        grid.shape,
        range(1, len(parameters.groups) + 1),
        fill=0,
        pixel_size=(grid.resolution, grid.resolution),
    )
    sparse: dict[Tile, tuple[np.ndarray, np.ndarray]] = {}
    for tile in grid.tiles():
        block = np.zeros(tile.shape, np.uint8)
        inside = _inside(searched, grid, tile)
        if inside is not None:
            before = read("before", "landcover", tile.slices)
            after = read("after", "landcover", tile.slices)
            kind = kinds[before, after]
            kind[~inside] = 0
            at = np.flatnonzero(kind)
            if at.size:
                sparse[tile] = at, kind.ravel()[at]
                block = groups[kind]
        patches.add(block)
    table = patches.table()
    kept = table.id[table.pixels >= parameters.min_pixels(grid.pixel_area_m2)]
    wanted = np.zeros(len(table) + 1, bool)
    wanted[kept] = True
    found = _collect(patches, sparse, wanted, grid, [*searched, *described], groups, parameters)
    least = parameters.min_pixels(grid.pixel_area_m2)
    return [piece for patch in found for piece in cut(patch) if piece.n >= least]


def cut(patch: Patch) -> list[Patch]:
    """Return a patch as it is, or its parts in the cells of a lattice where it is very long."""
    if max(np.ptp(patch.rows), np.ptp(patch.cols)) < LARGEST:
        return [patch]
    cell = (patch.rows // CELL) * (1 << 32) + patch.cols // CELL
    pieces = []
    for one in np.unique(cell):
        at = np.flatnonzero(cell == one)
        pieces.append(
            Patch(
                patch.group,
                patch.rows[at],
                patch.cols[at],
                patch.kinds[at],
                {name: values[:, at] for name, values in patch.zones.items()},
                part=True,
            )
        )
    return pieces


def _inside(layers: Sequence[ZoneLayer], grid: Grid, tile: Tile) -> np.ndarray | None:
    inside = np.zeros(tile.shape, bool)
    for layer in layers:
        for sheet in range(layer.n_sheets):
            inside |= zone_ids(layer, grid, tile, sheet) > 0
    return inside if inside.any() else None


def _collect(
    patches: PatchScan,
    sparse: dict[Tile, tuple[np.ndarray, np.ndarray]],
    wanted: np.ndarray,
    grid: Grid,
    layers: Sequence[ZoneLayer],
    groups: np.ndarray,
    parameters: LeadParameters,
) -> list[Patch]:
    """Gather the pixels of the wanted patches from all tiles."""
    parts: list[tuple[np.ndarray, ...]] = []
    zones: dict[str, list[np.ndarray]] = {layer.id: [] for layer in layers}
    for tile, (at, kind) in sparse.items():
        block = np.zeros(tile.shape, np.uint8)
        block.ravel()[at] = groups[kind]
        number = patches.labels(block, tile.y0, tile.x0).ravel()[at]
        keep = wanted[number]
        if not keep.any():
            continue
        at, kind, number = at[keep], kind[keep], number[keep]
        rows, cols = np.divmod(at, tile.shape[1])
        parts.append((number, rows + tile.y0, cols + tile.x0, kind))
        for layer in layers:
            sheets = [zone_ids(layer, grid, tile, s).ravel()[at] for s in range(layer.n_sheets)]
            zones[layer.id].append(np.stack(sheets))
    if not parts:
        return []
    number, rows, cols, kind = (np.concatenate([p[k] for p in parts]) for k in range(4))
    ids = {name: np.concatenate(list_, axis=1) for name, list_ in zones.items()}
    order = np.lexsort((cols, rows, number))
    starts = np.flatnonzero(np.diff(number[order], prepend=-1))
    found = []
    for one in np.split(order, starts[1:]):
        found.append(
            Patch(
                group=parameters.groups[int(groups[kind[one[0]]]) - 1],
                rows=rows[one].astype(np.int64),
                cols=cols[one].astype(np.int64),
                kinds=kind[one],
                zones={name: values[:, one] for name, values in ids.items()},
            )
        )
    return found
