"""Asking catalogues over HTTP: refusals that pass are waited for, what stays is one message."""

from __future__ import annotations

from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

#: Seconds without an answer.
TIMEOUT_S = 60.0
_PASSING = (429, 500, 502, 503, 504)


def patience() -> Retry:
    """Return how requests are repeated: five times, waiting 1, 2, 4, 8 s or as `Retry-After` says.

    Searches by POST change nothing at the server, so they are repeated too. A host that cannot be
    reached at all is tried three times.
    """
    return Retry(
        total=5,
        connect=2,
        backoff_factor=0.5,
        backoff_max=30,
        status_forcelist=_PASSING,
        allowed_methods=None,
        respect_retry_after_header=True,
    )


def session() -> requests.Session:
    """Return a session that repeats requests (`patience`)."""
    made = requests.Session()
    for scheme in ("http://", "https://"):
        made.mount(scheme, HTTPAdapter(max_retries=patience(), pool_maxsize=16))
    return made


def fetch_json(url: str, asked: requests.Session) -> dict[str, Any]:
    """Return a JSON object.

    Raises
    ------
    OSError
        No answer, or a refusal (all errors of requests are).
    ValueError
        The answer is no JSON object.
    """
    answer = asked.get(url, timeout=TIMEOUT_S)
    answer.raise_for_status()
    found = answer.json()
    if not isinstance(found, dict):
        raise ValueError("the answer is no JSON object")
    return found
