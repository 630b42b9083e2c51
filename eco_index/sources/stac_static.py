"""A static STAC catalogue behind an address: linked JSON files, no search service."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urljoin, urlsplit

from eco_index.catalog import Catalog, Dataset, StacStatic
from eco_index.errors import InputError
from eco_index.sources import http
from eco_index.sources.raster import short_reason
from eco_index.sources.scene import AssetFailure, Found, public_href, touches
from eco_index.sources.stac import found_of, joined_items, may_be_of

Bounds = tuple[float, float, float, float]
AT_ONCE = 8  # documents asked for at the same time
MOST = 200_000  # items of a catalogue: beyond it a search service is needed
KEPT_S = 600  # documents are asked for anew after that many seconds


class StacStaticSource:
    """Catalogues and collections are followed by their links; those elsewhere are not entered.

    An item that cannot be read is a failure of its scene. A catalogue or collection that cannot be
    read stops the search: nobody knows what it lists.
    """

    def __init__(self, dataset_id: str, dataset: Dataset, catalog: Catalog) -> None:
        assert isinstance(dataset.access, StacStatic)
        self.id, self.dataset, self.access = dataset_id, dataset, dataset.access
        self.where = f"{catalog.path}, dataset '{dataset_id}': {public_href(self.access.url)}"

    def search(self, lonlat_bounds: Bounds, start: dt.date, end: dt.date) -> Found:
        """Return the scenes that touch an area between two days, both included.

        Raises
        ------
        InputError
            The catalogue, or one below it, cannot be read.
        """
        items: list[dict[str, Any]] = []
        failures: list[AssetFailure] = []
        wanted = list(self._item_links(lonlat_bounds, start, end))
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for url, found in zip(wanted, pool.map(_item, wanted), strict=True):
                if not isinstance(found, str):
                    items.append(found)
                elif may_be_of(_name(url), start, end):
                    failures.append(AssetFailure(self.id, _name(url), "", found))
        joined = joined_items(items)
        made = found_of(joined, self.id, self.dataset, lonlat_bounds, start, end)
        return Found(made.scenes, tuple(sorted((*made.failures, *failures))))

    def _item_links(self, bounds: Bounds, start: dt.date, end: dt.date) -> Iterator[str]:
        """Yield the addresses of items, each once, in the order of the links."""
        level, seen, count = [self.access.url], {self.access.url}, 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            while level:
                below: list[str] = []
                for url, document in zip(level, pool.map(self._catalogue, level), strict=True):
                    if not _may_hold(document, bounds, start, end):
                        continue
                    for rel, target in _links(document, url):
                        if target in seen:
                            continue
                        seen.add(target)
                        if rel == "item":
                            count += 1
                            if count > MOST:
                                raise self._too_many()
                            yield target
                        else:
                            below.append(target)
                level = below

    def _catalogue(self, url: str) -> Mapping[str, Any]:
        try:
            document = _document(url, _now())
        except (OSError, ValueError) as error:
            raise InputError(
                f"the STAC catalogue cannot be read: {_reason(error, url)}",
                where=f"{self.where}, {public_href(url)}",
                rule="without it nobody knows which scenes there are",
                fix="check the address and the network, then run again",
            ) from None
        if document.get("type") not in ("Catalog", "Collection"):
            raise InputError(
                f"this is no STAC catalogue or collection: type {document.get('type')!r}",
                where=f"{self.where}, {public_href(url)}",
                fix="give the address of catalog.json or collection.json",
            )
        return document

    def _too_many(self) -> InputError:
        return InputError(
            f"the static catalogue lists more than {MOST} items",
            where=self.where,
            rule="each item is a request of its own",
            fix="name a collection below it, or use a STAC API or stac-geoparquet",
        )


def _item(url: str) -> dict[str, Any] | str:
    """Return an item with absolute addresses, or why it cannot be read."""
    try:
        document = _document(url, _now())
    except (OSError, ValueError) as error:
        return f"the STAC item cannot be read: {_reason(error, url)}"
    if document.get("type") != "Feature" or not isinstance(document.get("assets"), Mapping):
        return "the document that the catalogue links as an item is none"
    assets = {
        key: asset | {"href": urljoin(url, asset["href"])}
        for key, asset in document["assets"].items()
        if isinstance(asset, dict) and isinstance(asset.get("href"), str)
    }
    return document | {"assets": assets}


def _links(document: Mapping[str, Any], url: str) -> Iterator[tuple[str, str]]:
    for link in document.get("links") or ():
        if not isinstance(link, Mapping) or link.get("rel") not in ("child", "item"):
            continue
        target = urljoin(url, str(link.get("href", "")))
        if urlsplit(target).scheme in ("http", "https"):  # never a file of this machine
            yield str(link["rel"]), target


def _may_hold(document: Mapping[str, Any], bounds: Bounds, start: dt.date, end: dt.date) -> bool:
    """Whether a collection's extent touches an area and a time; true where it states none."""
    extent = document.get("extent")
    if not isinstance(extent, Mapping):
        return True
    try:
        boxes = [_flat(box) for box in (extent.get("spatial") or {}).get("bbox") or ()]
        spans = (extent.get("temporal") or {}).get("interval") or ()
        times = [tuple(map(_day, span)) for span in spans]
    except (TypeError, ValueError, AttributeError):
        return True
    here = not boxes or any(touches(box, bounds) for box in boxes)
    now = not times or any(
        (first is None or first <= end) and (last is None or last >= start) for first, last in times
    )
    return here and now


def _flat(box: Any) -> Bounds:
    values = [float(v) for v in box]
    if len(values) == 6:  # with heights
        values = [values[0], values[1], values[3], values[4]]
    west, south, east, north = values
    return west, south, east, north


def _day(text: str | None) -> dt.date | None:
    return None if text is None else dt.datetime.fromisoformat(text).date()


def _name(url: str) -> str:
    return urlsplit(url).path.rsplit("/", 1)[-1].removesuffix(".json")


def _reason(error: Exception, url: str) -> str:
    return short_reason(error).replace(url, public_href(url))


def _now() -> int:
    return int(time.monotonic() // KEPT_S)


@lru_cache(maxsize=50_000)
def _document(url: str, _period: int) -> dict[str, Any]:
    """Return a document; the months of a run ask for the same ones."""
    return http.fetch_json(url, _session())


_session = lru_cache(maxsize=1)(partial(http.session))
