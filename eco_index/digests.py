"""Digests and the ids of tasks: what the archive's commits are searched by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from eco_index.grid import Tile
from eco_index.period import Period


def hash_of(value: Any) -> str:
    """Return the sha256 of a JSON-able value, independent of key order."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def task_id(kind: str, time_id: str, tile: Tile | None = None) -> str:
    """Return a task's id in the commits: kind, time, and the tile where it has one."""
    return "/".join((kind, time_id, *((tile.id,) if tile else ())))


def period_digest(period: Period, tiles: Iterable[Tile], states: Mapping[str, str]) -> str | None:
    """Return the digest of a period's products in given states, None if a tile is missing."""
    found = [states.get(task_id("product", period.id, tile)) for tile in tiles]
    return None if None in found else hash_of(found)
