"""The shared store: a schema in a PostgreSQL database, for any number of hosts and dispatchers."""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any, TypeVar

from supertokens_events.forks import while_alive
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
    OutboxError,
    Pruned,
    Pulse,
    Retention,
    Settlement,
    SinkStatus,
    StoredDelivery,
    StoredEvent,
    StoredSink,
)
from supertokens_events.outbox.erasing import Names, Tell, tell_nobody
from supertokens_events.outbox.looking import Wanted
from supertokens_events.outbox.postgres import (
    append,
    claim,
    disabled,
    dispatchers,
    erasing,
    hook_times,
    reading,
    replaying,
    settle,
    sinks,
    traces,
    upkeep,
)
from supertokens_events.outbox.postgres.connections import Address, Connection, Connections
from supertokens_events.outbox.postgres.listener import Listener, Notifier
from supertokens_events.outbox.postgres.records import PostgresRecords
from supertokens_events.outbox.postgres.room import Room, WhenFull
from supertokens_events.outbox.postgres.schema import MISSING, Schema
from supertokens_events.outbox.replaying import Replayed, Run, Selection

__all__ = ["PostgresOutbox"]

T = TypeVar("T")


class _Process:
    """What one process holds. ``inherited`` is the parent's, which must be neither used nor closed here, not even by the
    garbage collector.
    """

    def __init__(self, outbox: PostgresOutbox, schema: Schema, inherited: _Process | None = None) -> None:
        self.pid = os.getpid()
        self.schema = schema
        self.connections: Connections | None = None
        self.lock = threading.Lock()
        self.turns: dict[str, str] = {}
        self.token = secrets.token_hex(8)
        self.notifier = Notifier(outbox.notify)
        self.inherited = inherited


