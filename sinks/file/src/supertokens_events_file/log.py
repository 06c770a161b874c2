"""The file that a sink writes, and when it begins a new one."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from supertokens_events_file.lines import add, locked, sync_directory
from supertokens_events_file.rotation import is_due, put_aside, stamp
from supertokens_events_file.settings import RotateSettings
from supertokens_events_file.syncing import Syncing
from supertokens_events_file.turn import Turn

__all__ = ["Log"]


def _now() -> datetime:
    return datetime.now(UTC)


class Log:
    """Whole lines at the end of one file. With ``fsync`` they are on the disk when :meth:`append` returns, with ``syncing`` soon
    afterwards, and with neither when the system writes them.
    """

    def __init__(
        self,
        path: Path,
        rotate: RotateSettings | None,
        *,
        fsync: bool = False,
        syncing: Syncing | None = None,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._path = path
        self._rotate = rotate
        self._fsync = fsync
        self._syncing = syncing
        self._now = now

    def append(self, lines: bytes, turn: Turn) -> bool:
        """Add ``lines``, all to one file, or none and an ``OSError``, such as when it is not ours in our ``turn``. Returns
        whether another file was put aside first.
        """
        was_put_aside = False
        while True:
            with locked(self._path, turn) as file:
                now = self._now()
                if self._rotate is None or not is_due(self._rotate, file, len(lines), now):
                    self._add(file, lines, now)
                    return was_put_aside
                self._add(file, b"", now)  # ends a torn line
                put_aside(self._path, now)
                was_put_aside = True

    def _add(self, file: int, lines: bytes, now: datetime) -> None:
        status = os.fstat(file)
        is_kept = stat.S_ISREG(status.st_mode)  # a pipe, such as standard output, is on no disk
        if self._fsync and is_kept and status.st_size == 0:
            sync_directory(self._path)  # a new file's name is on the disk before its lines
        add(file, lines, fsync=self._fsync and is_kept)
        if self._syncing is not None and is_kept:
            self._syncing.wrote(file)
        if self._rotate is not None and lines:
            stamp(self._rotate, file, now)
