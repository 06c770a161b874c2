"""A plugin that is told of every attempt, and looks now and then: the story waits for facts and never for time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from supertokens_events import hookimpl

__all__ = ["Watch"]

_NOW_AND_THEN = 0.05  # seconds: a probe that fails settles nothing, so nobody is told of it


class Watch:
    """Wakes whoever waits for deliveries as soon as one was settled."""

    def __init__(self) -> None:
        self._settled = threading.Condition()

    @hookimpl
    def delivery_settled(self) -> None:
        with self._settled:
            self._settled.notify_all()

    def until(self, so: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``so()``, for at most ``timeout`` seconds; returns what it came to."""
        end = time.monotonic() + timeout
        with self._settled:
            while not (is_so := so()) and time.monotonic() < end:
                self._settled.wait(_NOW_AND_THEN)
        return is_so
