"""Addresses of derived rasters: ``eco+mask:{...}`` names a kind, its parts and its options."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

PREFIX = "eco+"


@dataclass(frozen=True)
class Part:
    """A band of another file (which may be derived itself)."""

    href: str
    band: int = 1


@dataclass(frozen=True)
class Derived:
    """A raster that is computed from others while it is read.

    Attributes
    ----------
    kind : str
        ``mask``, ``value``, ``screen`` (`eco_index.sources.derived`) or ``rpc``
        (`eco_index.sources.rpc`).
    parts : tuple of Part
    options : dict
        JSON-able; everything that decides values, so that addresses can go into digests.
    """

    kind: str
    parts: tuple[Part, ...]
    options: dict[str, Any] = field(default_factory=dict)

    def href(self) -> str:
        parts = [[p.href, p.band] for p in self.parts]
        body = {"parts": parts, **self.options}
        return f"{PREFIX}{self.kind}:{json.dumps(body, sort_keys=True, separators=(',', ':'))}"

    def with_parts(self, change: Callable[[str], str]) -> str:
        """Return the address with the address of each part changed."""
        parts = tuple(Part(change(p.href), p.band) for p in self.parts)
        return Derived(self.kind, parts, self.options).href()


def is_derived(href: str) -> bool:
    """Whether an address is that of a derived raster."""
    return href.startswith(PREFIX)


def parse(href: str) -> Derived:
    """Read the address of a derived raster."""
    kind, _, text = href.removeprefix(PREFIX).partition(":")
    body = json.loads(text)
    parts = tuple(Part(str(h), int(b)) for h, b in body.pop("parts"))
    return Derived(kind, parts, body)


def derive(kind: str, parts: Sequence[tuple[str, int]], **options: Any) -> str:
    """Write the address of a derived raster."""
    return Derived(kind, tuple(Part(h, b) for h, b in parts), options).href()


def leaves(href: str) -> list[str]:
    """Return the addresses of the files that are read in the end."""
    if not is_derived(href):
        return [href]
    return [leaf for part in parse(href).parts for leaf in leaves(part.href)]
