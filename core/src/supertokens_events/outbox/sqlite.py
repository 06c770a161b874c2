"""The embedded store: one SQLite file in WAL mode, on a local disk, shared by the processes of one machine."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib import resources
from pathlib import Path
from typing import Any

from supertokens_events.event import iso_timestamp, with_sequence
from supertokens_events.ledger import LedgerKey
from supertokens_events.outbox.contract import (
    Attempt,
    Claim,
    DeliveryState,
    Entry,
    LedgerCount,
    Outbox,
    OutboxError,
    OutboxUnavailable,
    Settlement,
    SinkStatus,
    StoredDelivery,
    StoredEvent,
)
from supertokens_events.sink import Delivery

__all__ = ["SqliteOutbox"]

_NOT_NOW = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
_LOCK_POLL = 0.01  # seconds
_EVENT_COLUMNS = "sequence, id, type, timestamp, tenant_id, user_id, correlation_id, stored_at, payload"


class _Process:
    """What one process holds: its connection, the lock before it, and the lock before queries."""

    def __init__(self, inherited: _Process | None = None) -> None:
        self.pid = os.getpid()
        self.connection: sqlite3.Connection | None = None
        self.writing = threading.Lock()
        self.reading = threading.Lock()
        self.inherited = inherited  # the parent's, which must not be closed here, not even by the garbage collector

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class SqliteOutbox(Outbox):
    """An outbox in the file ``path``. With ``durability="full"`` it also survives a power cut, at one sync per commit.

    ``busy_timeout`` is how long in seconds one call waits for another process's lock. ``clock`` gives seconds since the
    epoch.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        durability: str = "normal",
        busy_timeout: float = 5.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = Path(path)
        self._synchronous = "FULL" if durability == "full" else "NORMAL"
        self._busy_timeout = busy_timeout
        self._clock = clock
        self._process = _Process()
        self._held: list[threading.Lock] = []
        os.register_at_fork(
            before=_while_alive(self._let_go),
            after_in_parent=_while_alive(self._go_on),
            after_in_child=_while_alive(self._start_anew),
        )

    def __repr__(self) -> str:
        return f"SqliteOutbox({str(self.path)!r})"

    # Connections ---------------------------------------------------------------------------------------------------

    def open(self) -> None:
        with self._transaction():
            pass

    def close(self) -> None:
        process = self._here()
        with process.writing:
            process.disconnect()

    def _here(self) -> _Process:
        """This process's own. Not every server runs the hooks of a fork, so each call looks."""
        if self._process.pid != os.getpid():
            self._start_anew()
        return self._process

    def _start_anew(self) -> None:
        self._process = _Process(inherited=self._process)

    def _let_go(self) -> None:
        """Before a fork: close. A child that has inherited SQLite's memory of an open file locks nothing when it opens that
        file itself, so its commits would be lost, or it waits for ever for a lock that nobody holds.
        """
        process = self._here()
        self._held = [
            lock for lock in (process.reading, process.writing) if lock.acquire(timeout=self._busy_timeout + 1)
        ]
        if process.writing in self._held:
            process.disconnect()

    def _go_on(self) -> None:
        for lock in self._held:
            lock.release()

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        """The one connection that writes, for one thread at a time."""
        process = self._here()
        with process.writing, self._translated():
            if process.connection is None:
                process.connection = self._connect()
            yield process.connection

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """The same, inside ``BEGIN IMMEDIATE … COMMIT``."""
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for a query, so that a long one never makes an append wait."""
        with self._connected():
            pass
        with self._here().reading, self._translated():
            connection = self._raw()
            try:
                yield connection
            finally:
                connection.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            code = getattr(error, "sqlite_errorcode", 0) & 0xFF
            kind = OutboxUnavailable if code in _NOT_NOW else OutboxError
            raise kind(f"the outbox {self.path} cannot be used: {error}") from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise OutboxError(f"the outbox {self.path} cannot hold a value: {type(error).__name__}") from None

    def _raw(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.path, timeout=self._busy_timeout, isolation_level=None, check_same_thread=False
        )
        connection.row_factory = sqlite3.Row
        return connection

    def _connect(self) -> sqlite3.Connection:
        self._make_private()
        connection = self._raw()
        try:
            self._use_wal(connection)
            for pragma in (
                f"synchronous={self._synchronous}",
                "foreign_keys=ON",
                "temp_store=MEMORY",
                "cache_size=-16000",
                "journal_size_limit=67108864",
            ):
                connection.execute(f"PRAGMA {pragma}")
            migrate(connection, self.path)
        except BaseException:
            connection.close()
            raise
        return connection

    def _use_wal(self, connection: sqlite3.Connection) -> None:
        """SQLite itself does not wait when another process changes a new file to WAL at the same moment."""
        deadline = time.monotonic() + self._busy_timeout
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(_LOCK_POLL)
            else:
                return

    def _make_private(self) -> None:
        """Events hold personal data: the file is readable by its owner only (SQLite gives its WAL the same mode).

        A file that is there is not touched: closing it would give up the locks of every other connection in this process.
        """
        try:
            with suppress(FileExistsError):
                os.close(os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as error:
            raise OutboxUnavailable(f"the outbox {self.path} cannot be written: {error.strerror}") from error

    # Writing -------------------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry]) -> list[int]:
        with self._transaction() as connection:
            now = self._clock()
            (last,) = connection.execute(
                "UPDATE meta SET value = value + ? WHERE key = 'sequence' RETURNING value", (len(entries),)
            ).fetchone()
            sequences = list(range(last - len(entries) + 1, last + 1))
            connection.executemany(
                f"INSERT INTO event ({_EVENT_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                [_event_row(entry, sequence, now) for entry, sequence in zip(entries, sequences, strict=True)],
            )
            connection.executemany(
                "INSERT INTO delivery (sequence, sink, state, due_at, reason) VALUES (?, ?, ?, ?, ?)",
                [
                    (sequence, delivery.sink, delivery.state, now, delivery.reason)
                    for entry, sequence in zip(entries, sequences, strict=True)
                    for delivery in entry.deliveries
                ],
            )
        return sequences

    def claim(self, sink: str, limit: int, lease: float) -> list[Claim]:
        with self._transaction() as connection:
            now = self._clock()
            ids = [
                row["id"]
                for row in connection.execute(
                    "SELECT id FROM delivery WHERE sink = ? AND state = 'pending' AND due_at <= ? ORDER BY due_at, id LIMIT ?",
                    (sink, now, limit),
                )
            ]
            connection.executemany(
                "UPDATE delivery SET due_at = ?, fence = fence + 1 WHERE id = ?", [(now + lease, id_) for id_ in ids]
            )
            rows = [connection.execute(_CLAIMED, (id_,)).fetchone() for id_ in ids]
            erased = [(row["id"],) for row in rows if row["payload"] is None]
            connection.executemany("UPDATE delivery SET state = 'dead', reason = 'erased' WHERE id = ?", erased)
        return [_claim(row) for row in rows if row["payload"] is not None]

    def settle(self, settlements: Sequence[Settlement]) -> int:
        with self._transaction() as connection:
            return sum(_settle(connection, settlement) for settlement in settlements)

    def release(self, claims: Sequence[Claim]) -> None:
        with self._transaction() as connection:
            now = self._clock()
            connection.executemany(
                "UPDATE delivery SET due_at = ? WHERE id = ? AND fence = ? AND state = 'pending'",
                [(now, claim.id, claim.fence) for claim in claims],
            )

    def record(self, counts: Mapping[LedgerKey, int]) -> None:
        with self._transaction() as connection:
            now = self._clock()
            connection.executemany(
                "INSERT INTO ledger (reason, subject, event_type, count, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?) "
                "ON CONFLICT DO UPDATE SET count = count + excluded.count, last_at = excluded.last_at",
                [(*key, n, now, now) for key, n in counts.items()],
            )

    # Reading -------------------------------------------------------------------------------------------------------

    def next_due(self, sink: str) -> float | None:
        with self._connected() as connection:
            (due_at,) = connection.execute(
                "SELECT min(due_at) FROM delivery WHERE sink = ? AND state = 'pending'", (sink,)
            ).fetchone()
        return None if due_at is None else float(due_at)

    def ledger(self) -> list[LedgerCount]:
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT reason, subject, event_type, count, first_at, last_at FROM ledger ORDER BY last_at DESC"
            )
            return [LedgerCount(*row) for row in rows]

    def status(self) -> list[SinkStatus]:
        with self._reading() as connection:
            return [SinkStatus(**row) for row in connection.execute(_STATUS, {"now": self._clock()})]

    def counts(self) -> tuple[int, int]:
        with self._reading() as connection:
            (events,) = connection.execute("SELECT count(*) FROM event").fetchone()
        return events, sum(map(_size, (self.path, *(Path(f"{self.path}{suffix}") for suffix in ("-wal", "-shm")))))

    def event(self, event_id: str) -> StoredEvent | None:
        with self._reading() as connection:
            row = connection.execute(f"SELECT {_EVENT_COLUMNS} FROM event WHERE id = ?", (event_id,)).fetchone()
        return StoredEvent(*row) if row else None

    def events(
        self, *, after: int | None = None, event_type: str | None = None, user_id: str | None = None, limit: int = 100
    ) -> list[StoredEvent]:
        where, values = _where({"sequence > ?": after, "type = ?": event_type, "user_id = ?": user_id})
        order = "DESC" if after is None else "ASC"
        with self._reading() as connection:
            rows = connection.execute(
                f"SELECT {_EVENT_COLUMNS} FROM event {where} ORDER BY sequence {order} LIMIT ?", (*values, limit)
            ).fetchall()
        return sorted((StoredEvent(*row) for row in rows), key=lambda event: event.sequence)

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
        where, values = _where(
            {
                "event.id = ?": event_id,
                "sink = ?": sink,
                "state = ?": state,
                "event.type = ?": event_type,
                "event.stored_at >= ?": since,
            }
        )
        with self._reading() as connection:
            rows = connection.execute(
                f"{_DELIVERIES} {where} ORDER BY delivery.sequence DESC, delivery.id DESC LIMIT ?", (*values, limit)
            ).fetchall()
            return [_stored_delivery(row, connection) for row in reversed(rows)]


_CLAIMED = """
SELECT delivery.id, fence, used, sink, event.id AS event_id, type, sequence, tenant_id, user_id, payload,
       (SELECT count(*) FROM attempt WHERE attempt.delivery = delivery.id) AS tries
