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
        self._is_wanted = False
        self._is_over = False
        self._ends = threading.Event()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """There is something to do."""
        with self._lock:
            self._is_wanted = not self._is_over
            if self._is_wanted and self._thread is None:
                self._thread = threading.Thread(target=self._run, name="supertokens-events-file", daemon=True)
                self._thread.start()

    def start(self) -> None:
        """There may be work again after :meth:`stop`."""
        with self._lock:
            self._is_over = False
            self._ends.clear()

    def stop(self, patience: float = 3.0) -> None:
        """No more of it until :meth:`start`. What runs has ``patience`` seconds to come to its end, and is then told to stop
        where it is.
        """
        with self._lock:
            self._is_over = True
            thread = self._thread
        if thread is not None:
            thread.join(patience)
            self._ends.set()
            thread.join()

    def _run(self) -> None:
        while self._goes_on():
            self._work(self._ends)

    def _goes_on(self) -> bool:
        with self._lock:
            goes_on, self._is_wanted = self._is_wanted, False
            if not goes_on:
                self._thread = None
            return goes_on
