"""Scenes, their assets, what failed, and the manifest of a month: plain data, JSON-able."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from eco_index.sensors import baseline_of
from eco_index.sources.address import is_derived, parse

# Parameters of signed addresses (Amazon, Azure, Google): any of them makes the query a secret.
_SECRET = {"sig", "se", "sp", "token", "signature", "expires", "awsaccesskeyid", "key", "api_key"}


def public_href(href: str) -> str:
    """Return an address without user, password and signed query; local paths stay as they are."""
    if is_derived(href):
        return parse(href).with_parts(public_href)
    if "://" not in href:
        return href
    parts = urlsplit(href)
    names = {k.lower() for k, _ in parse_qsl(parts.query, keep_blank_values=True)}
    secret = names & _SECRET or any(n.startswith(("x-amz-", "x-goog-")) for n in names)
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "" if secret else parts.query, ""))


@dataclass(frozen=True)
class Asset:
    """A file of a scene.

    Attributes
    ----------
    href : str
        Local path or address.
    size : int, optional
        Bytes.
    checksum : str, optional
        ``blake2b-64k:...`` of the local file (size, first and last 64 KiB) or ``etag:...``.
    band : int
        Band number in the file, from 1.
    """

    href: str
    size: int | None = None
    checksum: str | None = None
    band: int = 1

    def to_dict(self) -> dict[str, Any]:
        return {
            "href": public_href(self.href),
            "size": self.size,
            "checksum": self.checksum,
            "band": self.band,
        }


@dataclass(frozen=True)
class Scene:
    """One acquisition.

    Attributes
    ----------
    id, dataset : str
    datetime : str
        UTC, ISO 8601 with seconds ("2025-07-03T03:12:45Z"): sorts as text.
    bbox : tuple of float
        West, south, east, north in degrees (WGS 84); after preflight that of the files.
    assets : dict
        By common band name: only the bands that are read.
    properties : dict
        The few item properties that decide how values are read, and the platform.
    """

    id: str
    dataset: str
    datetime: str
    bbox: tuple[float, float, float, float]
    assets: dict[str, Asset]
    properties: dict[str, Any] = field(default_factory=dict)

    @property
    def date(self) -> dt.date:
        return dt.date.fromisoformat(self.datetime[:10])

    @property
    def key(self) -> tuple[str, str, str]:
        """Order of scenes everywhere."""
        return self.datetime, self.id, self.dataset

    def to_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "dataset": self.dataset,
            "datetime": self.datetime,
            "bbox": list(self.bbox),
            "assets": {band: a.to_dict() for band, a in sorted(self.assets.items())},
            "properties": dict(sorted(self.properties.items())),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Scene:
        return cls(
            data["id"],
            data["dataset"],
            data["datetime"],
            tuple(data["bbox"]),
            {band: Asset(**a) for band, a in data["assets"].items()},
            dict(data["properties"]),
        )

    def receipt(self) -> dict[str, Any]:
        """What was read: ids, addresses without secrets, sizes, checksums, baseline."""
        return {
            "id": self.id,
            "dataset": self.dataset,
            "datetime": self.datetime,
            "baseline": baseline_of(self.properties),
            "assets": {band: a.to_dict() for band, a in sorted(self.assets.items())},
        }

    def fingerprint(self) -> dict[str, Any]:
        """The receipt without places: equal wherever the same files lie (for digests)."""
        receipt = self.receipt()
        properties = {k: v for k, v in sorted(self.properties.items()) if ":" in k}
        receipt["properties"] = properties
        for asset in receipt["assets"].values():
            # A remote file without size and etag is known by its address only.
            if asset["checksum"] is not None:
                del asset["href"]
        return receipt


@dataclass(frozen=True, order=True)
class AssetFailure:
    """An asset (or a whole scene: asset '') that could not be used, and why."""

    dataset: str
    scene: str
    asset: str
    reason: str

    def to_dict(self) -> dict[str, str]:
        return {
            "dataset": self.dataset,
            "scene": self.scene,
            "asset": self.asset,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, data: dict[str, str]) -> AssetFailure:
        return cls(data["dataset"], data["scene"], data["asset"], data["reason"])


@dataclass(frozen=True)
class Found:
    """Answer of a search: scenes sorted by (datetime, id), and what was unusable."""

    scenes: tuple[Scene, ...]
    failures: tuple[AssetFailure, ...] = ()


@dataclass(frozen=True)
class Manifest:
    """The imagery of a month: which scenes are used, which failed.

    Attributes
    ----------
    month : str
        "2025-07".
    """

    month: str
    scenes: tuple[Scene, ...] = ()
    failures: tuple[AssetFailure, ...] = ()

    @property
    def failed_scenes(self) -> set[tuple[str, str]]:
        """(dataset, scene) of everything that failed."""
        return {(f.dataset, f.scene) for f in self.failures}

    @property
    def failed_share(self) -> float:
        """Share of the month's scenes that failed, 0-1 (0 where there are none at all)."""
        total = len(self.scenes) + len(self.failed_scenes)
        return len(self.failed_scenes) / total if total else 0.0

    def without(self, failures: tuple[AssetFailure, ...]) -> Manifest:
        """Return the manifest with the scenes of `failures` taken out and recorded as failed."""
        out = {(f.dataset, f.scene) for f in failures}
        return Manifest(
            self.month,
            tuple(s for s in self.scenes if (s.dataset, s.id) not in out),
            tuple(sorted({*self.failures, *failures})),
        )

    def to_dict(self) -> dict[str, Any]:
        return {
            "month": self.month,
            "scenes": [s.to_dict() for s in self.scenes],
            "failures": [f.to_dict() for f in self.failures],
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Manifest:
        return cls(
            data["month"],
            tuple(Scene.from_dict(s) for s in data["scenes"]),
            tuple(AssetFailure.from_dict(f) for f in data["failures"]),
        )


def touches(
    bbox: tuple[float, float, float, float],
    bounds: tuple[float, float, float, float],
    margin: float = 0.02,
) -> bool:
    """Whether two lon/lat boxes touch; a west above east means across the antimeridian."""
    if bbox[1] > bounds[3] + margin or bbox[3] < bounds[1] - margin:
        return False

    def spans(west: float, east: float) -> list[tuple[float, float]]:
        return [(west, east)] if west <= east else [(west, 180.0), (-180.0, east)]

    return any(
        a[0] <= b[1] + margin and a[1] >= b[0] - margin
        for a in spans(bbox[0], bbox[2])
        for b in spans(bounds[0], bounds[2])
    )


class Source(Protocol):
    """Where imagery comes from."""

    def search(
        self, lonlat_bounds: tuple[float, float, float, float], start: dt.date, end: dt.date
    ) -> Found:
        """Return the scenes that touch `lonlat_bounds` between two days, both included."""
        ...
