"""Open Icechunk repositories on disk; turn their complaints into messages a person can act on."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

import icechunk

from eco_index.errors import EcoError, InputError, PartialError

try:
    import fcntl
except ImportError:  # not on Windows; there a second writer is not noticed
    fcntl = None  # type: ignore[assignment]

# Icechunk warns at every opening that a local disk does not stand concurrent commits. This
# project never does that (one committer, guarded by a lock file), so only errors are shown.
if "ICECHUNK_LOG" not in os.environ:
    icechunk.set_logs_filter("error")

_FULL = ("no space left", "disk quota exceeded", "storage full", "storagefull", "os error 28")
_READ_ONLY = ("read-only file system", "permission denied", "os error 30", "os error 13")


def repository_config() -> icechunk.RepositoryConfig:
    """Return the configuration stored in new archives.

    Chunk references are split by time step, so that a commit rewrites the references of one
    month or period and not those of the whole archive.
    """
    by_time: dict[Any, dict[Any, int]] = {
        icechunk.ManifestSplitCondition.AnyArray(): {
            icechunk.ManifestSplitDimCondition.DimensionName("time"): 1
        }
    }
    splitting = icechunk.ManifestSplittingConfig.from_dict(by_time)
    return icechunk.RepositoryConfig(manifest=icechunk.ManifestConfig(splitting=splitting))


def exists(path: Path) -> bool:
    """Tell whether an Icechunk repository lies at `path`."""
    # Asking Icechunk about a folder that is not there would create it.
    return path.is_dir() and icechunk.Repository.exists(
        icechunk.local_filesystem_storage(str(path))
    )


def open_repository(path: Path) -> icechunk.Repository:
    """Open the repository at `path`.

    Raises
    ------
    InputError
        Nothing there, or something that is not an Icechunk repository.
    """
    if not path.exists():
        raise InputError(
            f"there is no archive at {path}", fix="run `eco run` first, or check the path"
        )
    with storage_errors(path, "open the archive"):
        if not exists(path):
            raise not_an_archive(path)
        return icechunk.Repository.open(icechunk.local_filesystem_storage(str(path)))


def not_an_archive(path: Path) -> InputError:
    return InputError(
        f"{path} is not an archive of this project (no Icechunk repository)",
        rule="an archive is a folder that `eco run` has made",
        fix="name another output folder, or move what lies there out of the way",
    )


def _text_of(error: BaseException) -> str:
    parts, current = [], error
    while current is not None:
        parts.append(str(current))
        following = current.__cause__ or current.__context__
        if following is None or following is current:
            break
        current = following
    return " ".join(parts).lower()


def translate(error: BaseException, path: Path, doing: str) -> EcoError | None:
    """Return the message for a storage failure, or None if the error is none."""
    if isinstance(error, EcoError):
        return None
    if not isinstance(error, icechunk.IcechunkError | OSError):
        return None
    text, code = _text_of(error), getattr(error, "errno", None)
    if code in (errno.ENOSPC, errno.EDQUOT) or any(t in text for t in _FULL):
        return PartialError(
            f"the disk is full: could not {doing}",
            where=str(path),
            rule="everything committed before is kept; only the unfinished tasks are repeated",
            fix="free some space and run the same command again",
        )
    if code in (errno.EROFS, errno.EACCES, errno.EPERM) or any(t in text for t in _READ_ONLY):
        return InputError(
            f"the archive's folder cannot be written: could not {doing}",
            where=str(path),
            rule="a run needs write access to the region's output folder; nothing was changed",
            fix="make the folder writable or name another one under 'output' in the region file",
        )
    if isinstance(error, icechunk.IcechunkError):
        first = str(error).strip().splitlines()
        return InputError(
            f"the archive's storage failed: could not {doing} ({first[0] if first else error})",
            where=str(path),
            rule="everything committed before is kept",
            fix="run `eco verify` on the archive; then run the same command again",
        )
    return None


@contextlib.contextmanager
def storage_errors(path: Path, doing: str) -> Iterator[None]:
    """Translate storage failures inside the block (see `translate`)."""
    try:
        yield
    except BaseException as error:
        message = translate(error, path, doing)
        if message is None:
            raise
        raise message from error


def make_folder(path: Path) -> None:
    """Create a folder and its parents; says so if that is not allowed."""
    with storage_errors(path, f"create the folder {path.name}"):
        path.mkdir(parents=True, exist_ok=True)


class WriteLock:
    """The right to commit to an archive on a local disk: one process at a time.

    Icechunk on a local file system loses commits when two processes commit at once, without an
    error. The lock is the operating system's (flock): it ends with the process, however killed.
    """

    def __init__(self, archive: Path) -> None:
        self.path = archive.with_name(archive.name + ".lock")
        self._file: TextIO | None = None

    def __enter__(self) -> WriteLock:
        make_folder(self.path.parent)
        with storage_errors(self.path.parent, "lock the archive"):
            self._file = open(self.path, "a+", encoding="utf-8")
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._file.close()
                self._file = None
                raise PartialError(
                    "another run is writing to this archive",
                    where=str(self.path),
                    rule="one run at a time writes to an archive on a disk",
                    fix="wait until the other run has ended, then run the same command again",
                ) from None
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP):
                    raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
