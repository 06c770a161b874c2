"""Work that is done beside the deliveries, on a thread that lives as long as there is some."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["Upkeep"]


class Upkeep:
    """Calls ``work`` on a thread of its own after each :meth:`wake`, never twice at once; several calls that come while it runs
    are one. ``work`` gets what says that it is to end, and raises nothing.
    """

    def __init__(self, work: Callable[[threading.Event], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._is_wanted = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to do."""
        with self._lock:
            self._is_wanted = True
            if self._thread is None and not self._stopped.is_set():
                self._thread = threading.Thread(target=self._run, name="supertokens-events-file", daemon=True)
                self._thread.start()

    def stop(self) -> None:
        """Returns when nothing runs any more."""
        self._stopped.set()
        with self._lock:
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while self._goes_on():
            self._work(self._stopped)

    def _goes_on(self) -> bool:
        with self._lock:
            goes_on, self._is_wanted = self._is_wanted and not self._stopped.is_set(), False
            if not goes_on:
                self._thread = None
            return goes_on
