"""The store's tables on the server: made when they are missing, brought to this version, and known again."""

from __future__ import annotations

import threading
from importlib import resources

import psycopg
from psycopg import sql

from supertokens_events.ledger import LedgerKey, Reason
from supertokens_events.log import get_logger
from supertokens_events.outbox.contract import OutboxError, OutboxUnavailable
from supertokens_events.outbox.postgres.connections import Connection
from supertokens_events.outbox.postgres.upkeep import record

__all__ = ["MISSING", "Schema"]

log = get_logger(__name__)

MISSING = (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName)
"""What a server says whose tables are gone."""

# Indexes say where every row is; the planner must not decide otherwise while its statistics are of an empty table.
_SETTINGS = """
SET search_path = {schema};
SET statement_timeout = {milliseconds};
SET lock_timeout = {milliseconds};
SET idle_in_transaction_session_timeout = {milliseconds};
SET default_transaction_isolation = 'read committed';
SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
SET jit = off
"""


class Schema:
    """The schema ``name``, as this process has seen it. ``store`` is how errors and records call the outbox."""

    def __init__(self, name: str, store: str, patience: float) -> None:
        self.name = name
        self._store = store
        self._milliseconds = max(1, int(patience * 1000))
        self._lock = threading.Lock()
        self._identity: int | None = None
        self._sequence = 0

    def for_child(self) -> Schema:
        """The same for a child of a fork, with a lock of its own."""
        child = Schema(self.name, self._store, self._milliseconds / 1000)
        child._identity, child._sequence = self._identity, self._sequence
        return child

    def saw(self, sequence: int) -> None:
        """Remember the last sequence that was given."""
        self._sequence = max(self._sequence, sequence)

    def prepare(self, connection: Connection) -> None:
        """Set up a connection, and make sure that what it leads to is this outbox's store, of this version."""
        settings = sql.SQL(_SETTINGS).format(schema=sql.Identifier(self.name), milliseconds=self._milliseconds)
        connection.execute(settings)
        self.check(connection)

    def check(self, connection: Connection) -> None:
        """Make the tables that are missing, and say so when others were there before."""
        self._must_be_ours(connection)
        given = self._sequence  # before looking: what another thread is given meanwhile proves nothing
        facts = _facts(connection)
        if facts.get("schema_version") != _latest():
            self._migrate(connection)
            facts = _facts(connection)
        with self._lock:
            self._compare(connection, facts["identity"], facts["sequence"], given)

    def _compare(self, connection: Connection, identity: int, sequence: int, given: int) -> None:
        """A server that took another's place may come without the last events, or without any. What was given out before
        is not given again: whoever reads on after a sequence would miss it.
        """
        another = self._identity not in (None, identity)
        if another or sequence < given:
            log.error(
                "The outbox has lost events: its server came back without them.",
                outbox=self._store,
                begun_anew=another,
                sequence=sequence,
                sequence_before=given,
            )
            with connection.transaction():
                connection.execute(
                    "UPDATE meta SET value = greatest(value, %s) WHERE key = 'sequence'", (self._sequence,)
                )
                record(connection, {LedgerKey(Reason.OUTBOX_DAMAGED, self._store, ""): 1})
        self._identity = identity
        self._sequence = max(sequence, self._sequence)

    def _must_be_ours(self, connection: Connection) -> None:
        """A pool that gives each transaction another connection gives it one without our settings: tables would be looked for,
        and made, in somebody else's schema.
        """
        row = connection.execute("SELECT array_remove(current_schemas(false), %s)", (self.name,)).fetchone()
        if row is None or row[0]:
            raise OutboxUnavailable(
                f"the outbox {self._store} cannot be used: a connection does not keep its settings, as behind a pool in "
                "transaction or statement mode; connect to the server directly, or have the pool in session mode"
            )

    def _migrate(self, connection: Connection) -> None:
        """One numbered SQL file after the other, in one transaction that only one process has at a time."""
        try:
            with connection.transaction():
                connection.execute(
                    "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (f"supertokens-events {self.name}",)
                )
                self._must_be_ours(connection)
                self._make_schema(connection)
                self._apply(connection)
        except (psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidSchemaName) as error:
            user = connection.info.user
            raise OutboxUnavailable(
                f"the outbox {self._store} cannot be used: {error.diag.message_primary}; have the owner of the database "
                f'run: CREATE SCHEMA "{self.name}" AUTHORIZATION "{user}"'
            ) from None

    def _make_schema(self, connection: Connection) -> None:
        """``IF NOT EXISTS`` would ask for the right to create one even where it is there."""
        if connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self.name,)).fetchone() is None:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.name)))

    def _apply(self, connection: Connection) -> None:
        found = _facts(connection).get("schema_version", 0)
        if found > _latest():
            raise OutboxError(
                f"the outbox {self._store} has schema version {found}, this supertokens-events knows {_latest()}: "
                "upgrade supertokens-events, or use another database"
            )
        for number, text in _steps():
            if number > found:
                connection.execute(text.encode())
                connection.execute(
                    "INSERT INTO meta (key, value) VALUES ('schema_version', %s) "
                    "ON CONFLICT (key) DO UPDATE SET value = excluded.value",
                    (number,),
                )


def _facts(connection: Connection) -> dict[str, int]:
    """What the store says about itself; nothing when it is not there."""
    if connection.execute("SELECT to_regclass('meta')").fetchone() == (None,):
        return {}
    return dict(connection.execute("SELECT key, value FROM meta").fetchall())


def _steps() -> list[tuple[int, str]]:
    files = (resources.files("supertokens_events.outbox.sql") / "postgres").iterdir()
    return sorted(
        (int(file.name[:4]), file.read_text(encoding="utf-8")) for file in files if file.name.endswith(".sql")
    )


def _latest() -> int:
    return _steps()[-1][0]
