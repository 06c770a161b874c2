"""What becomes of files that were put aside: compressed, if that is wanted, and removed when their time is over.

Several processes may tidy one directory. Whichever step is cut off leaves the plain file, the whole compressed one, or both; the
next tidying goes on from there.
"""

from __future__ import annotations

import fcntl
import gzip
import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from supertokens_events_file.lines import is_at, sync_directory
from supertokens_events_file.rotation import COMPRESSED, PART, Closed, closed_files
from supertokens_events_file.settings import RotateSettings

__all__ = ["tidy"]

_PIECE = 256 * 1024  # bytes


def tidy(path: Path, rotate: RotateSettings, now: datetime, stopped: threading.Event) -> None:
    """Remove what was put aside from ``path`` and is to go, and compress the rest, until ``stopped``.

    Raises the first ``OSError`` when it has tried them all; then nothing is lost.
    """
    closed = closed_files(path)
    kept = _kept(closed, rotate, now)
    errors = [error for one in closed if (error := _tidied(one, rotate, stopped, is_kept=one.at in kept))]
    if errors:
        raise errors[0]


def _tidied(one: Closed, rotate: RotateSettings, stopped: threading.Event, *, is_kept: bool) -> OSError | None:
    """What became of one of them. Its failure is no other's."""
    try:
        if one.ending == PART:
            _discard(one.path)
        elif not is_kept:
            one.path.unlink(missing_ok=True)
        elif rotate.compress and one.ending != COMPRESSED and not stopped.is_set():
            _compress(one.path, stopped)
    except OSError as error:
        return error
    return None


def _kept(closed: Sequence[Closed], rotate: RotateSettings, now: datetime) -> set[datetime]:
    """The times of the files to keep: a plain file and its compressed self have the same."""
    times = sorted({one.at for one in closed if one.ending != PART}, reverse=True)[: rotate.keep]
    oldest = rotate.max_age
    return {at for at in times if oldest is None or (now - at).total_seconds() <= oldest}


def _compress(plain: Path, stopped: threading.Event) -> None:
    part = plain.with_name(plain.name + PART)
    with _claimed(part, os.O_CREAT) as file:
        if file is None:
            return
        is_whole = False
        try:
            is_whole = _gzip(plain, file, stopped)
        finally:
            if not is_whole:
                part.unlink(missing_ok=True)
        if is_whole:
            part.rename(plain.with_name(plain.name + COMPRESSED))
            sync_directory(plain)  # first the one, then not the other
            plain.unlink(missing_ok=True)


def _gzip(plain: Path, file: int, stopped: threading.Event) -> bool:
    """Whether all of the plain file is in the other one now, and on the disk."""
    os.ftruncate(file, 0)
    os.fchmod(file, 0o600)
    try:
        source = plain.open("rb")
    except FileNotFoundError:  # another process has just done it
        return False
    with source, open(file, "wb", closefd=False) as target, gzip.GzipFile("", "wb", fileobj=target) as compressed:
        while piece := source.read(_PIECE):
            if stopped.is_set():
                return False
            compressed.write(piece)
    os.fsync(file)
    return True


def _discard(part: Path) -> None:
    """Remove what a process left that died while it compressed. One that is alive has a lock on it."""
    with _claimed(part) as file:
        if file is not None:
            part.unlink(missing_ok=True)


@contextmanager
def _claimed(part: Path, flags: int = 0) -> Iterator[int | None]:
    """The file, locked; ``None`` when it is another process's, or gone."""
    try:
        file = os.open(part, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        yield None
        return
    try:
        yield file if _lock(file) and is_at(part, file) else None
    finally:
        os.close(file)


def _lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
