"""Which file is at a path, whether it is damaged, and how it is set aside."""

from __future__ import annotations

import glob
import os
import sqlite3
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

__all__ = [
    "COMPANIONS",
    "MOVED",
    "Identity",
    "aside_of",
    "beside",
    "identity",
    "is_damage",
    "set_aside",
    "was_set_aside",
]

COMPANIONS = ("-wal", "-shm")
Identity = tuple[int, int] | None
"""Device and inode: which file it is, whatever its name."""

_DAMAGE, MOVED = "damaged", "moved"
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite says that the file is no database, or no whole one."""
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in _DAMAGED


def identity(path: Path) -> Identity:
    """Of the file that is at ``path`` now; ``None`` when there is none."""
    try:
        found = os.stat(path)  # noqa: PTH116 - for every transaction, and half the time of Path.stat
    except OSError:
        return None
    return found.st_dev, found.st_ino


def was_set_aside(path: Path, file: Identity) -> bool:
    """Whether ``file``, which was at ``path``, is one that another process found damaged and has told of."""
    return any(identity(aside) == file for aside in path.parent.glob(f"{glob.escape(path.name)}.{_DAMAGE}-*"))


def aside_of(path: Path) -> list[Path]:
    """What was set aside, in order of their names."""
    name = glob.escape(path.name)
    return sorted(file for why in (_DAMAGE, MOVED) for file in path.parent.glob(f"{name}.{why}-*"))


def beside(path: Path, suffix: str) -> Path:
    """What belongs to the file at ``path``."""
    return path.with_name(path.name + suffix)


def set_aside(path: Path, only: tuple[str, ...] = ("", *COMPANIONS), *, why: str = _DAMAGE) -> Path:
    """Rename the file and what belongs to it; the name it has now says ``why``."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    names = (f"{path.name}.{why}-{moment}{n}" for n in ("", *(f"-{n}" for n in range(2, 10_000))))
    aside = next(
        aside
        for aside in (path.with_name(name) for name in names)
        if not any(beside(aside, suffix).exists() for suffix in ("", *COMPANIONS))
    )
    for suffix in only:
        with suppress(FileNotFoundError):
            beside(path, suffix).rename(beside(aside, suffix))
    return aside
