"""Whether a file has changed, without reading it."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

__all__ = ["Stamp", "stamp"]


class Stamp(NamedTuple):
    """What changes with a file. ``modified`` is in seconds since the epoch."""

    modified: float = 0.0
    inode: int = 0
    size: int = -1


def stamp(path: Path) -> Stamp:
    """The stamp of a file; of one that is not there or cannot be looked at, always the same."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return Stamp()
    return Stamp(found.st_mtime, found.st_ino, found.st_size)
