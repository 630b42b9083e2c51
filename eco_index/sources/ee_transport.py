"""How requests travel to Earth Engine: limits with names, a limiter, retries, counts."""

from __future__ import annotations

import contextlib
import dataclasses
import email.utils
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from eco_index.errors import PartialError, UsageError

# Statuses after which the same request may succeed.
TRY_AGAIN = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Limits:
    """What one process may ask of Earth Engine.

    Every number can be set by an environment variable ``ECO_EE_<NAME>``, for example
    ``ECO_EE_CONCURRENT_REQUESTS=20`` where the project's quota is known to be larger.

    Attributes
    ----------
    concurrent_requests : int
        Requests under way at once (quota of a project: 40 and more, shared by its processes).
    requests_per_second : float
        Requests started per second (quota of a project: 100).
    attempts : int
        Times a request is sent before the run gives up.
    first_wait_s, longest_wait_s : float
        Waits between attempts double from the first to the longest, with a random part.
    timeout_s : float
        Seconds without an answer after which a request counts as failed.
    page_size : int
        Images listed per request.
    request_bytes, request_px : int
        Largest answer (bytes, uncompressed) and largest side of it (pixels); the service's own
        bounds are 48 MB and 32 000 pixels.
    computed_px : int
        Largest side (pixels) of a window of composites that the service reduces.
    exports_queued : int
        Exports that are started and not finished at one time (the service's own bound: 3000).
    """

    concurrent_requests: int = 8
    requests_per_second: float = 20.0
    attempts: int = 7
    first_wait_s: float = 1.0
    longest_wait_s: float = 64.0
    timeout_s: float = 180.0
    page_size: int = 500
    request_bytes: int = 32 * 2**20
    request_px: int = 32000
    computed_px: int = 1024
    exports_queued: int = 1000

    @classmethod
    def from_env(cls) -> Limits:
        """Read the limits; variables that are not set keep the default.

        Raises
        ------
        UsageError
            A variable is not a positive number.
        """
        values: dict[str, Any] = {}
        for item in dataclasses.fields(cls):
            name = f"ECO_EE_{item.name.upper()}"
            text = os.environ.get(name)
            if text is None:
                continue
            kind = int if isinstance(item.default, int) else float
            try:
                values[item.name] = kind(text)
                if not values[item.name] > 0:
                    raise ValueError
            except ValueError:
                raise UsageError(
                    f"'{text}' is not a limit for Earth Engine requests",
                    where=f"environment variable {name}",
                    rule=f"a positive {'whole ' if kind is int else ''}number",
                ) from None
        return cls(**values)


@dataclass
class Counts:
    """What has been sent and received so far."""

    requests: int = 0
    repeats: int = 0
    bytes_received: int = 0
    waited_s: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, **more: float) -> None:
        with self._lock:
            for name, value in more.items():
                setattr(self, name, getattr(self, name) + value)


class Limiter:
    """Bounds requests under way and requests started per second, over all threads."""

    def __init__(
        self,
        limits: Limits,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._slots = threading.BoundedSemaphore(limits.concurrent_requests)
        self._step = 1.0 / limits.requests_per_second
        self._lock = threading.Lock()
        self._next = float("-inf")
        self._clock, self._sleep = clock, sleep

    @contextlib.contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot and for the turn, then hold the slot."""
        with self._slots:
            with self._lock:
                now = self._clock()
                turn = max(now, self._next)
                self._next = turn + self._step
            if turn > now:
                self._sleep(turn - now)
            yield

    def hold(self, seconds: float) -> None:
        """Start nothing new for `seconds`: the service asked everybody to slow down."""
        with self._lock:
            self._next = max(self._next, self._clock() + seconds)


class Transport:
    """Carries the client's HTTP requests (the interface of httplib2) through limiter and retries.

    The client's own retries know neither ``Retry-After`` nor a rate, so they are switched off.
    """

    def __init__(
        self, limits: Limits, sleep: Callable[[float], None] = time.sleep, seed: int | None = None
    ) -> None:
        self.limits, self.counts = limits, Counts()
        self.limiter = Limiter(limits, sleep=sleep)
        self._sleep, self._random, self._local = sleep, random.Random(seed), threading.local()

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: Any = None,
        headers: dict[str, str] | None = None,
        **_: Any,
    ) -> tuple[Any, bytes]:
        """Send one request, again where that may help.

        Returns
        -------
        tuple of httplib2.Response and bytes

        Raises
        ------
        PartialError
            No good answer after all attempts.
        """
        import httplib2  # type: ignore[import-untyped]
        import requests

        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        reason, busy = "", False
        for attempt in range(1, self.limits.attempts + 1):
            asked = 0.0
            with self.limiter.slot():
                self.counts.add(requests=1, repeats=attempt > 1)
                try:
                    answer = self._local.session.request(
                        method, uri, data=body, headers=headers, timeout=self.limits.timeout_s
                    )
                except requests.Timeout:
                    reason, busy = f"no answer within {self.limits.timeout_s:g} s", False
                except requests.RequestException as error:
                    # Only the kind of the error: its text may repeat the request.
                    reason, busy = f"the connection failed ({type(error).__name__})", False
                else:
                    self.counts.add(bytes_received=len(answer.content))
                    if answer.status_code not in TRY_AGAIN:
                        info: dict[str, Any] = dict(answer.headers)
                        info["status"] = answer.status_code
                        return httplib2.Response(info), answer.content
                    reason, busy = _reason(answer), answer.status_code == 429
                    asked = retry_after(answer.headers.get("Retry-After"))
            if attempt < self.limits.attempts:
                self._wait(attempt, asked, busy)
        raise _gave_up(reason, busy, self.limits, urlsplit(uri))

    def _wait(self, attempt: int, asked: float, busy: bool) -> None:
        backoff = min(self.limits.longest_wait_s, self.limits.first_wait_s * 2 ** (attempt - 1))
        backoff *= 0.5 + 0.5 * self._random.random()
        seconds = max(backoff, min(asked, 10 * self.limits.longest_wait_s))
        if busy:
            self.limiter.hold(seconds)
        self.counts.add(waited_s=seconds)
        self._sleep(seconds)


def retry_after(text: str | None, now: float | None = None) -> float:
    """Return the seconds that a ``Retry-After`` header asks for (0: nothing, or not readable)."""
    if not text:
        return 0.0
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return 0.0
    return max(0.0, moment - (time.time() if now is None else now))


def _reason(answer: Any) -> str:
    try:
        text = str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        text = answer.reason or "no reason given"
    return f"HTTP {answer.status_code}: {text[:300]}"


def _gave_up(reason: str, busy: bool, limits: Limits, parts: Any) -> PartialError:
    what = "Earth Engine's request quota is used up" if busy else "Earth Engine does not answer"
    fix = "run the same command again later: what is finished is kept"
    if busy:
        fix += "; with other jobs in the same project, lower ECO_EE_CONCURRENT_REQUESTS"
    return PartialError(
        f"{what}: {reason}",
        where=f"{parts.netloc}{parts.path}",
        rule=f"given up after {limits.attempts} attempts (ECO_EE_ATTEMPTS)",
        fix=fix,
    )
