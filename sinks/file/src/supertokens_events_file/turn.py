"""How long one call waits for what others have."""

from __future__ import annotations

import threading
import time

__all__ = ["Turn"]

_FIRST_PAUSE = 0.001  # seconds
_LONGEST_PAUSE = 0.05


class Turn:
    """The time of one call: ``seconds`` to wait for others, unless nobody waits for its outcome any more."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds
        self._pause = _FIRST_PAUSE
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Nobody waits for the outcome any more. Callable from any thread."""
        self._given_up.set()

    @property
    def is_given_up(self) -> bool:
        """Whether what it writes now would be written again."""
        return self._given_up.is_set()

    def pause(self) -> bool:
        """Wait a moment, longer each time. ``False`` at once when there is no time left, or as soon as nobody waits any more."""
        left = self._ends - time.monotonic()
        if left <= 0:
            return False
        pause, self._pause = min(left, self._pause), min(2 * self._pause, _LONGEST_PAUSE)
        return not self._given_up.wait(pause)

    def progressed(self) -> None:
        """What was waited for has come: the next time begins with a short pause."""
        self._pause = _FIRST_PAUSE
