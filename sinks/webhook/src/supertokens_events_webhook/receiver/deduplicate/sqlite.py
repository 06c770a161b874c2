"""In a SQLite file: for the processes of one machine, and across restarts."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Self

from supertokens_events_webhook.receiver.deduplicate.contract import LEASE, REMEMBER
from supertokens_events_webhook.receiver.deduplicate.sql import Connection, SqlDeduplicator

__all__ = ["SqliteDeduplicator"]

_BUSY = 10.0  # seconds to wait for another process's commit
_AGAIN = 0.01  # seconds


class SqliteDeduplicator(SqlDeduplicator):
    """Remembers in a file, which it makes. Safe between threads and between processes, on a local disk.

    Holds one connection open: :meth:`close` it, or use it in a ``with``. Make one in each process, after a fork.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        remember: float = REMEMBER,
        lease: float = LEASE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(lambda: self._open, sqlite3, remember=remember, lease=lease, now=now)
        self._lock = Lock()
        self._open = sqlite3.connect(path, timeout=_BUSY, check_same_thread=False)
        try:
            self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        """Patiently: while another process makes a file a WAL, SQLite says "locked" at once instead of waiting."""
        deadline = time.monotonic() + _BUSY
        while True:
            try:
                self._open.execute("PRAGMA journal_mode = WAL")
                self._open.execute("PRAGMA synchronous = NORMAL")
                self.create_table()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(_AGAIN)
            else:
                return

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with self._lock:
            yield self._open

    def close(self) -> None:
        """Close the file."""
        self._open.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