FROM delivery JOIN event USING (sequence) WHERE delivery.id = ?
"""

_DELIVERIES = """
SELECT delivery.id, delivery.sequence, event.id AS event_id, event.type AS event_type, sink, state, used, due_at, reason
FROM delivery JOIN event USING (sequence)
"""

_STATUS = """
SELECT sink,
       count(*) FILTER (WHERE state = 'pending') AS pending,
       count(*) FILTER (WHERE state = 'pending' AND due_at <= :now) AS due,
       count(*) FILTER (WHERE state = 'done') AS done,
       count(*) FILTER (WHERE state = 'dead') AS dead,
       count(*) FILTER (WHERE state = 'skipped') AS skipped,
       min(stored_at) FILTER (WHERE state = 'pending') AS oldest,
       (SELECT max(started_at) FROM attempt JOIN delivery AS d ON d.id = attempt.delivery
        WHERE d.sink = delivery.sink AND outcome = 'delivered') AS last_success,
       (SELECT max(started_at) FROM attempt JOIN delivery AS d ON d.id = attempt.delivery
        WHERE d.sink = delivery.sink AND outcome <> 'delivered') AS last_failure,
       (SELECT attempt.reason FROM attempt JOIN delivery AS d ON d.id = attempt.delivery
        WHERE d.sink = delivery.sink AND outcome <> 'delivered' ORDER BY started_at DESC LIMIT 1) AS last_reason
