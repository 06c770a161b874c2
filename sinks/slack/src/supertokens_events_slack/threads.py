"""Which message a thread began with, for as long as this process lives."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["LIFETIME", "MOST", "Threads"]

LIFETIME = 86400.0
"""Seconds after which a thread is begun anew: nobody looks for news below a message of last month."""

MOST = 10_000
"""Threads that are remembered; the one that was used longest ago goes first."""


class _Begun(NamedTuple):
    ts: str
    at: float


class Threads:
    """By channel and key. ``now`` is in seconds since the epoch."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._begun: OrderedDict[tuple[str | None, str], _Begun] = OrderedDict()

    def find(self, channel: str | None, key: str) -> str | None:
        """The ``ts`` of the message that the thread began with."""
        begun = self._begun.get((channel, key))
        if begun is None or self._now() - begun.at > LIFETIME:
            return None
        self._begun.move_to_end((channel, key))
        return begun.ts

    def begin(self, channel: str | None, key: str, ts: str) -> None:
        """A message that was posted is the first of its thread."""
        self._begun[channel, key] = _Begun(ts, self._now())
        self._begun.move_to_end((channel, key))
        while len(self._begun) > MOST:
            self._begun.popitem(last=False)

    def __len__(self) -> int:
        return len(self._begun)
