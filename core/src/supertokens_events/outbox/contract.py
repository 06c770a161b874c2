"""The outbox contract: what every store keeps and promises. Two stores, one contract, one test suite for both.

A store is synchronous and safe to use from several threads. It opens itself on first use, again after a fork, and never
hands a connection across one. All times are seconds since the epoch, by the store's own clock.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple

from supertokens_events.event import Event
from supertokens_events.ledger import LedgerKey
from supertokens_events.sink import Delivery

__all__ = [
    "Attempt",
    "Claim",
    "DeliveryState",
    "Entry",
    "LedgerCount",
    "NewDelivery",
    "Outbox",
    "OutboxError",
    "OutboxUnavailable",
    "Settlement",
    "SinkStatus",
    "StoredDelivery",
    "StoredEvent",
]


class OutboxError(Exception):
    """The outbox cannot be used. The text says which, why, and what to do."""


class OutboxUnavailable(OutboxError):
    """The outbox cannot be used *now*: locked, full, out of reach. The same call may succeed later."""


class DeliveryState(StrEnum):
    """Where a delivery is."""

    PENDING = "pending"
    """Due, or waiting for its time, or claimed by a dispatcher."""
    DONE = "done"
    """The sink has it."""
    DEAD = "dead"
    """Given up, kept with its reason: a dead letter."""
    SKIPPED = "skipped"
    """Not meant to go out, such as for a sink that is turned off. A replay can make it due."""


class NewDelivery(NamedTuple):
    """A delivery to store with its event."""

    sink: str
    state: DeliveryState = DeliveryState.PENDING
    reason: str | None = None


class Entry(NamedTuple):
    """An event to store: its skeleton, its bytes, and who gets it."""

    event: Event
    body: bytes
    deliveries: Sequence[NewDelivery] = ()


class Claim(NamedTuple):
    """A delivery that this dispatcher holds until its lease ends.

    ``fence`` grows with every claim: what an earlier holder writes later changes nothing. ``used`` counts the attempts
    that were used up before this one.
    """

    id: int
    fence: int
    used: int
    delivery: Delivery


class Settlement(NamedTuple):
    """What came of a claim, to be written down. ``used`` is the new count of attempts; ``due_at`` matters while
    pending.
    """

    claim: Claim
    state: DeliveryState
    outcome: str
    used: int
    due_at: float
    started_at: float
    duration: float
    reason: str | None = None
    detail: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event as it lies in the outbox. ``body`` is ``None`` once it was erased."""

    sequence: int
    id: str
    type: str
    timestamp: str
    tenant_id: str | None
    user_id: str | None
    correlation_id: str | None
    stored_at: float
    body: bytes | None = field(repr=False)


class Attempt(NamedTuple):
    """One try at a delivery, counted from 1."""

    number: int
    started_at: float
    duration: float
    outcome: str
    reason: str | None
    detail: Mapping[str, Any]


class StoredDelivery(NamedTuple):
    """A delivery as it lies in the outbox, with its attempts in order."""

    sequence: int
    event_id: str
    event_type: str
    sink: str
    state: DeliveryState
    used: int
    due_at: float
    reason: str | None
    attempts: Sequence[Attempt] = ()


class SinkStatus(NamedTuple):
    """How one sink stands. ``oldest`` is when the oldest pending event was stored; all times are seconds since the
    epoch.
    """

    sink: str
    pending: int = 0
    due: int = 0
    done: int = 0
    dead: int = 0
    skipped: int = 0
    oldest: float | None = None
    last_success: float | None = None
    last_failure: float | None = None
    last_reason: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerCount:
    """A line of the ledger."""

    reason: str
    subject: str
    event_type: str
    count: int
    first_at: float
    last_at: float


class Outbox(ABC):
    """Where events and deliveries are stored. Every method may raise :class:`OutboxError`."""

    @abstractmethod
    def open(self) -> None:
        """Make sure that the store is there, writable and of this version; the other methods do it by themselves."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections. The next call opens again."""

    @abstractmethod
    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Store events and their deliveries in ONE transaction; returns the sequences. Committed when it returns."""

    @abstractmethod
    def claim(self, sink: str, limit: int, lease: float) -> list[Claim]:
        """Take up to ``limit`` deliveries of ``sink`` that are due, oldest first, for ``lease`` seconds."""

    @abstractmethod
    def settle(self, settlements: Sequence[Settlement]) -> int:
        """Write down outcomes, each with its attempt row, in one transaction. Returns how many claims were still held."""

    @abstractmethod
    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims back untouched: due at once, no attempt used."""

    @abstractmethod
    def next_due(self, sink: str) -> float | None:
        """When the next pending delivery of ``sink`` is due (a claimed one: when its lease ends), or ``None``."""

    @abstractmethod
    def record(self, counts: Mapping[LedgerKey, int]) -> None:
        """Add to the ledger."""

    @abstractmethod
    def ledger(self) -> list[LedgerCount]:
        """The whole ledger, most recent first."""

    @abstractmethod
    def status(self) -> list[SinkStatus]:
        """Every sink that has deliveries, by name."""

    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """How many events there are, and how many bytes the store takes on disk."""

    @abstractmethod
    def event(self, event_id: str) -> StoredEvent | None:
        """One event."""

    @abstractmethod
    def events(
        self, *, after: int | None = None, event_type: str | None = None, user_id: str | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        """Events with a sequence above ``after``, in order; without ``after`` the latest ``limit``, in order."""

    @abstractmethod
    def deliveries(
        self,
        *,
        event_id: str | None = None,
        sink: str | None = None,
        state: DeliveryState | None = None,
        event_type: str | None = None,
        since: float | None = None,
        limit: int = 100,
    ) -> list[StoredDelivery]:
        """The latest ``limit`` deliveries that match, in order of their events, with their attempts."""
