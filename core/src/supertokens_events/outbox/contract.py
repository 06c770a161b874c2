"""The outbox contract: what every store keeps and promises. Two stores, one contract, one test suite for both.

A store is synchronous and safe to use from several threads. It opens itself on first use, again after a fork, and never
hands a connection across one. All times are seconds since the epoch, by the store's own clock: a dispatcher never
compares them with its machine's, and asks for waits, not for moments.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from supertokens_events.event import Event
from supertokens_events.hook_times import HookTime, Tally, TimeKey
from supertokens_events.ledger import LedgerKey
from supertokens_events.sink import Delivery

if TYPE_CHECKING:
    from supertokens_events.outbox.erasing import Names, Tell
    from supertokens_events.outbox.looking import Wanted
    from supertokens_events.outbox.records import Records
    from supertokens_events.outbox.replaying import Replayed, Run, Selection

__all__ = [
    "FORGOTTEN",
    "Attempt",
    "Breaker",
    "Claim",
    "DeliveryState",
    "Disabled",
    "Dispatching",
    "Entry",
    "Erased",
    "LedgerCount",
    "Look",
    "NewDelivery",
    "Outbox",
    "OutboxError",
    "OutboxFull",
    "OutboxUnavailable",
    "Pruned",
    "Pulse",
    "Retention",
    "Settlement",
    "SinkStatus",
    "StoredDelivery",
    "StoredEvent",
    "StoredSink",
]


class OutboxError(Exception):
    """The outbox cannot be used. The text says which, why, and what to do."""


class OutboxUnavailable(OutboxError):
    """The outbox cannot be used *now*: locked, out of reach, no room on its disk. The same call may succeed later."""


class OutboxFull(OutboxError):
    """The outbox has reached its ``max_size`` and refuses new events."""


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
    """A delivery to store with its event. Deliveries of one sink with the same ``ordering_key`` go out one after the
    other, in the order of their sequences; ``None``: as it comes. A pending one is first due in ``wait`` seconds: until then
    whoever stores it may :meth:`Outbox.take` it.
    """

    sink: str
    state: DeliveryState = DeliveryState.PENDING
    reason: str | None = None
    ordering_key: str | None = None
    wait: float = 0.0


class Entry(NamedTuple):
    """An event to store: its skeleton, its bytes, and who gets it."""

    event: Event
    body: bytes
    deliveries: Sequence[NewDelivery] = ()


class Claim(NamedTuple):
    """A delivery that this dispatcher holds until its lease ends.

    ``fence`` grows with every claim: what an earlier holder writes later changes nothing. ``used`` counts the attempts
    that were used up before this one, ``age`` is how many seconds ago its first try began (0.0: this is the first).
    """

    id: int
    fence: int
    used: int
    delivery: Delivery
    age: float = 0.0


class Settlement(NamedTuple):
    """What came of a claim, to be written down. ``used`` is the new count of attempts; a pending delivery is due again
    in ``wait`` seconds. ``duration`` is how many seconds the try took: it began
    that long before the store writes it down. ``disables``: the sink is disabled with it, for the same reason.
    """

    claim: Claim
    state: DeliveryState
    outcome: str
    used: int
    wait: float = 0.0
    duration: float = 0.0
    reason: str | None = None
    detail: Mapping[str, Any] = MappingProxyType({})
    disables: bool = False


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
    id: int = 0
    stored_at: float = 0.0
    user_id: str | None = None
    held_until: float | None = None
    """When the lease ends of the dispatcher that has it; ``None``: nobody has, or it has been settled since."""
    behind: str | None = None
    """The id of the first event of its ordering key, when it waits for that one."""

    @property
    def cursor(self) -> tuple[int, int]:
        """Where to go on after."""
        return self.sequence, self.id


class Breaker(NamedTuple):
    """An open breaker. ``failing_since`` is when the first of the tries that opened it began; the next probe is due at
    ``probe_at``. ``probes`` counts those that have failed, from the one that opened it on; ``reason`` and ``detail`` are
    what the last of them brought back. ``failing_for`` is how many seconds ``failing_since`` is ago.
    """

    open_since: float
    failing_since: float
    probe_at: float
    probes: int
    reason: str
    detail: Mapping[str, Any] = MappingProxyType({})
    failing_for: float = 0.0


class Disabled(NamedTuple):
    """Since when nothing goes out to a sink, in seconds since the epoch, and what its place said."""

    since: float
    reason: str


class Pulse(NamedTuple):
    """A dispatcher's sign of life: which one, where it runs, and the sinks whose lanes it runs."""

    id: str
    host: str
    pid: int
    version: str
    leads: tuple[str, ...] = ()


_SILENT = 30.0  # seconds: three signs of life have not come
FORGOTTEN = 3600.0
"""Seconds after its last sign of life that a dispatcher is not told of any more."""


