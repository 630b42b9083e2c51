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

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

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
MOST_OPEN = 256  # files kept open by a process


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


Handle = tuple[Any, rasterio.DatasetReader]  # what tells whether a local file changed, and it


class _Kept:
    """Files kept open by this process and not in use by any thread, longest unused first."""

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.idle: OrderedDict[str, list[Handle]] = OrderedDict()
        self.count = 0

    def take(self, name: str, stamp: Any) -> rasterio.DatasetReader | None:
        """Return a handle of a file as it is now, closing those of what it was before."""
        with self.lock:
            handles = self.idle.get(name, [])
            if handles and handles[-1][0] == stamp:
                self.count -= 1
                if len(handles) == 1:
                    del self.idle[name]
                return handles.pop()[1]
        self.drop(name)
        return None

    def put(self, name: str, handle: Handle) -> None:
        """Keep a handle that is no longer in use; the longest unused beyond the limit go."""
        old = []
        with self.lock:
            self.idle.setdefault(name, []).append(handle)
            self.idle.move_to_end(name)
            self.count += 1
            while self.count > max_open():
                oldest = next(iter(self.idle))
                old.append(self.idle[oldest].pop(0))
                if not self.idle[oldest]:
                    del self.idle[oldest]
                self.count -= 1
        for _, dataset in old:
            dataset.close()

    def drop(self, name: str) -> None:
        """Close all handles of a file."""
        with self.lock:
            old = self.idle.pop(name, [])
            self.count -= len(old)
        for _, dataset in old:
            dataset.close()


class _Lent(threading.local):
    """Files in use by a thread."""

    def __init__(self) -> None:
        self.open: dict[str, Handle] = {}


_kept, _lent = _Kept(), _Lent()


@lru_cache(maxsize=1)
def max_open() -> int:
    """Return how many files this process keeps open that no thread is using.

    A quarter of what the system allows a process, and no more than MOST_OPEN: a file that was read
    from holds about 0.3 MiB.
    """
    if resource is None:
        return MOST_OPEN
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    if allowed == resource.RLIM_INFINITY:
        return MOST_OPEN
    return max(0, min(MOST_OPEN, allowed // 4))


@atexit.register
def _close_kept() -> None:
    """Close what is kept open while GDAL can still close it."""
    if _kept.pid != os.getpid():
        return
    give_back()
    for name in list(_kept.idle):
        _kept.drop(name)


def open_kept(name: str) -> rasterio.DatasetReader:
    """Open a raster, or take it as an earlier task left it: header and blocks are known then.

    Do not close it: it is this thread's until `give_back`. A local file that has changed is
    opened again.

    Parameters
    ----------
    name : str
        As given by `gdal_path`.

    Raises
    ------
    rasterio.errors.RasterioIOError, OSError
        It cannot be opened.
    """
    global _kept
    if _kept.pid != os.getpid():
        # After a fork the handles share file positions with the parent's: leave them alone.
        _kept, _lent.open = _Kept(), {}
    stamp = None
    if not name.startswith("/vsi") and "://" not in name:
        status = os.stat(name)
        stamp = (status.st_mtime_ns, status.st_size, status.st_ino)
    known = _lent.open.get(name)
    if known is not None:
        if known[0] == stamp:
            return known[1]
        forget(name)
    dataset = _kept.take(name, stamp)
    if dataset is None:
        # Not shared: GDAL must not hand one handle to two threads.
        dataset = rasterio.open(name, sharing=False)
    _lent.open[name] = (stamp, dataset)
    return dataset


def give_back() -> None:
    """Hand over what this thread has open to whichever thread wants it next."""
    if _kept.pid == os.getpid():
        while _lent.open:
            _kept.put(*_lent.open.popitem())


def forget(name: str) -> None:
    """Close a raster (after a failed read, its cached blocks are not to be trusted)."""
    known = _lent.open.pop(name, None)
    if known is not None:
        known[1].close()
    if _kept.pid == os.getpid():
        _kept.drop(name)


def crs_wkt(dataset: rasterio.DatasetReader) -> str:
    """Return the CRS of an open raster as WKT (asked once for each kept file)."""
    crs = dataset.crs
    known = _wkts.get(id(crs))  # comparing CRSs would make their texts each time
    if known is None or known[0] is not crs:
        if len(_wkts) > 4 * MOST_OPEN:
            _wkts.clear()
        known = _wkts[id(crs)] = (crs, str(crs.to_wkt()))
    return known[1]


_wkts: dict[int, tuple[Any, str]] = {}
