"""An outbox for the length of a test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from supertokens_events.outbox import Outbox, SqliteOutbox

__all__ = ["memory_folder", "memory_outbox"]

_IN_MEMORY = Path("/dev/shm")  # noqa: S108 - where Linux has a file system in memory; the folder in it is ours alone


@contextmanager
def memory_outbox(*, clock: Callable[[], float] = time.time) -> Iterator[Outbox]:
    """An empty outbox that keeps the whole contract and leaves nothing behind: the real one on SQLite, in a folder that goes
    with it.

    On Linux the folder lies in memory, elsewhere where temporary files do. ``clock`` gives seconds since the epoch.
    """
    with memory_folder() as folder:
        outbox = SqliteOutbox(folder / "events.db", clock=clock)
        try:
            yield outbox
        finally:
            outbox.close()


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder that goes at the end, in memory where there is such a thing."""
    usable = _IN_MEMORY.is_dir() and os.access(_IN_MEMORY, os.W_OK | os.X_OK)
    with TemporaryDirectory(prefix="supertokens-events-", dir=_IN_MEMORY if usable else None) as folder:
        yield Path(folder)