class PostgresOutbox(Outbox):
    """An outbox in the schema ``schema`` of the database that ``url`` names, such as
    ``postgresql://user:password@host/database``; its own database or the app's.

    ``busy_timeout`` is how long in seconds one call waits: for a connection, for a lock, for an answer. ``connections`` is
    how many it opens at most, besides one for each :meth:`listen`. From ``max_size`` bytes on (``None``: no limit) new events
    are refused, or with ``when_full="drop_oldest_done"`` the oldest ones that nobody waits for make room. Raises ``ValueError``
    for a URL that is none.
    """

    def __init__(
        self,
        url: str,
        *,
        schema: str = "supertokens_events",
        max_size: int | None = None,
        when_full: WhenFull = "refuse",
        busy_timeout: float = 5.0,
        connections: int = 8,
    ) -> None:
        self.address = Address(url)
        self.name = self.address.text
        self._channel = schema
        self._patience = busy_timeout
        self._size = connections
        self._room = None if max_size is None else Room(max_size, when_full, self.name)
        self._process = _Process(self, Schema(schema, self.name, busy_timeout))
        os.register_at_fork(after_in_child=while_alive(self._start_anew))

    def __repr__(self) -> str:
        return f"PostgresOutbox({self.name!r})"

    # Connections ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        self._run(lambda _connection: None)

    def close(self) -> None:
        process = self._here()
        if process.notifier.take():
            with suppress(OutboxError):
                self.notify()
        with process.lock:
            connections, process.connections = process.connections, None
        if connections is not None:
            connections.close()

    def _connections(self) -> Connections:
        """This process's, none of them opened yet."""
        process = self._here()
        with process.lock:
            if process.connections is None:
                process.connections = Connections(
                    self.address, process.schema.prepare, size=self._size, patience=self._patience
                )
            return process.connections

    def _here(self) -> _Process:
        """This process's own. Not every server runs the hooks of a fork, so each call looks."""
        if self._process.pid != os.getpid():
            self._start_anew()
        return self._process

    def _start_anew(self) -> None:
        self._process = _Process(self, self._process.schema.for_child(), inherited=self._process)

    def _run(self, work: Callable[[Connection], T]) -> T:
        """Do ``work`` on a connection; once more when the tables were gone and are made anew."""
        with self._connections().one() as connection:
            try:
                return work(connection)
            except MISSING:
                self._here().schema.check(connection)
                return work(connection)

    # Storing -------------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> list[int]:
        if not entries:
            return []
        process = self._here()
        sequences = self._run(lambda connection: self._append(connection, entries))
        process.schema.saw(max(sequences))
        process.notifier.poke()
        return sequences

    def _append(self, connection: Connection, entries: Sequence[Entry]) -> list[int]:
        if self._room is not None:
            self._room.take(connection, entries)
        return append.append(connection, entries)

    def listen(self, stored: Callable[[], None]) -> Callable[[], None]:
        process = self._here()
        return Listener(self.address.conninfo(self._patience), self._channel, process.token, stored).end

    def notify(self) -> None:
        """Tell whoever listens in other processes that something was stored, unless :meth:`close` has done so."""
        process = self._here()
        connections = process.connections
        if connections is not None:
            with connections.one() as connection:
                connection.execute("SELECT pg_notify(%s, %s)", (self._channel, process.token))

    # Delivering ----------------------------------------------------------------------------------------------------

    def lead(self, sink: str) -> bool:  # noqa: ARG002 - the same for every sink
        return True

    def resign(self, sink: str) -> None:
        pass

    def look(self, sink: str) -> Look:
        return self._run(lambda connection: claim.look(connection, sink))

    def claim(self, sink: str, limit: int, lease: float) -> list[Claim]:
        turns = self._here().turns
        return self._run(lambda connection: claim.claim(connection, turns, sink, limit, lease))

    def take(self, event_id: str, sink: str, lease: float) -> Claim | None:
        return self._run(lambda connection: claim.take(connection, event_id, sink, lease))

    def claim_overdue(self, sink: str, limit: int, lease: float, span: float) -> list[Claim]:
        return self._run(lambda connection: claim.claim_overdue(connection, sink, limit, lease, span))

    def settle(self, settlements: Sequence[Settlement]) -> int:
        return self._run(lambda connection: settle.settle(connection, settlements)) if settlements else 0

    def release(self, claims: Sequence[Claim]) -> None:
        if claims:
            self._run(lambda connection: settle.release(connection, claims))

    def beat(self, pulse: Pulse) -> None:
        self._run(lambda connection: dispatchers.beat(connection, pulse))

    def leave(self, dispatcher: str) -> None:
        self._run(lambda connection: dispatchers.leave(connection, dispatcher))

    def dispatchers(self) -> list[Dispatching]:
        return self._run(dispatchers.all_seen)

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
        self._run(
            lambda connection: settle.open_breaker(connection, sink, (failing_for, probe_in), (reason, detail), about)
        )

    def take_probe(self, sink: str, wait: float) -> bool:
        return self._run(lambda connection: settle.take_probe(connection, sink, wait))

    def close_breaker(self, sink: str) -> int:
        return self._run(lambda connection: settle.close_breaker(connection, sink))

    def breakers(self) -> dict[str, Breaker]:
        return self._run(reading.breakers)

    # Sinks that are disabled ---------------------------------------------------------------------------------------

    def enable(self, sink: str) -> Disabled | None:
        return self._run(lambda connection: disabled.enable(connection, sink))

    def disabled(self) -> dict[str, Disabled]:
        return self._run(disabled.disabled)

    # Replay --------------------------------------------------------------------------------------------------------

    def replayable(self, selection: Selection) -> Replayed:
        return self._run(lambda connection: replaying.count(connection, selection))

    def begin_replay(self, selection: Selection, *, asked: str, by: str, anew: bool = False) -> Run:
        return self._run(lambda connection: replaying.begin(connection, selection, asked, by, anew=anew))

    def replay(self, run: Run, *, by: str, after: int = 0, limit: int = 500) -> Replayed:
        found = self._run(lambda connection: replaying.replay(connection, run, by, after=after, limit=limit))
        if found.due:
            self._here().notifier.poke()
        return found

    def end_replay(self, run: Run) -> None:
        self._run(lambda connection: replaying.end(connection, run))

    # Sinks made through the API ------------------------------------------------------------------------------------

    def sinks_revision(self) -> int:
        return self._run(sinks.revision)

    def stored_sinks(self) -> list[StoredSink]:
        return self._run(sinks.stored)

    def store_sink(
        self, name: str, type_name: str, settings: Mapping[str, Any], *, enabled: bool, revision: int | None = None
    ) -> StoredSink | None:
        sink = {"name": name, "type": type_name, "settings": settings, "enabled": enabled, "revision": revision}
        return self._run(lambda connection: sinks.store(connection, sink))

    def remove_sink(self, name: str, revision: int) -> bool:
        return self._run(lambda connection: sinks.remove(connection, name, revision))

    def skip(self, sink: str, reason: str, limit: int = 2000) -> int:
        return self._run(lambda connection: sinks.skip(connection, sink, reason, limit))

    # The ledger ----------------------------------------------------------------------------------------------------

    def record(self, counts: Mapping[LedgerKey, int]) -> None:
        if counts:
            self._run(lambda connection: upkeep.record(connection, counts))

    def ledger(self) -> list[LedgerCount]:
        return self._run(upkeep.ledger)

    # Hooks ---------------------------------------------------------------------------------------------------------

    def record_hook_times(self, times: Mapping[TimeKey, Tally]) -> None:
        self._run(lambda connection: hook_times.record(connection, times))

    def hook_times(self) -> list[HookTime]:
        return self._run(hook_times.hook_times)

    # Time and room -------------------------------------------------------------------------------------------------

    def prune(self, retention: Retention, limit: int = 2000) -> Pruned:
        return self._run(lambda connection: upkeep.prune(connection, retention, limit))

    def prunable(self, retention: Retention) -> Pruned:
        return self._run(lambda connection: upkeep.prunable(connection, retention))

    # Erasure -------------------------------------------------------------------------------------------------------

    def naming(self, names: Names, *, after: int = 0, limit: int = 500) -> list[StoredEvent]:
        return self._run(lambda connection: erasing.naming(connection, names, after, limit))

    def erasable(self, names: Names) -> Erased:
        return self._run(lambda connection: erasing.count(connection, names))

    def erase(self, names: Names | str, tell: Tell = tell_nobody) -> Erased:
        whom = Names((names,)) if isinstance(names, str) else names
        process = self._here()
        erased, sequences = self._run(lambda connection: erasing.erase(connection, whom, tell))
        if sequences:
            process.schema.saw(max(sequences))
            process.notifier.poke()
        return erased

    def erase_deleted(self, limit: int = 100) -> Erased:
        return self._run(lambda connection: erasing.erase_deleted(connection, limit))

    def scrub(self, rewrite_up_to: float = 0.0) -> list[str]:
        return self._run(lambda connection: traces.scrub(connection, rewrite_up_to))

    # Looking -------------------------------------------------------------------------------------------------------

    def status(self) -> list[SinkStatus]:
        return self._run(reading.status)

    def counts(self) -> tuple[int, int]:
        return self._run(lambda connection: (reading.count(connection), upkeep.size(connection)))

    def stored_within(self, seconds: float) -> int:
        return self._run(lambda connection: reading.stored_within(connection, seconds))

    def event_types(self) -> list[str]:
        return self._run(reading.event_types)

    def event(self, event_id: str) -> StoredEvent | None:
        return self._run(lambda connection: reading.event(connection, event_id))

    def events(
        self,
        *,
        after: int | None = None,
        event_type: str | None = None,
        user_id: str | None = None,
        limit: int = 100,
        wanted: Wanted | None = None,
    ) -> list[StoredEvent]:
        asked = wanted or Wanted(types=None if event_type is None else (event_type,), user_id=user_id)
        return self._run(lambda connection: reading.events(connection, asked, after, limit))

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
        asked = wanted or Wanted(types=types, event_id=event_id, sink=sink, state=state, since=since)
        return self._run(lambda connection: reading.deliveries(connection, asked, after, limit))

    # Beside the events ---------------------------------------------------------------------------------------------

    @property
    def records(self) -> PostgresRecords:
        return PostgresRecords(self._run)
