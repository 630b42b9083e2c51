"""Opening rasters wherever they lie: local paths and addresses, with GDAL tuned for both."""

from __future__ import annotations

import atexit
import os
import threading
import warnings
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import rasterio
from rasterio.errors import NotGeoreferencedWarning

from eco_index.sources.address import PREFIX

# Files without place on earth are refused, or placed by their RPC: no need to warn as well.
warnings.filterwarnings("ignore", category=NotGeoreferencedWarning)

_OPTIONS = {
    # Never list a bucket or folder to look for sidecar files.
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "GDAL_INGESTED_BYTES_AT_OPEN": 32768,
    "GDAL_HTTP_MERGE_CONSECUTIVE_RANGES": "YES",
    "GDAL_HTTP_MULTIPLEX": "YES",
    "GDAL_HTTP_CONNECTTIMEOUT": 15,
    "GDAL_HTTP_TIMEOUT": 60,
    "GDAL_HTTP_MAX_RETRY": 3,
    "GDAL_HTTP_RETRY_DELAY": 1,
    "GDAL_CACHEMAX": 64,  # MB a process: a tile's blocks are read once, hardly ever again
}
MAX_OPEN = 64  # files kept open in a thread


def raster_env() -> rasterio.Env:
    """Return the GDAL environment in which all rasters are read."""
    return rasterio.Env(**_OPTIONS)


def local_path(href: str) -> Path | None:
    """Return the local path of an address, or None where it is remote."""
    if href.startswith("file://"):
        return Path(unquote(urlsplit(href).path))
    if "://" in href or href.startswith(("/vsi", PREFIX)):
        return None
    return Path(href)


def gdal_path(href: str) -> str:
    """Return the name under which GDAL opens `href`."""
    local = local_path(href)
    if local is not None:
        return os.fspath(local)
    scheme, _, rest = href.partition("://")
    prefix = {"http": "/vsicurl/", "https": "/vsicurl/", "s3": "/vsis3/", "gs": "/vsigs/"}
    if href.startswith("/vsi") or scheme not in prefix:
        return href
    return prefix[scheme] + (href if scheme in ("http", "https") else rest)


def short_reason(error: BaseException) -> str:
    """Return the first line of an error's text, without signed queries."""
    cause = error.__cause__ or error
    text = (str(cause) or str(error) or type(error).__name__).strip().splitlines()[0]
    return text.split("?", 1)[0][:300]


class _Handles(threading.local):
    """Files that a thread keeps open, least recently used first."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.open: OrderedDict[str, tuple[Any, rasterio.DatasetReader]] = OrderedDict()


_handles = _Handles()


@atexit.register
def _close_kept() -> None:
    """Close what the main thread keeps open while GDAL can still close it."""
    for name in list(_handles.open) if _handles.pid == os.getpid() else ():
        forget(name)


def open_kept(name: str) -> rasterio.DatasetReader:
    """Open a raster and keep it open in this thread: the next tile finds header and blocks.

    Do not close it. A local file that has changed is opened again.

    Parameters
    ----------
    name : str
        As given by `gdal_path`.

    Raises
    ------
    rasterio.errors.RasterioIOError, OSError
        It cannot be opened.
    """
    if _handles.pid != os.getpid():
        # After a fork the handles share file positions with the parent's: leave them alone.
        _handles.pid, _handles.open = os.getpid(), OrderedDict()
    stamp = None
    if not name.startswith("/vsi") and "://" not in name:
        status = os.stat(name)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _handles.open.get(name)
    if known is not None:
        if known[0] == stamp:
            _handles.open.move_to_end(name)
            return known[1]
        forget(name)
    # Not shared: GDAL must not hand one handle to two threads.
    dataset = rasterio.open(name, sharing=False)
    _handles.open[name] = (stamp, dataset)
    while len(_handles.open) > MAX_OPEN:
        forget(next(iter(_handles.open)))
    return dataset


def forget(name: str) -> None:
    """Close a kept raster (after a failed read, its cached blocks are not to be trusted)."""
    known = _handles.open.pop(name, None)
    if known is not None:
        known[1].close()


def crs_wkt(dataset: rasterio.DatasetReader) -> str:
    """Return the CRS of an open raster as WKT (asked once for each kept file)."""
    return _crs_wkt(dataset.crs)


@lru_cache(maxsize=256)
def _crs_wkt(crs: Any) -> str:
    return str(crs.to_wkt())
