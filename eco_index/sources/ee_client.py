"""The session with Earth Engine: who asks, and what went wrong."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from eco_index.errors import EcoError, InputError, PartialError, UsageError
from eco_index.sources.ee_transport import Limits, Transport

# Google's endpoint for many automated requests; its quota is counted apart.
HIGH_VOLUME_URL = "https://earthengine-highvolume.googleapis.com"
SCOPES = (
    "https://www.googleapis.com/auth/earthengine",
    "https://www.googleapis.com/auth/cloud-platform",
)

THREE_WAYS = (
    "one of: (1) a service account: set GOOGLE_APPLICATION_CREDENTIALS to its key file; "
    "(2) a user login: run `earthengine authenticate` once; "
    "(3) application default credentials: run `gcloud auth application-default login`"
)
PROJECT_FIX = (
    "set EE_PROJECT to a cloud project registered for Earth Engine, "
    "or write 'project' in the dataset's access entry"
)


def translate(error: Exception, where: str) -> EcoError:
    """Turn an error of the client into one that says what to do.

    Parameters
    ----------
    error : Exception
        Raised by ``ee`` or by ``google.auth``.
    where : str
        What was asked for: collection, image, band.
    """
    if isinstance(error, EcoError):
        return error
    text = str(error).strip() or type(error).__name__
    kind = type(error).__name__
    if kind == "TransportError":
        return PartialError(
            "Google's login service cannot be reached", where=where, fix="check the network"
        )
    if kind == "RefreshError" or re.search(
        r"unauthenticated|invalid authentication|\b401\b", text, re.I
    ):
        return UsageError(
            "the Earth Engine credentials are not accepted (expired or revoked)",
            where=where,
            rule=THREE_WAYS,
            fix="log in again",
        )
    if re.search(r"collection\b.*(not found|does not exist)", text, re.I):
        return UsageError(
            "Earth Engine has no such image collection, or this account may not read it",
            where=where,
            rule=f"Earth Engine says: {text}",
            fix="check 'collection' in the dataset's access entry",
        )
    if re.search(r"quota|too many (concurrent )?requests|rate limit", text, re.I):
        return PartialError(
            f"Earth Engine's quota is used up: {text}",
            where=where,
            fix="run the same command again later: what is finished is kept",
        )
    if re.search(r"\bproject\b.*(permission|denied|registered|been used|disabled)", text, re.I) or (
        re.search(r"(permission|denied|registered).*\bproject\b", text, re.I)
    ):
        return UsageError(
            f"Earth Engine does not accept the project: {text}", where=where, fix=PROJECT_FIX
        )
    return InputError(f"Earth Engine refused: {text}", where=where)


def endpoint() -> str:
    """Return the service's address, from ``ECO_EE_URL`` or the high-volume endpoint.

    Raises
    ------
    UsageError
        Neither Google's nor this machine's own: credentials are not sent elsewhere.
    """
    url = os.environ.get("ECO_EE_URL", HIGH_VOLUME_URL).rstrip("/")
    parts = urlsplit(url)
    host = parts.hostname or ""
    google = parts.scheme == "https" and host.endswith(".googleapis.com")
    if not (google or _loopback(url)):
        raise UsageError(
            f"'{url}' is not an Earth Engine endpoint",
            where="environment variable ECO_EE_URL",
            rule="https://….googleapis.com, or this machine; credentials go nowhere else",
        )
    return url


def _loopback(url: str) -> bool:
    return urlsplit(url).hostname in ("127.0.0.1", "localhost", "::1")


def find_credentials(url: str) -> Any:
    """Return credentials from the client's own stores; nothing is kept or written here.

    Raises
    ------
    UsageError
        There are none, or the key file cannot be used.
    """
    import google.auth
    import google.auth.credentials
    import google.auth.exceptions

    if _loopback(url):
        return google.auth.credentials.AnonymousCredentials()
    key = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    if key:
        try:
            found, _ = google.auth.default(scopes=list(SCOPES))
        except (google.auth.exceptions.GoogleAuthError, OSError, ValueError):
            # The error's text may repeat parts of the file.
            raise UsageError(
                "the credentials file cannot be used (missing, or not a key file of Google)",
                where="environment variable GOOGLE_APPLICATION_CREDENTIALS",
                rule=THREE_WAYS,
            ) from None
        return found
    import ee

    try:
        return ee.data.get_persistent_credentials()
    except google.auth.exceptions.TransportError as error:
        raise translate(error, "login") from None
    except (ee.EEException, google.auth.exceptions.GoogleAuthError, ValueError):
        raise UsageError(
            "there are no credentials for Earth Engine", where="login", rule=THREE_WAYS
        ) from None


class Client:
    """The one session of this process; ``ee`` keeps its state per process.

    Attributes
    ----------
    url, project : str
    limits : Limits
    counts : Counts
        What has been sent so far.
    """

    def __init__(self, project: str | None, url: str, limits: Limits) -> None:
        import ee

        self.url, self.limits = url, limits
        credentials = find_credentials(url)
        self.project = (
            project
            or getattr(credentials, "quota_project_id", None)
            or getattr(credentials, "project_id", None)
        )
        if not self.project:
            raise UsageError(
                "no cloud project is named for Earth Engine", where="login", fix=PROJECT_FIX
            )
        self._transport = Transport(limits)
        self.counts = self._transport.counts
        self._ee = ee
        if _loopback(url):
            # Initialize would otherwise fetch a list of deprecated assets from the internet.
            ee.deprecation.deprecated_assets = {"": None}  # type: ignore[dict-item]
        ee.data.setMaxRetries(0)
        try:
            ee.Initialize(
                credentials=credentials,
                url=url,
                project=self.project,
                http_transport=self._transport,
            )
        except Exception as error:
            raise translate(error, f"login to project '{self.project}'") from None

    def value(self, build: Callable[[Any], Any], where: str) -> Any:
        """Compute a value: one request.

        Parameters
        ----------
        build : callable
            Given the module ``ee``, returns the object to compute.
        where : str
            Named in errors.
        """
        try:
            return self._ee.data.computeValue(build(self._ee))
        except Exception as error:
            raise translate(error, where) from None

    def pixels(
        self,
        build: Callable[[Any], Any],
        grid: dict[str, Any],
        bands: tuple[str, ...],
        where: str,
    ) -> dict[str, np.ndarray]:
        """Compute pixels of an image: one request.

        Parameters
        ----------
        build : callable
            Given the module ``ee``, returns the image.
        grid : dict
            PixelGrid of the service: dimensions, affineTransform, crsCode or crsWkt.
        bands : tuple of str
            Band ids of the image, in order.
        where : str
            Named in errors.

        Returns
        -------
        dict of numpy.ndarray
            By band id, each of shape (height, width) of the grid.

        Raises
        ------
        InputError
            The answer is no array of the size asked for.
        """
        try:
            found = self._ee.data.computePixels(
                {"expression": build(self._ee), "fileFormat": "NUMPY_NDARRAY", "grid": grid}
            )
        except (ValueError, EOFError) as error:  # numpy: a truncated or foreign answer
            raise InputError(
                f"Earth Engine's answer is not an array: {error}", where=where
            ) from None
        except Exception as error:
            raise translate(error, where) from None
        size = grid["dimensions"]
        if found.dtype.names != bands or found.shape != (size["height"], size["width"]):
            raise InputError(
                f"Earth Engine answered with bands {found.dtype.names} of shape {found.shape}",
                where=where,
                rule=f"bands {', '.join(bands)} of shape {(size['height'], size['width'])} "
                "were asked for",
            )
        return {name: np.ascontiguousarray(found[name]) for name in bands}

    def start_export(
        self,
        build: Callable[[Any], Any],
        options: dict[str, Any],
        request_id: str,
        where: str,
    ) -> str:
        """Start the export of an image: one request.

        Parameters
        ----------
        build : callable
            Given the module ``ee``, returns the image.
        options : dict
            Rest of the service's ExportImageRequest: description, grid, fileExportOptions.
        request_id : str
            Letters, digits and ``-``: the same request sent twice starts one export.
        where : str
            Named in errors.

        Returns
        -------
        str
            Name of the operation.
        """
        try:
            image = build(self._ee)
            started = self._ee.data.exportImage(request_id, {"expression": image} | options)
            return str(started["name"])
        except KeyError:
            raise InputError("Earth Engine named no operation", where=where) from None
        except Exception as error:
            raise translate(error, where) from None

    def operations(self) -> dict[str, dict[str, Any]]:
        """Return the project's operations by name: one request for each page."""
        try:
            found = self._ee.data.listOperations()
        except Exception as error:
            raise translate(error, f"exports of project '{self.project}'") from None
        return {str(operation["name"]): operation for operation in found}


_lock = threading.Lock()
_open: tuple[int, Client] | None = None


def client(project: str | None = None) -> Client:
    """Return this process's session; log in at the first call.

    Parameters
    ----------
    project : str, optional
        Cloud project of the catalogue entry; else ``EE_PROJECT``, else that of the credentials.

    Raises
    ------
    UsageError
        No credentials, no project, or a second project in one process.
    PartialError
        The service cannot be reached.
    """
    global _open
    project = project or os.environ.get("EE_PROJECT") or None
    url = endpoint()
    with _lock:
        if _open is not None:
            pid, found = _open
            if pid == os.getpid() and found.url == url:
                if project in (None, found.project):
                    return found
                raise UsageError(
                    f"two Earth Engine projects in one run: '{found.project}' and '{project}'",
                    rule="the Earth Engine client keeps one project per process",
                    fix="give all Earth Engine datasets of a region the same project",
                )
        made = Client(project, url, Limits.from_env())
        _open = (os.getpid(), made)
        return made


def disconnect() -> None:
    """Forget the session and the client's state, credentials included."""
    global _open
    with _lock:
        if _open is not None:
            import ee

            ee.Reset()
        _open = None
