"""How long the hooks of plugins take: counted in memory until the outbox takes it, in buckets that tell the median."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["HookTime", "HookTimes", "Tally", "TimeKey", "summed"]

_SAVE_AFTER = 4.0  # seconds that a call waits to be stored, so that one transaction has many
_COMPACT_AT = 4096  # entries in memory before equal ones are added up
_IN_A_DOUBLING = 4  # buckets: a median is right within a tenth
_SHORTEST = 1e-6  # seconds; the bucket 0


class TimeKey(NamedTuple):
    """What one tally is about: calls of one plugin's hook that took about as long."""

    plugin: str
    hook: str
    bucket: int


class Tally(NamedTuple):
    """How many calls, how many of them raised, how many seconds they took together, and the longest."""

    calls: int
    failures: int
    total: float
    longest: float

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(
            self.calls + other.calls,
            self.failures + other.failures,
            self.total + other.total,
            max(self.longest, other.longest),
        )


@dataclass(frozen=True, slots=True)
class HookTime:
    """What one plugin's hook took, in seconds. ``median`` is right within a tenth; ``last_at`` is since the epoch."""

    plugin: str
    hook: str
    calls: int
    failures: int
    total: float
    median: float
    longest: float
    last_at: float


class HookTimes:
    """Tallies in memory until the outbox takes them. A deque needs no lock, so a fork cannot break it, nor can two threads."""

    def __init__(self) -> None:
        self._entries: deque[tuple[TimeKey, Tally]] = deque()
        self._since = 0.0

    def __bool__(self) -> bool:
        return bool(self._entries)

    @property
    def due(self) -> bool:
        """Whether something has waited long enough to be stored."""
        return bool(self._entries) and time.monotonic() - self._since >= _SAVE_AFTER

    def add(self, plugin: str, hook: str, seconds: float, *, failed: bool) -> None:
        """One call."""
        if not self._entries:
            self._since = time.monotonic()
        self._entries.append((TimeKey(plugin, hook, _bucket(seconds)), Tally(1, int(failed), seconds, seconds)))
        if len(self._entries) > _COMPACT_AT:
            self._entries.extend(self.take().items())

    def take(self) -> Mapping[TimeKey, Tally]:
        """Everything since the last time, for the outbox to store. :meth:`put_back` returns it if it could not."""
        taken: dict[TimeKey, Tally] = {}
        with suppress(IndexError):  # empty, perhaps because another thread takes at the same time
            while True:
                key, tally = self._entries.popleft()
                taken[key] = taken[key].plus(tally) if key in taken else tally
        return taken

    def put_back(self, taken: Mapping[TimeKey, Tally]) -> None:
        """Return what :meth:`take` gave; it waits anew."""
        self._since = time.monotonic()
        self._entries.extend(taken.items())


def summed(rows: Iterable[tuple[TimeKey, Tally, float]]) -> list[HookTime]:
    """One line for each plugin's hook, what took longest altogether first. A row's last value is the time of its last call."""
    of_hooks: dict[tuple[str, str], list[tuple[TimeKey, Tally, float]]] = {}
    for row in rows:
        of_hooks.setdefault((row[0].plugin, row[0].hook), []).append(row)
    found = [_hook_time(plugin, hook, buckets) for (plugin, hook), buckets in of_hooks.items()]
    return sorted(found, key=lambda one: (-one.total, one.plugin, one.hook))


def _hook_time(plugin: str, hook: str, buckets: list[tuple[TimeKey, Tally, float]]) -> HookTime:
    all_of_it = Tally(0, 0, 0.0, 0.0)
    for _, tally, _ in buckets:
        all_of_it = all_of_it.plus(tally)
    calls, failures, total, longest = all_of_it
    half, seen, median = calls / 2, 0, 0.0
    for key, tally, _ in sorted(buckets):
        seen += tally.calls
        if seen >= half:
            median = min(_middle(key.bucket), longest)
            break
    return HookTime(plugin, hook, calls, failures, total, median, longest, max(last_at for _, _, last_at in buckets))


def _bucket(seconds: float) -> int:
    return 0 if seconds <= _SHORTEST else math.ceil(_IN_A_DOUBLING * math.log2(seconds / _SHORTEST))


def _middle(bucket: int) -> float:
    """Seconds."""
    return float(_SHORTEST * 2 ** ((bucket - 0.5) / _IN_A_DOUBLING))
