"""Whether an event loop goes on, watched from another thread."""

from __future__ import annotations

import asyncio
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["LoopWatch"]

_TICK = 0.01  # seconds
_MANY = 25  # ticks in which the loop does nothing
_FRAMES = 6  # of the stack that are told
_CALLERS = (str(Path(asyncio.__file__).parent), str(Path(__file__).parent))


class LoopWatch:
    """Finds an event loop that is blocked. :attr:`blocked_at` is then what it was doing, outermost call first; else ``""``.

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
    """What the thread does, from where the event loop, or a test of ours, has called something."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - what the documentation names for this
    stack = traceback.extract_stack(frame) if frame is not None else []
    callers = [number for number, one in enumerate(stack, start=1) if one.filename.startswith(_CALLERS)]
    return "".join(traceback.format_list(stack[max(callers, default=0) :][:_FRAMES]))
