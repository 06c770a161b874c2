"""Whole lines at the end of a file, also when several processes write to it, the disk is full, or a process dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

__all__ = ["append", "problems_with"]


def append(path: Path, lines: bytes, *, fsync: bool = False) -> None:
    """Add ``lines`` to the file, all of them, or none and an ``OSError``. A torn line already there is ended first.

    A new file is readable by its owner alone. Opening it each time is what makes rotation by renaming work.
    """
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = os.fstat(file).st_size
        try:
            _write(file, lines if _is_whole(file, end) else b"\n" + lines)
            if fsync:
                os.fsync(file)
        except OSError:
            with suppress(OSError):
                os.ftruncate(file, end)
            raise
    finally:
        os.close(file)


def problems_with(path: Path) -> Sequence[str]:
    """Why nothing can be appended to ``path``, as sentences."""
    if not path.parent.is_dir():
        return [f"the directory {path.parent} does not exist"]
    if path.is_dir():
        return [f"{path} is a directory: name a file in it"]
    place, wanted = (path, os.R_OK | os.W_OK) if path.exists() else (path.parent, os.W_OK | os.X_OK)
    return [] if os.access(place, wanted) else [f"this user may not write to {place}"]


def _open(path: Path) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    try:
        return os.open(path, flags)
    except FileNotFoundError:
        file = os.open(path, flags | os.O_CREAT, 0o600)
        os.fchmod(file, 0o600)  # whatever the umask
        return file


def _is_whole(file: int, end: int) -> bool:
    return end == 0 or os.pread(file, 1, end - 1) == b"\n"


def _write(file: int, data: bytes) -> None:
    """One write, as a rule. Where it was cut short, the next one continues it or says why."""
    while data:
        data = data[os.write(file, data) :]
