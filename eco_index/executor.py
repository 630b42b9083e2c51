"""Where tasks run: threads of this process, local Dask processes, or a Dask cluster."""

from __future__ import annotations

import concurrent.futures as cf
import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from eco_index.errors import UsageError

RULE = "local (threads), local:N (N processes on this machine) or tcp://host:port (Dask scheduler)"

CONNECT_TIMEOUT = 10.0  # seconds to wait for a scheduler


@dataclass(frozen=True)
class Workers:
    """Something that runs functions, and how many of them at once.

    Attributes
    ----------
    pool : concurrent.futures.Executor
        A thread pool, or Dask's executor of the same interface.
    count : callable
        Number of workers now (a cluster may grow).
    """

    pool: cf.Executor
    count: Callable[[], int]


def parse_cluster(cluster: str) -> tuple[str, int | str]:
    """Read ``local``, ``local:N`` or an address.

    Returns
    -------
    tuple
        ``("threads", n)``, ``("processes", n)`` or ``("address", text)``.

    Raises
    ------
    UsageError
        Anything else.
    """
    if cluster == "local":
        return "threads", _cpus()
    kind, _, rest = cluster.partition(":")
    if kind == "local" and rest.isdecimal() and 1 <= int(rest) <= 1024:
        return "processes", int(rest)
    if kind in ("tcp", "tls", "ucx", "ws", "wss") and rest.startswith("//") and len(rest) > 2:
        return "address", cluster
    raise UsageError(f"'{cluster}' is not a cluster", rule=RULE, fix="write --cluster local:4")


def _cpus() -> int:
    count = getattr(os, "sched_getaffinity", None)
    return len(count(0)) if count is not None else (os.cpu_count() or 1)


@contextlib.contextmanager
def open_workers(cluster: str) -> Iterator[Workers]:
    """Open workers; what still runs at the end of the block is abandoned, not committed.

    Raises
    ------
    UsageError
        Not a cluster, or no scheduler answers at the address.
    """
    kind, value = parse_cluster(cluster)
    if kind == "threads":
        pool = cf.ThreadPoolExecutor(int(value), thread_name_prefix="eco")
        try:
            yield Workers(pool, lambda: int(value))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        return
    import distributed

    if kind == "processes":
        made = distributed.LocalCluster(
            n_workers=int(value),
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            # A tile's memory is bounded by the grid; Dask's own limit would kill healthy workers
            # on machines whose memory is mostly file cache.
            memory_limit=None,
            silence_logs=40,
        )
        with made, distributed.Client(made) as client:
            yield Workers(client.get_executor(pure=False), lambda: int(value))
        return
    try:
        client = distributed.Client(str(value), timeout=CONNECT_TIMEOUT)
    except (OSError, TimeoutError, ValueError) as error:
        raise UsageError(
            f"no Dask scheduler answers at {value}",
            rule=RULE,
            fix=f"start one there, or use --cluster local ({type(error).__name__})",
        ) from None
    with client:
        yield Workers(
            client.get_executor(pure=False),
            lambda: max(1, sum(client.nthreads().values())),
        )


def run_bounded[T](
    workers: Workers,
    function: Callable[..., Any],
    items: Iterable[T],
    prepare: Callable[[T], tuple[Any, ...]],
    patience: float | None = None,
) -> Iterator[tuple[T, Any, BaseException | None] | None]:
    """Run `function` over items, at most two per worker outstanding, and yield as they finish.

    Parameters
    ----------
    workers : Workers
        Where to run.
    function : callable
        Module-level, so that it can be pickled.
    items : iterable
        Anything; taken one by one.
    prepare : callable
        Makes the arguments of an item just before it is handed over: memory and open sessions
        are bounded by the number of workers, not by the number of items.
    patience : float, optional
        Seconds without an answer after which None is yielded, again and again.

    Yields
    ------
    tuple or None
        item, result (None if it failed), error (None if it did not).
    """
    outstanding: dict[cf.Future[Any], T] = {}
    todo = iter(items)
    exhausted = False
    try:
        while True:
            while not exhausted and len(outstanding) < 2 * workers.count():
                try:
                    item = next(todo)
                except StopIteration:
                    exhausted = True
                    break
                outstanding[workers.pool.submit(function, *prepare(item))] = item
            if not outstanding:
                return
            finished, _ = cf.wait(outstanding, patience, return_when=cf.FIRST_COMPLETED)
            if not finished:
                yield None
            for future in finished:
                item = outstanding.pop(future)
                error = future.exception()
                yield item, (None if error is not None else future.result()), error
    finally:
        for future in outstanding:
            future.cancel()


class LazyWorkers:
    """Opens the workers when the first task needs them: a run that is done starts no cluster."""

    def __init__(self, cluster: str) -> None:
        self._cluster, self._context, self._workers = cluster, None, None  # type: Any, Any, Any

    def __call__(self) -> Any:
        if self._workers is None:
            self._context = open_workers(self._cluster)
            self._workers = self._context.__enter__()
        return self._workers

    def __enter__(self) -> LazyWorkers:
        return self

    def __exit__(self, *details: Any) -> None:
        if self._context is not None:
            self._context.__exit__(*details)
