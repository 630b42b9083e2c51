"""Dialects of archives (``configs/dialects/*.yaml``): how each names what a sensor delivers."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Literal

from pydantic import Field, field_validator

from eco_index import yamlio
from eco_index.errors import UsageError
from eco_index.yamlio import Strict, Text, configs_folder


class Rewrite(Strict):
    """The start of an address and what is written in its place."""

    prefix: str = Field(min_length=3)
    to: str


class CollectionDialect(Strict):
    """What one collection of an archive calls the bands of a sensor."""

    records: tuple[str, ...] = Field(min_length=1, description="sensor records it holds")
    assets: dict[str, tuple[str, ...]] = Field(description="common band name: asset keys")
    boa_offset: Literal["stored", "removed", "by_property"] = Field(
        "stored",
        description="Sentinel-2 baseline >= 04.00: whether the archive's files still hold the 1000",
    )
    boa_offset_property: str | None = None
    notes: str | None = None


class Dialect(Strict):
    """How an archive speaks."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: Text
    url: str | None = None
    sign: Literal["none", "planetary_computer"] = "none"
    baseline: tuple[str, ...] = Field((), description="properties that hold the baseline")
    rewrite: tuple[Rewrite, ...] = ()
    collections: dict[str, CollectionDialect]
    references: tuple[str, ...] = Field(min_length=1)
    notes: Text | None = None

    @field_validator("collections")
    @classmethod
    def _property_named(cls, value: dict[str, CollectionDialect]) -> dict[str, CollectionDialect]:
        for name, entry in value.items():
            if (entry.boa_offset == "by_property") != (entry.boa_offset_property is not None):
                raise ValueError(f"collection '{name}': 'by_property' goes with the property")
        return value

    def rewritten(self, href: str) -> str:
        """Return an address as it can be opened (first prefix that fits)."""
        for rule in self.rewrite:
            if href.startswith(rule.prefix):
                return rule.to + href[len(rule.prefix) :]
        return href


def known_dialects() -> list[str]:
    """Return the ids of all dialects."""
    return sorted(p.stem for p in (configs_folder() / "dialects").glob("*.yaml"))


@lru_cache(maxsize=32)
def load_dialect(dialect_id: str) -> Dialect:
    """Read the dialect of an archive.

    Raises
    ------
    UsageError
        There is no such dialect, or its file is malformed.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", dialect_id) or dialect_id not in known_dialects():
        raise UsageError(
            f"there is no archive dialect '{dialect_id}'",
            where=str(configs_folder() / "dialects"),
            rule=f"known dialects: {', '.join(known_dialects())}",
            fix="correct 'access.dialect', or give asset keys in 'bands' yourself",
        )
    return yamlio.load(configs_folder() / "dialects" / f"{dialect_id}.yaml", Dialect)
