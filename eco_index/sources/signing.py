"""Signed addresses of the Microsoft Planetary Computer, through its public token service."""

from __future__ import annotations

import datetime as dt
import json
import threading
import urllib.error
import urllib.request
from urllib.parse import urlsplit

_TOKEN_URL = "https://planetarycomputer.microsoft.com/api/sas/v1/token/{account}/{container}"
_BLOB_HOST = ".blob.core.windows.net"
_EARLY = dt.timedelta(minutes=5)  # renewed this long before it expires

_tokens: dict[str, tuple[str, dt.datetime]] = {}
_lock = threading.Lock()


def sign_planetary_computer(href: str) -> str:
    """Add the public access token of its container to an address in Azure blob storage.

    See https://planetarycomputer.microsoft.com/docs/concepts/sas/. Addresses elsewhere, and such
    as have a query already, are returned as they are.

    Raises
    ------
    OSError
        The token service does not answer as documented.
    """
    url = _token_url(href)
    return href if url is None else f"{href}?{_token(url)}"


def renew(href: str) -> bool:
    """Forget the token of an address that was refused, so that the next signature asks for one.

    Parameters
    ----------
    href : str
        Address without signature, as given to `sign_planetary_computer`.

    Returns
    -------
    bool
        Whether the address is one that is signed at all.
    """
    url = _token_url(href)
    if url is None:
        return False
    with _lock:
        _tokens.pop(url, None)
    return True


def _token_url(href: str) -> str | None:
    parts = urlsplit(href)
    host = parts.hostname or ""
    if not host.endswith(_BLOB_HOST) or parts.query:
        return None
    account = host.removesuffix(_BLOB_HOST)
    container = parts.path.strip("/").split("/", 1)[0]
    return _TOKEN_URL.format(account=account, container=container)


def _token(url: str) -> str:
    now = dt.datetime.now(dt.UTC)
    with _lock:
        known = _tokens.get(url)
        if known is not None and known[1] - _EARLY > now:
            return known[0]
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                data = json.load(answer)
            token, expiry = str(data["token"]), dt.datetime.fromisoformat(data["msft:expiry"])
        except (urllib.error.URLError, KeyError, ValueError) as error:
            raise OSError(f"no access token from {urlsplit(url).hostname}: {error}") from error
        _tokens[url] = (token, expiry)
        return token
