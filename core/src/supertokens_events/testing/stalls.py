"""Whether an event loop goes on, watched from another thread."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["LoopWatch"]

_TICK = 0.01  # seconds
_LONG = 0.15  # seconds in which the loop's thread does nothing else
_FRAMES = 6  # of the stack that are told
_CALLERS = (str(Path(asyncio.__file__).parent), str(Path(__file__).parent))


class LoopWatch:
    """Finds an event loop that is blocked. :attr:`blocked_at` is then what it was doing, outermost call first; else ``""``.

    What counts is what the loop's thread spends in one step, computing or waiting, and not how long a busy machine lets it wait
    for a processor.
    """

    def __init__(self) -> None:
        self.blocked_at = ""
        self._over = threading.Event()

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Watch the running event loop."""
        loop, spent = asyncio.get_running_loop(), _Spent(threading.get_ident(), threading.get_native_id())
        thread = threading.Thread(target=self._watch, args=(loop, spent), name="loop-watch", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _watch(self, loop: asyncio.AbstractEventLoop, spent: _Spent) -> None:
        while not self._over.wait(_TICK / 2):
            answered = threading.Event()
            loop.call_soon_threadsafe(answered.set)
            spent.begin()
            while not answered.wait(_TICK) and not self._over.is_set():
                if spent.look() >= _LONG and not self.blocked_at:
                    self.blocked_at = _stack(spent.thread_id)


class _Spent:
    """The seconds that a thread has spent since :meth:`begin`. It looks each tick, and takes none for longer than two: nobody
    had time for it then.
    """

    def __init__(self, thread_id: int, native_id: int) -> None:
        self.thread_id = thread_id
        self._state = Path(f"/proc/self/task/{native_id}/stat")
        self._clock = time.pthread_getcpuclockid(thread_id) if hasattr(time, "pthread_getcpuclockid") else None

    def begin(self) -> None:
        self._seconds, self._computed, self._looked = 0.0, self._computing(), time.monotonic()

    def look(self) -> float:
        computed, now = self._computing(), time.monotonic()
        passed = min(now - self._looked, 2 * _TICK)
        self._seconds += passed if self._waits() else min(computed - self._computed, passed)
        self._computed, self._looked = computed, now
        return self._seconds

    def _computing(self) -> float:
        return time.clock_gettime(self._clock) if self._clock is not None else 0.0

    def _waits(self) -> bool:
        """Whether it is the thread that waits, as in a sleep, or nobody can tell; a thread that has no processor is runnable."""
        try:
            return self._state.read_text().rpartition(")")[2].split()[0] != "R"
        except OSError:
            return True


def _stack(thread_id: int) -> str:
    """What the thread does, from where the event loop, or a test of ours, has called something."""
    frame = sys._current_frames().get(thread_id)  # noqa: SLF001 - what the documentation names for this
    stack = traceback.extract_stack(frame) if frame is not None else []
    callers = [number for number, one in enumerate(stack, start=1) if one.filename.startswith(_CALLERS)]
    return "".join(traceback.format_list(stack[max(callers, default=0) :][:_FRAMES]))
