"""Whole lines at the end of a file, also when several processes write to it, the disk is full, or a process dies."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from supertokens_events_file.turn import Turn

__all__ = ["TORN", "add", "hold", "is_at", "locked", "mend", "sync_directory"]

TORN = b" <torn>"
"""Ends a line that was left without its end. No line of ours ends like this otherwise: each is a JSON object."""

_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
_TAILS = (64 * 1024, 8 * 1024 * 1024)  # bytes: where the last line is, nearly always and always


@contextmanager
def locked(path: Path, turn: Turn) -> Iterator[int]:
    """The file at ``path``, made if it is not there, and nobody else's as long as this is entered. Waits for that as long as
    it is our ``turn``; raises ``OSError`` when that is over.

    It is opened each time, and looked at again once it is ours: whoever renames it gets the next line into a new file.
    """
    while True:
        file = _open(path)
        try:
            hold(file, turn)
            if is_at(path, file):
                yield file
                return
        finally:
            _let_go(file)


def hold(file: int, turn: Turn) -> None:
    """Lock an open file. Raises ``OSError`` when it is not ours in time: a call of the system that waits could not be told to
    stop, and would write when it is too late.
    """
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if not turn.pause():
                raise BlockingIOError(errno.EAGAIN, "it is locked by another process") from None
    if turn.is_given_up:
        raise TimeoutError(errno.ETIMEDOUT, "its turn came too late")


def add(file: int, lines: bytes = b"", *, fsync: bool = False) -> None:
    """Add ``lines`` to a locked file, all of them, or none and an ``OSError``. A torn line already there is ended first."""
    end = os.fstat(file).st_size
    try:
        _write(file, _ending(file, end) + lines)
        if fsync:
            os.fsync(file)
    except OSError:
        _cut(file, end)
        raise


def mend(path: Path) -> None:
    """End a torn line, if there is one, and nobody has the file: who has it does so before the next event. The file's time
    stays that of its last event.
    """
    with suppress(OSError):
        if not path.is_file():  # such as a pipe
            return
        file = os.open(path, _FLAGS)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            before = os.fstat(file)
            add(file)
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        finally:
            _let_go(file)


def is_at(path: Path, file: int) -> bool:
    """Whether the open file is the one at ``path``, and not one that was renamed or removed."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file))
    except FileNotFoundError:
        return False


def sync_directory(path: Path) -> None:
    """Force to the disk which files there are beside ``path``, and what they are called."""
    folder = os.open(path.resolve().parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _open(path: Path) -> int:
    try:
        return os.open(path, _FLAGS)
    except FileNotFoundError:
        file = os.open(path, _FLAGS | os.O_CREAT, 0o600)
        os.fchmod(file, 0o600)  # whatever the umask
        return file


def _let_go(file: int) -> None:
    # closing alone is not enough: a copy of the descriptor, in a child or for a later fsync, would keep the lock
    fcntl.flock(file, fcntl.LOCK_UN)
    os.close(file)


def _write(file: int, data: bytes) -> None:
    """One write, as a rule. Where it was cut short, the next one continues it or says why."""
    while data:
        data = data[os.write(file, data) :]


def _cut(file: int, end: int) -> None:
    """Take back what was added. Somebody else may have emptied the file in the meantime, and nobody may make it longer."""
    with suppress(OSError):
        if os.fstat(file).st_size > end:
            os.ftruncate(file, end)


def _ending(file: int, end: int) -> bytes:
    """What is to be added before the next line: nothing, as a rule; for a torn line what marks and ends it; for a line that
    lacks only its end, that.
    """
    if end == 0 or os.pread(file, 1, end - 1) == b"\n":
        return b""
    try:
        json.loads(_last_line(file, end))
    except (ValueError, RecursionError):
        return TORN + b"\n"
    return b"\n"


def _last_line(file: int, end: int) -> bytes:
    """What comes after the last end of a line. Nothing, if that is longer than any line of ours."""
    for length in _TAILS:
        tail = os.pread(file, length, max(0, end - length))
        if length >= end or b"\n" in tail:
            return tail.rpartition(b"\n")[2]
    return b""
