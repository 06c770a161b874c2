"""How many calls a second a lane may make."""

from __future__ import annotations

import math

import anyio

__all__ = ["RateLimit"]

_BURST = 0.1  # seconds' worth of calls that may come at once: an event loop's timers are coarser than fast rates
_TICK = 0.001  # seconds: no timer is finer
_NEARLY = 1e-6  # of a call: what floats lose


class RateLimit:
    """A token bucket of calls. ``per_second`` ``None``: no limit."""

    def __init__(self, per_second: float | None) -> None:
        self._per_second = per_second or math.inf
        self._room = max(1.0, self._per_second * _BURST)
        self._tokens = self._room
        self._at = -math.inf

    @property
    def free(self) -> float:
        """How many calls may be made now."""
        return math.floor(self._fill() + _NEARLY) if math.isfinite(self._room) else math.inf

    @property
    def wait(self) -> float:
        """Seconds until one may be made."""
        return max(_TICK, (1.0 - self._fill()) / self._per_second) if math.isfinite(self._room) else 0.0

    def take(self, calls: int) -> None:
        """Make that many."""
        if math.isfinite(self._room):
            self._tokens = self._fill() - calls

    def _fill(self) -> float:
        now = anyio.current_time()
        self._tokens = min(self._room, self._tokens + (now - self._at) * self._per_second)
        self._at = now
        return self._tokens
