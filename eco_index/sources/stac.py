"""Scenes of STAC: static catalogues and folders of items of any version, and STAC APIs."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from eco_index.catalog import Catalog, Dataset, StacApi, StacFolder
from eco_index.errors import InputError
from eco_index.sources.assets import Unusable, assets_of
from eco_index.sources.dialects import dialect_of, kept_properties, of_record
from eco_index.sources.newest import newest_only
from eco_index.sources.raster import local_path, short_reason
from eco_index.sources.scene import Asset, AssetFailure, Found, Scene, touches


class StacFolderSource:
    """A static STAC catalogue, or any folder with items.

    Items are read whatever their version (0.7 and later) and whether or not a catalogue links
    them. Items of one id (Landsat delivers surface reflectance and temperature apart) are joined.
    """

    def __init__(self, dataset_id: str, dataset: Dataset, catalog: Catalog) -> None:
        assert isinstance(dataset.access, StacFolder)
        self.id, self.dataset, self.access = dataset_id, dataset, dataset.access
        self.where = f"{catalog.path}, dataset '{dataset_id}'"
        self.folder = catalog.resolve(self.access.path, self.where)

    def search(
        self, lonlat_bounds: tuple[float, float, float, float], start: dt.date, end: dt.date
    ) -> Found:
        """Return the scenes that touch an area between two days, both included.

        Raises
        ------
        InputError
            The folder is missing or holds no item. An item that cannot be read is a failure, which
            counts in the share of failed scenes of every month it may belong to.
        """
        items: list[dict[str, Any]] = []
        broken: list[AssetFailure] = []
        for path in self._files():
            item = _read_item(path, *_stamp(path))
            if isinstance(item, str):
                if may_be_of(path.name, start, end):
                    broken.append(AssetFailure(self.id, path.stem, "", item))
                continue
            if item is None:
                continue
            assets = {
                k: a | {"href": self._href(a["href"], path)}
                for k, a in item["assets"].items()
                if isinstance(a, dict) and isinstance(a.get("href"), str)
            }
            items.append({"id": path.stem} | item | {"assets": assets})
        if not items:
            what = f"; {broken[0].scene}: {broken[0].reason}" if broken else ""
            raise InputError(
                f"the folder holds no STAC item{what}",
                where=f"{self.where}: {self.folder}",
                rule=f"an item is a JSON file of type Feature that matches '{self.access.items}'",
            )
        joined = joined_items(items)
        found = found_of(joined, self.id, self.dataset, lonlat_bounds, start, end)
        return Found(found.scenes, tuple(sorted((*found.failures, *broken))))

    def _files(self) -> list[Path]:
        if not self.folder.is_dir():
            raise InputError(
                "the folder of the STAC catalogue does not exist",
                where=f"{self.where}: {self.folder}",
                fix="correct 'access.path' in the catalogue, or put the data there",
            )
        return sorted(p for p in self.folder.glob(self.access.items) if p.is_file())

    def _href(self, href: str, item: Path) -> str:
        if self.access.assets == "beside_item":
            return str(item.parent / unquote(urlsplit(href).path).rsplit("/", 1)[-1])
        if "://" in href or href.startswith("/vsi"):
            local = local_path(href)
            return href if local is None else str(local)
        return str((item.parent / href).resolve()) if not Path(href).is_absolute() else href


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


_DAY = re.compile(r"(?<!\d)((?:19|20)\d{2})-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")


def joined_items(items: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join items of one id: Landsat delivers surface reflectance and temperature apart."""
    joined: dict[str, dict[str, Any]] = {}
    for item in items:
        known = joined.setdefault(str(item.get("id", "")), item | {"assets": {}})
        known["assets"] = item["assets"] | known["assets"]
    return list(joined.values())


def may_be_of(name: str, start: dt.date, end: dt.date) -> bool:
    """Whether a file that cannot be read may be of a time: its name says so, or says no day."""
    found = _DAY.findall(name)
    if not found:
        return True
    first, last = start.strftime("%Y%m%d"), end.strftime("%Y%m%d")
    return first <= "".join(found[0]) <= last


