"""The ledger: counts of everything that did not become a delivery, and of every failure of ours, by reason."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Ledger", "LedgerKey", "Reason"]

_COMPACT_AT = 4096  # entries in memory before equal ones are added up, so that a store out of reach costs no memory


class Reason(StrEnum):
    """Why something is in the ledger."""

    CAPTURE_OFF = "capture_off"
    """``[capture] events`` does not ask for this type."""
    CAPTURE_FAILED = "capture_failed"
    """A capture function raised; the fact was not said, or without what it would have read. Subject: the SDK function.
    """
    CAPTURE_GAP = "capture_gap"
    """This version of the SDK does not have a function that capture knows (subject: the function), or another's object
    hides the SDK's (subject: the recipe).
    """
    ENRICH_FAILED = "enrich_failed"
    """An ``enrich_event`` hook raised; the event went on without it. Subject: the plugin."""
    FILTERED = "filtered"
    """A ``filter_event`` hook dropped the event. Subject: the plugin."""
    FILTER_FAILED = "filter_failed"
    """A ``filter_event`` hook raised; the event's deliveries are held as dead letters. Subject: the plugin."""
    LISTENER_FAILED = "listener_failed"
    """A hook that tells (``event_emitted``, ``delivery_settled``, ``breaker_opened``, ``breaker_closed``) raised. Subject: the
    plugin.
    """
    LATE = "late"
    """Not stored within ``append_timeout``: the auth call went on, the event waits in memory."""
    LOST = "lost"
    """Never stored."""
    REFUSED = "refused"
    """Not stored, and lost: the outbox had reached its ``max_size``, and nothing in it was allowed to go."""
    DROPPED = "dropped"
    """An event that nobody waited for (no delivery of it pending or dead) was deleted before its time, to make room in an outbox
    that had reached its ``max_size`` (``when_full = "drop_oldest_done"``).
    """
    PRUNED = "pruned"
    """A dead letter was deleted at the end of its retention. Subject: the sink."""
    OUTBOX_DAMAGED = "outbox_damaged"
    """Events were lost that had been stored. SQLite: the file was damaged; it was set aside and a new one begun (subject: the
    name it has now). PostgreSQL: the server came back without the last events, or empty, as a standby may that takes over
    (subject: the outbox).
    """
    OUTBOX_MOVED = "outbox_moved"
    """The outbox's file was moved, deleted or replaced while a process had it in use; what came later is in the file that is
    there now. Counted there, once by each such process.
    """
    SINK_FAILED = "sink_failed"
    """A sink raised, or broke its contract; the delivery is tried again. Subject: the sink."""
    SINK_UNAVAILABLE = "sink_unavailable"
    """A sink could not be opened; its deliveries wait. Subject: the sink."""
    DIFFERENCE = "difference"
    """A comparison with the core that a dispatcher made (``[reconcile]``) has found something that nobody was told of. Subject:
    whether it is ``said`` now, or ``not said``.
    """
    HOOK_HUNG = "hook_hung"
    """A hook did not return; until it does, the plugin's hooks are skipped, and what goes on without them is counted here. So
    is what a plugin misses that is slower than what a dispatcher has to tell. Subject: the plugin.
    """


class LedgerKey(NamedTuple):
    """What one count is about. ``subject`` names the plugin, sink or SDK function; it may be empty."""

    reason: Reason
    subject: str
    event_type: str


class Ledger:
    """Counts in memory until the outbox takes them. A deque needs no lock, so a fork cannot break it."""

    def __init__(self) -> None:
        self._entries: deque[tuple[LedgerKey, int]] = deque()
        self.counted: Callable[[], None] = lambda: None
        """Called after each count, on its thread: somebody is to store it soon."""

    def count(self, reason: Reason, *, subject: str = "", event_type: str = "", n: int = 1) -> None:
        """Add ``n`` to a count."""
        self._entries.append((LedgerKey(reason, subject, event_type), n))
        if len(self._entries) > _COMPACT_AT:
            self.put_back(self.take())
        self.counted()

    def take(self) -> Mapping[LedgerKey, int]:
        """All counts since the last time, for the outbox to store. :meth:`put_back` returns them if it could not."""
        counts: Counter[LedgerKey] = Counter()
        with suppress(IndexError):  # empty, perhaps because another thread takes at the same time
            while True:
                key, n = self._entries.popleft()
                counts[key] += n
        return counts

    def put_back(self, counts: Mapping[LedgerKey, int]) -> None:
        """Return what :meth:`take` gave."""
        self._entries.extend(counts.items())

    def peek(self) -> Mapping[LedgerKey, int]:
        """The counts that are still in memory."""
        counts: Counter[LedgerKey] = Counter()
        for key, n in tuple(self._entries):
            counts[key] += n
        return counts