FROM delivery JOIN event USING (sequence) GROUP BY sink ORDER BY sink
"""


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the store to this version, one numbered SQL file after the other, each in its own transaction.

    Raises :class:`OutboxError` for a store that a newer version has made.
    """
    steps = sorted(
        (file for file in resources.files("supertokens_events.outbox.sql").iterdir() if file.name.endswith(".sql")),
        key=lambda f: f.name,
    )
    latest = int(steps[-1].name[:4])
    if _version(connection) == latest:
        return
    for step in steps:
        connection.execute("BEGIN EXCLUSIVE")  # another process may be doing the same: look again under the lock
        try:
            if _version(connection) == int(step.name[:4]) - 1:
                _run(connection, step.read_text(encoding="utf-8"))
                connection.execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES ('schema_version', ?)", (int(step.name[:4]),)
                )
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
    if (found := _version(connection)) > latest:
        raise OutboxError(
            f"the outbox {path} has schema version {found}, this supertokens-events knows {latest}: "
            "upgrade supertokens-events, or use another file"
        )


def _version(connection: sqlite3.Connection) -> int:
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone() is None:
        return 0
    row = connection.execute("SELECT value FROM meta WHERE key = 'schema_version'").fetchone()
    return int(row[0]) if row else 0


def _run(connection: sqlite3.Connection, script: str) -> None:
    """``executescript`` would commit first; this keeps the script inside our transaction."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            connection.execute(statement)
            statement = ""


def _event_row(entry: Entry, sequence: int, now: float) -> tuple[Any, ...]:
    event = entry.event
    timestamp = iso_timestamp(event.timestamp)
    body = with_sequence(entry.body, sequence)
    return sequence, event.id, event.type, timestamp, event.tenant_id, event.user_id, event.correlation_id, now, body


def _claim(row: sqlite3.Row) -> Claim:
    delivery = Delivery(
        sink=row["sink"],
        event_id=row["event_id"],
        event_type=row["type"],
        sequence=row["sequence"],
        tenant_id=row["tenant_id"],
        user_id=row["user_id"],
        body=row["payload"],
        attempt=row["tries"] + 1,
    )
    return Claim(row["id"], row["fence"], row["used"], delivery)


def _settle(connection: sqlite3.Connection, settlement: Settlement) -> bool:
    claim = settlement.claim
    held = connection.execute(
        "UPDATE delivery SET state = ?, used = ?, due_at = ?, reason = ? WHERE id = ? AND fence = ? AND state = 'pending'",
        (settlement.state, settlement.used, settlement.due_at, settlement.reason, claim.id, claim.fence),
    ).rowcount
    if held:
        connection.execute(
            "INSERT INTO attempt (delivery, number, started_at, duration, outcome, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                claim.id,
                claim.delivery.attempt,
                settlement.started_at,
                settlement.duration,
                settlement.outcome,
                settlement.reason,
                json.dumps(dict(settlement.detail), default=str),
            ),
        )
    return bool(held)


def _stored_delivery(row: sqlite3.Row, connection: sqlite3.Connection) -> StoredDelivery:
    attempts = connection.execute(
        "SELECT number, started_at, duration, outcome, reason, detail FROM attempt WHERE delivery = ? ORDER BY number",
        (row["id"],),
    )
    return StoredDelivery(
        sequence=row["sequence"],
        event_id=row["event_id"],
        event_type=row["event_type"],
        sink=row["sink"],
        state=DeliveryState(row["state"]),
        used=row["used"],
        due_at=row["due_at"],
        reason=row["reason"],
        attempts=tuple(_attempt(attempt) for attempt in attempts),
    )


def _attempt(row: sqlite3.Row) -> Attempt:
    number, started_at, duration, outcome, reason, detail = row
    return Attempt(number, started_at, duration, outcome, reason, json.loads(detail))


def _where(conditions: Mapping[str, Any]) -> tuple[str, list[Any]]:
    """A WHERE clause of the conditions that have a value, and those values."""
    given = {condition: value for condition, value in conditions.items() if value is not None}
    return ("WHERE " + " AND ".join(given) if given else ""), list(given.values())


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:  # the last one to close takes the WAL away
        return 0


def _while_alive(method: Callable[[], None]) -> Callable[[], None]:
    """``method``, and nothing once its object is gone: what is registered for a fork stays registered."""
    reference = weakref.WeakMethod(method)

    def call() -> None:
        bound = reference()
        if bound is not None:
            bound()

    return call
