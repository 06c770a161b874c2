"""How the dispatcher's own process ends: by a signal, and in time, whatever a sink does."""

from __future__ import annotations

import itertools
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any, Self

__all__ = ["Ending"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LAST_WORDS = 2.0  # seconds


class Ending:
    """While this is entered, the first SIGINT or SIGTERM calls ``stop``, on a thread of its own. What runs inside, and every
    thread that it has started and that would keep the process alive, then has ``limit`` seconds to end; after that
    ``last_words`` are called and the process ends as it is, with code 1. A second signal ends it at once.

    The signals are Python's, not the event loop's: a sink may block that.
    """

    def __init__(self, stop: Callable[[], None], last_words: Callable[[], None], *, limit: float) -> None:
        self.signal: signal.Signals | None = None
        self._before = itertools.count()  # signals
        self._stop = stop
        self._last_words = last_words
        self._limit = limit
        self._told: queue.SimpleQueue[bool] = queue.SimpleQueue()  # the one queue that a signal handler may use
        self._watch = threading.Thread(target=self._run, name="supertokens-events-ending", daemon=True)
        self._threads_before: set[threading.Thread] = set()
        self._handlers_before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._watch.start()
        self._threads_before = set(threading.enumerate())
        self._handlers_before = {signum: signal.signal(signum, self._came) for signum in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.signal is not None:
            for thread in self._left_behind():
                thread.join()
        self._told.put(False)
        self._watch.join()
        for signum, handler in self._handlers_before.items():
            signal.signal(signum, handler)

    def _came(self, signum: int, _frame: FrameType | None) -> None:
        if next(self._before):  # at once: another signal may come in the middle of this
            signal.signal(signum, signal.SIG_DFL)
            signal.raise_signal(signum)
            return
        self.signal = signal.Signals(signum)
        self._told.put(True)

    def _left_behind(self) -> list[threading.Thread]:
        """The threads that the interpreter would wait for at its end."""
        now = set(threading.enumerate()) - self._threads_before
        return [thread for thread in now if not thread.daemon and thread is not threading.current_thread()]

    def _run(self) -> None:
        if not self._told.get():
            return
        self._stop()
        try:
            self._told.get(timeout=self._limit)
        except queue.Empty:
            self._end_now()

    def _end_now(self) -> None:
        """These words may have to wait for what does not answer, too."""
        speaking = threading.Thread(target=self._last_words, daemon=True)
        speaking.start()
        speaking.join(_LAST_WORDS)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
