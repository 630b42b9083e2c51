"""Batch exports of the loopback service: queued, run when looked at, written as GeoTIFF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import rasterio
from earthengine_graph import Evaluator, Refused, arrays_of
from earthengine_images import PixelGrid

STEPS = ("PENDING", "RUNNING", "SUCCEEDED")


class Exports:
    """The batch system.

    Attributes
    ----------
    folder : Path or None
        Stands for all buckets and drives: files are written below it.
    bodies : list of dict
        Requests that started something.
    failing : dict
        Part of a description: message with which such an export fails.
    """

    def __init__(self) -> None:
        self.folder: Path | None = None
        self.bodies: list[dict[str, Any]] = []
        self.failing: dict[str, str] = {}
        self._by_request: dict[str, dict[str, Any]] = {}

    def start(self, base: str, body: dict[str, Any]) -> dict[str, Any]:
        known = {"expression", "description", "grid", "fileExportOptions", "requestId", "maxPixels"}
        if set(body) - known:
            raise Refused(f"unknown fields {sorted(set(body) - known)}")
        request = body.get("requestId", "")
        allowed = request.replace("-", "").isalnum() and request.isascii() and len(request) <= 60
        if not allowed:
            raise Refused(f"'requestId' may not be '{request}'")
        if body["fileExportOptions"].get("fileFormat") != "GEO_TIFF":
            raise Refused("unknown file format")
        if request not in self._by_request:  # the same request starts one export
            name = f"{base.removeprefix('/v1alpha/')}operations/OP{len(self.bodies):04d}"
            self.bodies.append(body)
            self._by_request[request] = {"name": name, "body": body, "step": 0, "error": None}
        return self._public(self._by_request[request])

    def list(self, collections: Any, query: dict[str, str]) -> dict[str, Any]:
        """Two operations a page; every look takes each of them one step further."""
        every = list(self._by_request.values())
        first = int(query.get("pageToken", 0))
        page = every[first : first + 2]
        for operation in page:
            self._advance(operation, collections)
        answer: dict[str, Any] = {"operations": [self._public(o) for o in page]}
        if first + 2 < len(every):
            answer["nextPageToken"] = str(first + 2)
        return answer

    def _advance(self, operation: dict[str, Any], collections: Any) -> None:
        if operation["step"] >= len(STEPS) - 1 or operation["error"]:
            return
        operation["step"] += 1
        if STEPS[operation["step"]] != "SUCCEEDED":
            return
        body = operation["body"]
        for part, message in self.failing.items():
            if part in body["description"]:
                operation["error"] = message
                return
        try:
            self._write(body, Evaluator(collections, body["expression"]).result)
        except Refused as error:
            operation["error"] = str(error)

    def _write(self, body: dict[str, Any], image: Any) -> None:
        arrays = arrays_of(image, body["grid"])
        kinds = {a.dtype.name for a in arrays.values()}
        if len(kinds) != 1:
            raise Refused(f"Exported bands must have compatible data types; found {sorted(kinds)}")
        options = body["fileExportOptions"]
        place = options.get("cloudStorageDestination") or options["driveDestination"]
        assert self.folder is not None
        home = self.folder / (place.get("bucket") or place["folder"])
        path = home / f"{place['filenamePrefix']}.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        grid = PixelGrid.of_request(body["grid"])
        profile = {"width": grid.width, "height": grid.height, "count": len(arrays)}
        profile |= {"crs": grid.crs, "transform": grid.affine, "dtype": kinds.pop()}
        with rasterio.open(path, "w", driver="GTiff", compress="deflate", **profile) as file:
            for number, (name, array) in enumerate(arrays.items(), start=1):
                file.write(array, number)
                file.set_band_description(number, name)

    def _public(self, operation: dict[str, Any]) -> dict[str, Any]:
        state = "FAILED" if operation["error"] else STEPS[operation["step"]]
        answer = {"name": operation["name"], "metadata": {"state": state}}
        if state in ("FAILED", "SUCCEEDED"):
            answer["done"] = True
        if operation["error"]:
            answer["error"] = {"code": 3, "message": operation["error"]}
        return answer
