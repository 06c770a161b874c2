"""Lines that are forced to the disk a little later, many at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

__all__ = ["Syncing"]


class Syncing:
    """Forces what was written to the disk at the latest ``interval`` seconds afterwards, on a thread of its own. When that
    fails, ``failed`` is told.

    For that long it keeps a descriptor, so that a file which is renamed in the meantime is not forgotten.
    """

    def __init__(self, interval: float, failed: Callable[[OSError], None]) -> None:
        self._interval = interval
        self._failed = failed
        self._lock = threading.Lock()
        self._waiting: dict[tuple[int, int], int] = {}  # descriptors by device and inode
        self._timer: threading.Timer | None = None

    def wrote(self, file: int) -> None:
        """Something was written to this file. It may be closed afterwards."""
        status = os.fstat(file)
        which = status.st_dev, status.st_ino
        with self._lock:
            if which not in self._waiting:
                self._waiting[which] = os.dup(file)
            if self._timer is None:
                self._timer = threading.Timer(self._interval, self.flush)
                self._timer.daemon = True
                self._timer.start()

    def flush(self) -> None:
        """Now."""
        with self._lock:
            files, self._waiting = self._waiting, {}
            timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()
        for file in files.values():
            self._sync(file)

    def _sync(self, file: int) -> None:
        try:
            os.fsync(file)
        except OSError as error:
            self._failed(error)
        finally:
            os.close(file)
