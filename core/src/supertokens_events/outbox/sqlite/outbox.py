"""The embedded store: one SQLite file in WAL mode, on a local disk, shared by the processes of one machine."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from supertokens_events.hook_times import HookTime, Tally, TimeKey
from supertokens_events.ledger import LedgerKey
from supertokens_events.outbox.contract import (
    Breaker,
    Claim,
    DeliveryState,
    Disabled,
    Dispatching,
    Entry,
    Erased,
    LedgerCount,
    Look,
    Outbox,
    OutboxFull,
    OutboxUnavailable,
    Pruned,
    Pulse,
    Retention,
    Settlement,
    SinkStatus,
    StoredDelivery,
    StoredEvent,
    StoredSink,
)
from supertokens_events.outbox.erasing import GONE, Names, Tell, tell_nobody
from supertokens_events.outbox.looking import Wanted
from supertokens_events.outbox.replaying import Replayed, Run, Selection
from supertokens_events.outbox.sqlite import (
    breaker,
    disabled,
    dispatchers,
    erasing,
    hook_times,
    read,
    replaying,
    room,
    sinks,
    traces,
)
from supertokens_events.outbox.sqlite.claim import Turns, hold, unclaimed
from supertokens_events.outbox.sqlite.file import CHECKPOINT, COUNT, SqliteFile
from supertokens_events.outbox.sqlite.records import SqliteRecords, forget, known
from supertokens_events.outbox.sqlite.write import claims_of, insert, settle

__all__ = ["SqliteOutbox"]

_RARELY = 4  # times as rarely as others: somebody waits for an append, and a dispatcher checkpoints before
_NOTHING_TO_DROP = 1.0  # seconds until a full outbox is searched again for what every sink has


class SqliteOutbox(Outbox):
    """An outbox in the file ``path``. With ``durability="full"`` it also survives a power cut, at one sync per commit.

    A sequence that this object has given is not given again, even when a damaged file was set aside or another was put in its
    place. ``busy_timeout`` is how long in seconds one call waits for another process's lock. ``clock`` gives seconds since the
    epoch. From ``max_size`` bytes on (``None``: no limit) new events are refused, or with
    ``when_full="drop_oldest_done"`` the oldest ones that nobody waits for make room.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "normal",
        max_size: int | None = None,
        when_full: Literal["refuse", "drop_oldest_done"] = "refuse",
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._max_size = max_size
        self._when_full = when_full
        self._clock = clock
        self._file = SqliteFile(
            self.path,
            synchronous="FULL" if durability == "full" else "NORMAL",
            busy_timeout=busy_timeout,
            clock=clock,
        )
        self._records = SqliteRecords(self._file, clock)
        self._turns = Turns()
        self._search_again = 0.0
        self._given = 0  # the last sequence; a file that takes the place of ours goes on from there

    def __repr__(self) -> str:
        return f"SqliteOutbox({str(self.path)!r})"

    def open(self) -> None:
        with self._file.transaction():
            pass

    def close(self) -> None:
        self._file.close()

    # Storing -------------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> list[int]:
        with self._file.transaction(checkpoint_at=_RARELY * CHECKPOINT) as connection:
            now = self._clock()
            if self._max_size is not None:
                self._make_room(connection, sum(len(entry.body) for entry in entries), now)
            sequences = insert(connection, entries, now, self._given)
        self._given = max(self._given, *sequences, 0)  # once it is committed
        return sequences

    def _make_room(self, connection: sqlite3.Connection, needed: int, now: float) -> None:
        """Raises :class:`OutboxFull` when there is none."""
        assert self._max_size is not None
        while (size := room.size(connection)) + needed > self._max_size:
            if self._when_full == "refuse" or not self._drop(connection, now):
                raise OutboxFull(
                    f"the outbox {self.path} is full: {size:,} bytes are in use and {needed:,} more asked for, "
                    f"max_size is {self._max_size:,}"
                )

    def _drop(self, connection: sqlite3.Connection, now: float) -> bool:
        """Searching a large outbox in vain takes a while: not for every event that is refused."""
        if time.monotonic() < self._search_again:
            return False
        dropped = room.drop_oldest_done(connection, now)
        if not dropped:
            self._search_again = time.monotonic() + _NOTHING_TO_DROP
        return dropped > 0

    def listen(self, stored: Callable[[], None]) -> Callable[[], None]:  # noqa: ARG002 - SQLite tells nobody
        return lambda: None

    # Delivering ----------------------------------------------------------------------------------------------------

    def lead(self, sink: str) -> bool:
        try:
            return self._file.leads.take(sink)
        except OSError as error:
            raise OutboxUnavailable(f"the outbox {self.path} cannot be led: {error.strerror}") from error

    def resign(self, sink: str) -> None:
        self._file.leads.give(sink)

    def look(self, sink: str) -> Look:
        with self._file.connected() as connection:
            return read.look(connection, sink, self._clock())

    def claim(self, sink: str, limit: int, lease: float) -> list[Claim]:
        with self._file.transaction() as connection:
            if disabled.is_disabled(connection, sink):
                return []
            now = self._clock()
            ids = self._turns.take(connection, sink, limit, now, now + lease)
            return claims_of(connection, ids, now)

    def take(self, event_id: str, sink: str, lease: float) -> Claim | None:
        with self._file.transaction() as connection:
            now = self._clock()
            ids = unclaimed(connection, event_id, sink)
            hold(connection, ids, now + lease)
            return next(iter(claims_of(connection, ids, now)), None)

    def claim_overdue(self, sink: str, limit: int, lease: float, span: float) -> list[Claim]:
        with self._file.transaction() as connection:
            if disabled.is_disabled(connection, sink):
                return []
            now = self._clock()
            ids = breaker.overdue(connection, sink, limit, now, span)
            hold(connection, ids, now + lease)
            return claims_of(connection, ids, now)

    def settle(self, settlements: Sequence[Settlement]) -> int:
        self._search_again = 0.0
        with self._file.transaction() as connection:
            now = self._clock()
            held = settle(connection, settlements, now)
            disabled.disable(connection, settlements, now)
            return held

    def release(self, claims: Sequence[Claim]) -> None:
        with self._file.transaction() as connection:
            now = self._clock()
            connection.executemany(
                "UPDATE delivery SET due_at = ?, held_until = NULL WHERE id = ? AND fence = ? AND state = 'pending'",
                [(now, claim.id, claim.fence) for claim in claims],
            )

    def beat(self, pulse: Pulse) -> None:
        with self._file.transaction() as connection:
            dispatchers.beat(connection, pulse, self._clock())

    def leave(self, dispatcher: str) -> None:
        with self._file.transaction() as connection:
            dispatchers.leave(connection, dispatcher)

    def dispatchers(self) -> list[Dispatching]:
        with self._file.connected() as connection:
            return dispatchers.all_seen(connection, self._clock())

    # The breaker ---------------------------------------------------------------------------------------------------

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
        with self._file.transaction() as connection:
            now = self._clock()
            if erasing.are_erased(connection, about):
                reason, detail = GONE, {}
            breaker.open_(connection, sink, Breaker(now, now - failing_for, now + probe_in, 1, reason, detail))

    def take_probe(self, sink: str, wait: float) -> bool:
        with self._file.transaction() as connection:
            return breaker.take_probe(connection, sink, self._clock(), wait)

    def close_breaker(self, sink: str) -> int:
        with self._file.transaction() as connection:
            return breaker.close(connection, sink, self._clock())

    def breakers(self) -> dict[str, Breaker]:
        with self._file.connected() as connection:
            return breaker.all_open(connection, self._clock())

    # Sinks that are disabled ---------------------------------------------------------------------------------------

    def enable(self, sink: str) -> Disabled | None:
        with self._file.transaction() as connection:
            return disabled.enable(connection, sink, self._clock())

    def disabled(self) -> dict[str, Disabled]:
        with self._file.connected() as connection:
            return disabled.all_disabled(connection)

    # Replay --------------------------------------------------------------------------------------------------------

    def replayable(self, selection: Selection) -> Replayed:
        with self._file.reading() as connection:
            return replaying.count(connection, selection, self._clock())

    def begin_replay(self, selection: Selection, *, asked: str, by: str, anew: bool = False) -> Run:
        with self._file.transaction() as connection:
            return replaying.begin(connection, selection, asked, by, self._clock(), anew=anew)

    def replay(self, run: Run, *, by: str, after: int = 0, limit: int = 500) -> Replayed:
        with self._file.transaction() as connection:
            return replaying.replay(connection, run, by, self._clock(), after=after, limit=limit)

    def end_replay(self, run: Run) -> None:
        with self._file.transaction() as connection:
            replaying.end(connection, run)

    # Sinks made through the API ------------------------------------------------------------------------------------

    def sinks_revision(self) -> int:
        with self._file.connected() as connection:
            return sinks.revision(connection)

    def stored_sinks(self) -> list[StoredSink]:
        with self._file.connected() as connection:
            return sinks.stored(connection)

    def store_sink(
        self, name: str, type_name: str, settings: Mapping[str, Any], *, enabled: bool, revision: int | None = None
    ) -> StoredSink | None:
        sink = {"name": name, "type": type_name, "settings": settings, "enabled": enabled, "revision": revision}
        with self._file.transaction() as connection:
            return sinks.store(connection, sink, self._clock())

    def remove_sink(self, name: str, revision: int) -> bool:
        with self._file.transaction() as connection:
            return sinks.remove(connection, name, revision)

    def skip(self, sink: str, reason: str, limit: int = 2000) -> int:
        with self._file.transaction() as connection:
            return sinks.skip(connection, sink, reason, limit)

    # The ledger ----------------------------------------------------------------------------------------------------

    def record(self, counts: Mapping[LedgerKey, int]) -> None:
        with self._file.transaction() as connection:
            now = self._clock()
            connection.executemany(COUNT, [(*key, n, now, now) for key, n in counts.items()])

    def ledger(self) -> list[LedgerCount]:
        with self._file.reading() as connection:
            return read.ledger(connection)

    # Hooks ---------------------------------------------------------------------------------------------------------

    def record_hook_times(self, times: Mapping[TimeKey, Tally]) -> None:
        with self._file.transaction() as connection:
            hook_times.record(connection, times, self._clock())

    def hook_times(self) -> list[HookTime]:
        with self._file.reading() as connection:
            return hook_times.hook_times(connection, self._clock())

    # Time and room -------------------------------------------------------------------------------------------------

    def prune(self, retention: Retention, limit: int = 2000) -> Pruned:
        self._search_again = 0.0
        with self._file.transaction() as connection:
            return room.prune(connection, retention, limit, self._clock())

    def prunable(self, retention: Retention) -> Pruned:
        with self._file.reading() as connection:
            return room.prunable(connection, retention, self._clock())

    # Erasure -------------------------------------------------------------------------------------------------------

    def naming(self, names: Names, *, after: int = 0, limit: int = 500) -> list[StoredEvent]:
        with self._file.reading() as connection:
            return erasing.naming(connection, names, after, limit)

    def erasable(self, names: Names) -> Erased:
        with self._file.reading() as connection:
            connection.execute("BEGIN")  # one moment for all queries
            found = erasing.count(connection, erasing.find(connection, names))
            return found._replace(records=known(connection, names.user_ids))

    def erase(self, names: Names | str, tell: Tell = tell_nobody) -> Erased:
        names = Names((names,)) if isinstance(names, str) else names
        with self._file.reading() as connection:  # the long search keeps nobody waiting
            (last,) = connection.execute("SELECT coalesce(max(sequence), 0) FROM event").fetchone()
            found = erasing.find(connection, names)
        with self._file.transaction() as connection:
            since = erasing.find(connection, names, last, found)
            erased = erasing.erase(connection, {*found, *since})._replace(records=forget(connection, names.user_ids))
            sequences: list[int] = []
            if any(erased):
                traces.remember(connection)
                if entry := tell(erased):
                    sequences = insert(connection, [entry], self._clock(), self._given)
        self._given = max(self._given, *sequences, 0)  # once it is committed
        return erased

    def erase_deleted(self, limit: int = 100) -> Erased:
        with self._file.transaction() as connection:
            erased = erasing.erase_deleted(connection, limit)
            if any(erased):
                traces.remember(connection)
        return erased

    def scrub(self, rewrite_up_to: float = 0.0) -> list[str]:
        return traces.scrub(self._file, rewrite_up_to)

    # Looking -------------------------------------------------------------------------------------------------------

    def status(self) -> list[SinkStatus]:
        with self._file.reading() as connection:
            return read.status(connection, self._clock())

    def counts(self) -> tuple[int, int]:
        with self._file.reading() as connection:
            (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
        return events, read.bytes_on_disk(self.path)

    def stored_within(self, seconds: float) -> int:
        with self._file.reading() as connection:
            return read.stored_since(connection, self._clock() - seconds)

    def event_types(self) -> list[str]:
        with self._file.reading() as connection:
            return read.event_types(connection)

    def event(self, event_id: str) -> StoredEvent | None:
        with self._file.reading() as connection:
            return read.event(connection, event_id)

    def events(
        self,
        *,
        after: int | None = None,
        event_type: str | None = None,
        user_id: str | None = None,
        limit: int = 100,
        wanted: Wanted | None = None,
    ) -> list[StoredEvent]:
        wanted = wanted or Wanted(types=None if event_type is None else (event_type,), user_id=user_id)
        with self._file.reading() as connection:
            return read.events(connection, wanted, after, limit)

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
        types = None if event_type is None else (event_type,)
        wanted = wanted or Wanted(types=types, event_id=event_id, sink=sink, state=state, since=since)
        with self._file.reading() as connection:
            return read.deliveries(connection, wanted, after, limit)

    # Beside the events ---------------------------------------------------------------------------------------------

    @property
    def records(self) -> SqliteRecords:
        return self._records