@lru_cache(maxsize=4096)
def _read_item(path: Path, _mtime: int, _size: int) -> dict[str, Any] | str | None:
    """Return an item, None for other JSON (collections, metadata), or why it cannot be read."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        return f"the STAC item {path.name} cannot be read: {short_reason(error)}"
    if not isinstance(data, dict) or data.get("type") != "Feature":
        return None
    if not isinstance(data.get("assets"), dict) or not isinstance(data.get("properties"), dict):
        return None
    return data


class StacApiSource:
    """A STAC API; pages are followed by pystac-client."""

    def __init__(self, dataset_id: str, dataset: Dataset, catalog: Catalog) -> None:
        assert isinstance(dataset.access, StacApi)
        self.id, self.dataset, self.access = dataset_id, dataset, dataset.access
        self.where = f"{catalog.path}, dataset '{dataset_id}'"

    def search(
        self, lonlat_bounds: tuple[float, float, float, float], start: dt.date, end: dt.date
    ) -> Found:
        """Return the scenes that touch an area between two days, both included.

        Raises
        ------
        InputError
            The service cannot be reached or does not answer as a STAC API.
        """
        import pystac_client
        import requests
        from pystac_client.exceptions import APIError
        from pystac_client.stac_api_io import StacApiIO

        from eco_index.sources import http

        asked = StacApiIO(timeout=http.TIMEOUT_S, max_retries=http.patience())
        try:
            client = pystac_client.Client.open(self.access.url, stac_io=asked)
            answer = client.search(
                collections=[self.access.collection],
                bbox=list(lonlat_bounds),
                datetime=f"{start}T00:00:00Z/{end}T23:59:59.999Z",
                query=self.access.query or None,
                limit=100,
            )
            items = list(answer.items_as_dicts())
        except (APIError, requests.RequestException, OSError, ValueError, KeyError) as error:
            raise InputError(
                f"the STAC API does not answer: {short_reason(error)}",
                where=f"{self.where}: {self.access.url}, collection '{self.access.collection}'",
                fix="check address, collection and network, then run again",
            ) from None
        for item in items:
            base = next(
                (k["href"] for k in item.get("links", ()) if k.get("rel") == "self"),
                self.access.url,
            )
            for asset in (item.get("assets") or {}).values():
                if isinstance(asset, dict) and isinstance(asset.get("href"), str):
                    asset["href"] = urljoin(base, asset["href"])
        return found_of(items, self.id, self.dataset, lonlat_bounds, start, end)


def found_of(
    items: Iterable[Mapping[str, Any]],
    dataset_id: str,
    dataset: Dataset,
    bounds: tuple[float, float, float, float],
    start: dt.date,
    end: dt.date,
) -> Found:
    """Turn items into scenes; those that lack what a composite needs become failures."""
    scenes: dict[str, Scene] = {}
    failures: list[AssetFailure] = []
    for item in items:
        scene_id = str(item.get("id", ""))
        try:
            if not isinstance(item.get("properties"), Mapping):
                raise Unusable("", "the item has no properties")
            if not isinstance(item.get("assets"), Mapping):
                raise Unusable("", "the item has no assets")
            when = _datetime_of(item["properties"])
            if not start <= when.date() <= end:
                continue
            bbox = _bbox_of(item)
            if not touches(bbox, bounds, margin=0.0):
                continue
            properties = kept_properties(item["properties"], dataset)
            if not of_record(dataset, properties):
                continue
            scenes[scene_id] = Scene(
                scene_id,
                dataset_id,
                when.strftime("%Y-%m-%dT%H:%M:%SZ"),
                bbox,
                _assets_of(item["assets"], dataset),
                properties,
            )
        except Unusable as problem:
            failures.append(AssetFailure(dataset_id, scene_id, problem.asset, problem.reason))
    return Found(tuple(newest_only(scenes.values())), tuple(sorted(failures)))


def _datetime_of(properties: Mapping[str, Any]) -> dt.datetime:
    text = properties.get("datetime") or properties.get("start_datetime")
    try:
        when = dt.datetime.fromisoformat(str(text))
    except ValueError:
        raise Unusable("", f"the item's time cannot be read: {text!r}") from None
    return when.astimezone(dt.UTC) if when.tzinfo else when.replace(tzinfo=dt.UTC)


def _bbox_of(item: Mapping[str, Any]) -> tuple[float, float, float, float]:
    bbox = item.get("bbox")
    try:
        if bbox:
            values = [float(v) for v in bbox]
            if len(values) == 6:  # with heights
                values = [values[0], values[1], values[3], values[4]]
            west, south, east, north = values
            return west, south, east, north
        import shapely.geometry

        west, south, east, north = shapely.geometry.shape(item["geometry"]).bounds
        return west, south, east, north
    except (TypeError, ValueError, KeyError, AttributeError):
        raise Unusable("", "the item has neither a usable bbox nor a geometry") from None


def _assets_of(assets: Mapping[str, Mapping[str, Any]], dataset: Dataset) -> dict[str, Asset]:
    """Return the assets of the bands that a composite reads."""
    dialect = dialect_of(dataset)

    def find(key: str) -> Asset | None:
        name, number = split_band(key)
        asset = assets.get(name)
        if asset is None or not isinstance(asset.get("href"), str):
            return None
        checksum = asset.get("file:checksum")
        return Asset(
            dialect.rewritten(asset["href"]) if dialect else asset["href"],
            _size_of(asset),
            f"multihash:{checksum}" if checksum else None,
            number,
        )

    return assets_of(dataset, find, ", ".join(sorted(assets)) or "none", "item")


def split_band(key: str) -> tuple[str, int]:
    """Split ``name#4`` (band 4 of a file with several) into name and number; 1 by default."""
    name, _, number = key.partition("#")
    return name, int(number) if number.isdigit() else 1


def _size_of(asset: Mapping[str, Any]) -> int | None:
    local = local_path(asset["href"])
    if local is not None and local.is_file():
        return local.stat().st_size
    size = asset.get("file:size")
    return int(size) if isinstance(size, int) else None
