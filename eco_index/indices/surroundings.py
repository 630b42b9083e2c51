"""Blocks of a Dask array with what lies around them, in one task each.

`dask.array.overlap` makes some twenty tasks of a block and its order of work keeps many blocks in
memory; here a block depends on its eight neighbours directly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def surrounded(array: Any, depth: tuple[int, int], fill: float) -> Any:
    """Return a Dask array whose blocks carry `depth` rows and columns of their neighbours.

    Parameters
    ----------
    array : dask.array.Array
        Two dimensions; no chunk smaller than `depth` along its axis.
    depth : tuple of int
        Rows and columns to add on each side.
    fill : float
        Value beyond the map.

    Returns
    -------
    dask.array.Array
        Chunks larger by twice the depth; its blocks overlap.

    Raises
    ------
    ValueError
        A chunk smaller than the depth.
    """
    import dask.array as da
    from dask.highlevelgraph import HighLevelGraph

    for axis in (0, 1):
        if min(array.chunks[axis]) < depth[axis]:
            raise ValueError(f"chunks {array.chunks[axis]} are smaller than the depth {depth}")
    name = f"surrounded-{da.core.tokenize(array.name, depth, fill)}"
    rows, columns = array.numblocks
    heights, widths = array.chunks
    graph: dict[Any, Any] = {}
    for i in range(rows):
        for j in range(columns):
            around = [
                [
                    (array.name, i + a, j + b)
                    if 0 <= i + a < rows and 0 <= j + b < columns
                    else None
                    for b in (-1, 0, 1)
                ]
                for a in (-1, 0, 1)
            ]
            graph[name, i, j] = (_assemble, around, (heights[i], widths[j]), depth, fill)
    chunks = tuple(
        tuple(n + 2 * d for n in sizes) for sizes, d in zip(array.chunks, depth, strict=True)
    )
    whole = HighLevelGraph.from_collections(name, graph, dependencies=[array])
    return da.Array(whole, name, chunks, dtype=array.dtype)


def _assemble(
    around: list[list[Array | None]],
    shape: tuple[int, int],
    depth: tuple[int, int],
    fill: float,
) -> Array:
    (dy, dx), (height, width) = depth, shape
    middle = around[1][1]
    assert middle is not None
    out = np.full((height + 2 * dy, width + 2 * dx), fill, middle.dtype)
    # where a part lies in the result, and which end of the neighbour it is
    ys = (slice(0, dy), slice(dy, dy + height), slice(dy + height, None))
    xs = (slice(0, dx), slice(dx, dx + width), slice(dx + width, None))
    ends = ((-dy, None), (None, None), (None, dy)), ((-dx, None), (None, None), (None, dx))
    for a in range(3):
        for b in range(3):
            block = around[a][b]
            if block is None or (a != 1 and dy == 0) or (b != 1 and dx == 0):
                continue
            out[ys[a], xs[b]] = block[slice(*ends[0][a]), slice(*ends[1][b])]
    return out
