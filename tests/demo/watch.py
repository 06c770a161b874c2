"""A plugin that is told of every attempt, so that the story waits for facts and never for time."""

from __future__ import annotations

import threading
from collections.abc import Callable

from supertokens_events import hookimpl

__all__ = ["Watch"]


class Watch:
    """Wakes whoever waits for deliveries as soon as one was settled."""

    def __init__(self) -> None:
        self._settled = threading.Condition()

    @hookimpl
    def delivery_settled(self) -> None:
        with self._settled:
            self._settled.notify_all()

    def until(self, so: Callable[[], bool], timeout: float) -> bool:
        """Wait until ``so()``, looking after each attempt, for at most ``timeout`` seconds; returns what it came to."""
        with self._settled:
            return self._settled.wait_for(so, timeout)