class Dispatching(NamedTuple):
    """A dispatcher that runs, or ran and has not said that it ended: its last ``pulse``, ``silent`` seconds ago."""

    pulse: Pulse
    began_at: float
    seen_at: float
    silent: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether signs of life that were due have not come."""
        return self.silent > _SILENT


class Look(NamedTuple):
    """What a lane finds. ``due_in``: seconds until its next pending delivery is due, 0.0 when one is, ``None`` when none is
    pending. ``probe_in``: while its breaker is open, seconds until a probe is due; else ``None``. ``disabled``: nothing may go
    out, and both are ``None``.
    """

    due_in: float | None
    probe_in: float | None = None
    disabled: bool = False


class Retention(NamedTuple):
    """How long rows are kept, in seconds since the event was stored; ``None``: for ever. A pending delivery, its attempts
    and its event always stay.
    """

    events: float | None = None
    deliveries: float | None = None
    """Done and skipped ones."""
    dead: float | None = None
    attempts: float | None = None
    ledger: float | None = None
    """Since the last count."""


class Pruned(NamedTuple):
    """How many rows went."""

    events: int = 0
    deliveries: int = 0
    attempts: int = 0
    ledger: int = 0


class Erased(NamedTuple):
    """How many payloads are gone, how many deliveries became dead since they had not gone out, of how many attempts what the
    sink said is gone, and how many rows of the records.
    """

    events: int = 0
    deliveries: int = 0
    attempts: int = 0
    records: int = 0


class SinkStatus(NamedTuple):
    """How one sink stands. ``oldest`` is when the oldest pending event was stored; all times are seconds since the
    epoch. ``blocked`` deliveries wait for an earlier one of the same ordering key.
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
    blocked: int = 0
    breaker: Breaker | None = None
    disabled: Disabled | None = None


@dataclass(frozen=True, slots=True)
class LedgerCount:
    """A line of the ledger."""

    reason: str
    subject: str
    event_type: str
    count: int
    first_at: float
    last_at: float


@dataclass(frozen=True, slots=True)
class StoredSink:
    """A sink that was made through the API. ``settings`` is its table without ``type`` and ``enabled``, as JSON can hold it; no
    secret in it is readable. ``revision`` is that of its last change; times are seconds since the epoch.
    """

    name: str
    type: str
    settings: Mapping[str, Any] = field(repr=False)
    enabled: bool
    revision: int
    created_at: float
    updated_at: float


