"""What goes on beside the request: calls that nobody waits for any more, and outcomes that are being written down."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

__all__ = ["Running", "Writing"]

_MOST_RUNNING = 100  # calls of one handler at once


class Running:
    """How many calls of each handler have begun and not ended. A handler that hangs costs no more threads than these."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: Counter[str] = Counter()

    def begin(self, name: str) -> bool:
        """Whether another call may begin, which then has to :meth:`end`."""
        with self._lock:
            if self._running[name] >= _MOST_RUNNING:
                return False
            self._running[name] += 1
            return True

    def end(self, name: str) -> None:
        """A call has ended, or did not begin after all."""
        with self._lock:
            self._running[name] -= 1

    @contextmanager
    def until_end(self, name: str) -> Iterator[None]:
        """What is inside is the call."""
        try:
            yield
        finally:
            self.end(name)


class Writing:
    """Short work in daemon threads, each beside the request that it comes from."""

    def __init__(self) -> None:
        self._threads: set[threading.Thread] = set()

    def start(self, work: Callable[[], None]) -> None:
        """Do it now. While the interpreter shuts down, nothing is done."""

        def run() -> None:
            try:
                work()
            finally:
                self._threads.discard(threading.current_thread())

        thread = threading.Thread(target=run, name="supertokens-events-handled", daemon=True)
        self._threads.add(thread)
        try:
            thread.start()
        except RuntimeError:
            self._threads.discard(thread)

    def join(self, timeout: float) -> None:
        """Wait for all that was started, for up to ``timeout`` seconds."""
        deadline = time.monotonic() + timeout
        for thread in list(self._threads):
            with suppress(RuntimeError):  # not quite started, or this very one
                thread.join(max(0.0, deadline - time.monotonic()))
