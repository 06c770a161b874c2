"""Whether an event loop goes on, watched from another thread."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["LoopWatch"]

_TICK = 0.01  # seconds
_MANY = 25  # ticks in which the loop does nothing


class LoopWatch:
    """Finds an event loop that is blocked. :attr:`blocked_at` is then what it was doing, innermost call last; else ``""``.

    It counts its own ticks, not seconds: a machine that has no time for the loop has none for the watch either.
    """

    def __init__(self) -> None:
        self.blocked_at = ""
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the running event loop."""
        loop, thread_id = asyncio.get_running_loop(), threading.get_ident()
        thread = threading.Thread(target=self._watch, args=(loop, thread_id), name="loop-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self, loop: asyncio.AbstractEventLoop, thread_id: int) -> None:
        while not self._over.wait(_TICK / 2):
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            ticks = 0
            while not answered.wait(_TICK) and not self._over.is_set():
                ticks += 1
                if ticks == _MANY and not self.blocked_at:
                    self.blocked_at = _stack(thread_id)


def _stack(thread_id: int) -> str:
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - what the documentation names for this
    return "".join(traceback.format_stack(frame, limit=None)[-6:]) if frame is not None else "it is gone"