class Outbox(ABC):
    """Where events and deliveries are stored. Every method may raise :class:`OutboxError`."""

    @abstractmethod
    def open(self) -> None:
        """Make sure that the store is there, writable and of this version; the other methods do it by themselves."""

    @abstractmethod
    def close(self) -> None:
        """Give back connections and the lead of every sink. The next call opens again."""

    # Storing -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def append(self, entries: Sequence[Entry]) -> list[int]:
        """Store events and their deliveries in ONE transaction; returns the sequences. Committed when it returns. A sequence that
        this object has returned is not given to another event, even when the store was lost meanwhile and is begun anew.

        An event that is stored already, by its id, keeps its sequence, and nothing changes: whoever did not hear whether a
        transaction was committed appends again.

        Raises :class:`OutboxFull` when ``max_size`` is reached and ``when_full`` says, or leaves, nothing else.
        """

    @abstractmethod
    def listen(self, stored: Callable[[], None]) -> Callable[[], None]:
        """Have ``stored`` called, from any thread, soon after another process has stored something, where the store can
        tell; returns what ends that. It is a hint: whoever depends on it looks by itself now and then.
        """

    # Delivering ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def lead(self, sink: str) -> bool:
        """Whether the caller may run the lane of ``sink``. A store that many dispatchers share says yes to all; an embedded
        one says yes to one at a time, until it calls :meth:`close` or :meth:`resign` or its process ends.
        """

    @abstractmethod
    def resign(self, sink: str) -> None:
        """Give up the lead of ``sink``."""

    @abstractmethod
    def look(self, sink: str) -> Look:
        """When there is something to do for ``sink``."""

    @abstractmethod
    def claim(self, sink: str, limit: int, lease: float) -> list[Claim]:
        """Take up to ``limit`` deliveries of ``sink`` that are due, for ``lease`` seconds: in turn from each tenant that has
        some, oldest first. One with an ordering key is only taken when no earlier one of that key is pending.

        Does not ask for the breaker. A delivery whose event was erased becomes dead instead. Of a sink that is disabled, none.
        """

    @abstractmethod
    def take(self, event_id: str, sink: str, lease: float) -> Claim | None:
        """Take this one delivery, due or not, for ``lease`` seconds; ``None`` when it is not pending any more, or when anybody
        has claimed it before.
        """

    @abstractmethod
    def claim_overdue(self, sink: str, limit: int, lease: float, span: float) -> list[Claim]:
        """While the breaker of ``sink`` is open: take up to ``limit`` deliveries that nobody holds and whose schedule is over,
        due or not. That is, their first try began ``span`` seconds ago or more; or they had none, and both they and the
        open breaker have been there that long. Of a sink that is disabled, none.
        """

    @abstractmethod
    def settle(self, settlements: Sequence[Settlement]) -> int:
        """Write down outcomes, each with its attempt row, in one transaction. Returns how many claims were still held.

        One that ``disables`` and was still held disables its sink in the same transaction, unless it is disabled already.
        """

    @abstractmethod
    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims back untouched: due at once, no attempt used."""

    @abstractmethod
    def beat(self, pulse: Pulse) -> None:
        """A dispatcher runs. To be said every few seconds."""

    @abstractmethod
    def leave(self, dispatcher: str) -> None:
        """The dispatcher of this id has ended."""

    @abstractmethod
    def dispatchers(self) -> list[Dispatching]:
        """Those that have given a sign of life within the hour and not ended, the oldest first."""

    # The breaker ---------------------------------------------------------------------------------------------------

    @abstractmethod
    def open_breaker(
        self,
        sink: str,
        *,
        failing_for: float,
        probe_in: float,
        reason: str,
        detail: Mapping[str, Any] = MappingProxyType({}),
        about: Sequence[str] = (),
    ) -> None:
        """A probe has failed; ``reason`` and ``detail`` are what it brought back. The breaker is open: the tries that failed
        began ``failing_for`` seconds ago, the next probe is due in ``probe_in`` seconds. When it is open already, it stays so
        since when it is.

        What it brought back is not kept when one of the events that it was ``about``, by their ids, is erased by now.
        """

    @abstractmethod
    def take_probe(self, sink: str, wait: float) -> bool:
        """Whether the caller may send the probe: yes to one, once it is due; the next is then due in ``wait`` seconds."""

    @abstractmethod
    def close_breaker(self, sink: str) -> int:
        """Close it: every pending delivery that nobody holds and whose last try began since ``failing_since`` is due now.
        Returns how many; 0 when it was not open.
        """

    @abstractmethod
    def breakers(self) -> dict[str, Breaker]:
        """Those that are open, by sink."""

    # Sinks that are disabled ---------------------------------------------------------------------------------------

    @abstractmethod
    def enable(self, sink: str) -> Disabled | None:
        """Let deliveries to ``sink`` go out again. The time that it was disabled does not count for their schedules. Returns
        what is over; ``None`` when it was not disabled.
        """

    @abstractmethod
    def disabled(self) -> dict[str, Disabled]:
        """Those that are disabled, by sink."""

    # Replay --------------------------------------------------------------------------------------------------------

    @abstractmethod
    def replayable(self, selection: Selection) -> Replayed:
        """What a replay of ``selection`` would come to by now. Nothing changes."""

    @abstractmethod
    def begin_replay(self, selection: Selection, *, asked: str, by: str, anew: bool = False) -> Run:
        """Begin to replay ``selection``, by the person ``by``. ``asked`` is how it was asked for: one that was asked for in the
        same words and not finished is gone on with, with its own selection, also while it is under way; with ``anew`` only then.
        """

    @abstractmethod
    def replay(self, run: Run, *, by: str, after: int = 0, limit: int = 500) -> Replayed:
        """Make the next ``limit`` deliveries of a replay due, in one transaction: as if new, with their whole schedule before
        them and the same event id. Each gets an attempt row with the outcome ``replayed`` and who it was.

        What is erased, pending or held is left alone and counted. Go on after ``last`` until that is ``None``. Each call is a
        sign of life; one with a ``limit`` of 0 is nothing else.
        """

    @abstractmethod
    def end_replay(self, run: Run) -> None:
        """It is finished, or not to be gone on with."""

    # Sinks made through the API ------------------------------------------------------------------------------------

    @abstractmethod
    def sinks_revision(self) -> int:
        """The revision of the last change of any stored sink: another number after each change, and in another store. Cheap:
        every process asks for it every second.
        """

    @abstractmethod
    def stored_sinks(self) -> list[StoredSink]:
        """All of them, by name."""

    @abstractmethod
    def store_sink(
        self, name: str, type_name: str, settings: Mapping[str, Any], *, enabled: bool, revision: int | None = None
    ) -> StoredSink | None:
        """Store a sink that is new, or with ``revision`` change the one that has it. ``None``, and nothing has changed, when
        there is one of this name already, or none with this revision.
        """

    @abstractmethod
    def remove_sink(self, name: str, revision: int) -> bool:
        """Remove the sink that has this revision, its breaker, and whatever had disabled it. ``False``: there is none."""

    @abstractmethod
    def skip(self, sink: str, reason: str, limit: int = 2000) -> int:
        """Make up to ``limit`` pending deliveries to ``sink`` skipped ones, held or not, unless a stored sink has that name.
        Returns how many; call it until that is zero.
        """

    # The ledger ----------------------------------------------------------------------------------------------------

    @abstractmethod
    def record(self, counts: Mapping[LedgerKey, int]) -> None:
        """Add to the ledger."""

    @abstractmethod
    def ledger(self) -> list[LedgerCount]:
        """The whole ledger, most recent first."""

    # Hooks ---------------------------------------------------------------------------------------------------------

    @abstractmethod
    def record_hook_times(self, times: Mapping[TimeKey, Tally]) -> None:
        """Add to what is known of how long hooks take; what is older than a day goes."""

    @abstractmethod
    def hook_times(self) -> list[HookTime]:
        """How long hooks took in the last 24 hours, what took longest altogether first."""

    # Time and room -------------------------------------------------------------------------------------------------

    @abstractmethod
    def prune(self, retention: Retention, limit: int = 2000) -> Pruned:
        """Delete, in one transaction, up to ``limit`` rows of each table that are older than ``retention`` says. A dead letter
        that goes is counted in the ledger. Call it until it returns zeros.
        """

    @abstractmethod
    def prunable(self, retention: Retention) -> Pruned:
        """How many rows of each table :meth:`prune` would delete by now, all in all. Nothing changes."""

    # Erasure -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def naming(self, names: Names, *, after: int = 0, limit: int = 500) -> list[StoredEvent]:
        """The first ``limit`` events after a sequence, in order, that name somebody and are not erased: their user is one of
        these ids, or their JSON has one for a value anywhere; or they are about no user and have one of the addresses so.
        """

    @abstractmethod
    def erasable(self, names: Names) -> Erased:
        """What :meth:`erase` would come to by now. Nothing changes."""

    @abstractmethod
    def erase(self, names: Names | str, tell: Tell = lambda _erased: None) -> Erased:
        """Erase the payloads of all events that name somebody (see :meth:`naming`; a text is one id), and of those that tell why
        such a one was not delivered; the reasons and details of their attempts; and what every sink said last. Their skeletons
        stay; deliveries that had not gone out are dead with the reason ``erased``, and whoever has claimed one settles it in
        vain.

        If that is anything, the event that ``tell`` makes of it is stored with it, in one transaction.
        """

    @abstractmethod
    def erase_deleted(self, limit: int = 100) -> Erased:
        """The same for users with a ``user.deleted`` event whose payload is still there, up to ``limit`` of them: of their
        events up to that one, by ``user_id``, those without a pending delivery; and of what sinks said last, what was said of
        these. Call it now and then.
        """

    @abstractmethod
    def scrub(self, rewrite_up_to: float = 0.0) -> list[str]:
        """Overwrite what was erased wherever this store still has it. A store of up to ``rewrite_up_to`` bytes is written anew,
        while new events wait. Returns what may be left, a sentence for each place. Call it after an erasure, and now and then.
        """

    # Looking -------------------------------------------------------------------------------------------------------

    @abstractmethod
    def status(self) -> list[SinkStatus]:
        """Every sink that has deliveries or is disabled, by name."""

    @abstractmethod
    def counts(self) -> tuple[int, int]:
        """How many events there are, and how many bytes the store takes on disk."""

    @abstractmethod
    def stored_within(self, seconds: float) -> int:
        """How many events were stored in the last ``seconds``, about: pruned ones are counted too."""

    @abstractmethod
    def event_types(self) -> list[str]:
        """The types of the events that are there, in order."""

    @abstractmethod
    def event(self, event_id: str) -> StoredEvent | None:
        """One event."""

    @abstractmethod
    def events(
        self,
        *,
        after: int | None = None,
        event_type: str | None = None,
        user_id: str | None = None,
        limit: int = 100,
        wanted: Wanted | None = None,
    ) -> list[StoredEvent]:
        """Events with a sequence above ``after``, in order; without ``after`` the latest ``limit``, in order. ``wanted`` says
        more about them, instead of ``event_type`` and ``user_id``.
        """

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
        after: tuple[int, int] | None = None,
        wanted: Wanted | None = None,
    ) -> list[StoredDelivery]:
        """The latest ``limit`` deliveries that match, in order of their events, with their attempts; or the first ones after
        the ``cursor`` of one. ``wanted`` says more about them, instead of the others.
        """

    # Beside the events ---------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def records(self) -> Records:
        """What is kept beside the events, and outlives them."""
