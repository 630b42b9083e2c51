"""Items of a stac-geoparquet file: one row an item, one struct of assets."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eco_index.catalog import Catalog, Dataset, StacGeoparquet
from eco_index.errors import InputError
from eco_index.sources.raster import short_reason
from eco_index.sources.scene import Found
from eco_index.sources.stac import found_of

# Columns that are fields of an item; every other column is one of its properties.
_FIELDS = {"id", "type", "stac_version", "stac_extensions", "geometry", "bbox", "links", "assets"}
_FIELDS |= {"collection"}


class StacGeoparquetSource:
    """A catalogue in one file, after the stac-geoparquet specification 1.0 (and 1.1)."""

    def __init__(self, dataset_id: str, dataset: Dataset, catalog: Catalog) -> None:
        assert isinstance(dataset.access, StacGeoparquet)
        self.id, self.dataset, self.access = dataset_id, dataset, dataset.access
        self.where = f"{catalog.path}, dataset '{dataset_id}'"
        self.path = catalog.resolve(self.access.path, self.where)

    def search(
        self, lonlat_bounds: tuple[float, float, float, float], start: dt.date, end: dt.date
    ) -> Found:
        """Return the scenes that touch an area between two days, both included.

        Raises
        ------
        InputError
            The file is missing or no stac-geoparquet.
        """
        items = self._items(start, end)
        return found_of(items, self.id, self.dataset, lonlat_bounds, start, end)

    def _items(self, start: dt.date, end: dt.date) -> Iterator[dict[str, Any]]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(self.path)
        except (OSError, pa.ArrowException) as error:
            raise InputError(
                f"the stac-geoparquet file cannot be read: {short_reason(error)}",
                where=f"{self.where}: {self.path}",
                fix="correct 'access.path' in the catalogue, or put the file there",
            ) from None
        missing = sorted({"id", "assets", "datetime"} - set(file.schema_arrow.names))
        if missing:
            raise InputError(
                f"the file lacks the column(s) {', '.join(missing)}",
                where=f"{self.where}: {self.path}",
                rule="stac-geoparquet has columns id, geometry, bbox, assets and properties",
            )
        collection = self.access.collection
        for batch in file.iter_batches(batch_size=512):
            for row in batch.to_pylist():
                when = row.get("datetime") or row.get("start_datetime")
                if isinstance(when, dt.datetime) and not start <= _utc(when).date() <= end:
                    continue
                if collection and row.get("collection") not in (None, collection):
                    continue
                yield _item(row, self.path)


def _utc(when: dt.datetime) -> dt.datetime:
    return when.astimezone(dt.UTC) if when.tzinfo else when.replace(tzinfo=dt.UTC)


def _item(row: dict[str, Any], path: Path) -> dict[str, Any]:
    properties = {
        k: _utc(v).isoformat() if isinstance(v, dt.datetime) else v
        for k, v in row.items()
        if k not in _FIELDS and v is not None
    }
    assets = {}
    for key, asset in (row["assets"] or {}).items():
        if not asset or not asset.get("href"):
            continue
        href = str(asset["href"])
        if "://" not in href and not href.startswith("/"):
            href = str((path.parent / href).resolve())
        assets[key] = {k: v for k, v in asset.items() if v is not None} | {"href": href}
    bbox, geometry = row.get("bbox"), row.get("geometry")
    if isinstance(bbox, dict):
        bbox = [bbox["xmin"], bbox["ymin"], bbox["xmax"], bbox["ymax"]]
    if not bbox and isinstance(geometry, bytes):
        import shapely

        bbox = list(shapely.from_wkb(geometry).bounds)
    return {"id": row["id"], "bbox": bbox, "properties": properties, "assets": assets}
