"""In an SQL database, through any driver with the DB-API 2.0 (PEP 249): for as many processes as reach it."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any, Protocol

from supertokens_events_webhook.receiver.deduplicate.contract import LEASE, REMEMBER, Claimed, Deduplicator

__all__ = ["Connection", "Driver", "SqlDeduplicator"]

_PRUNE_EVERY = 3600.0  # seconds
_TRIES = 10
_TABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?")

_PLACEHOLDERS: Mapping[str, Callable[[str, int], str]] = {
    "qmark": lambda _name, _number: "?",
    "format": lambda _name, _number: "%s",
    "numeric": lambda _name, number: f":{number}",
    "named": lambda name, _number: f":{name}",
    "pyformat": lambda name, _number: f"%({name})s",
}


class Connection(Protocol):
    """A connection as PEP 249 has it."""

    def cursor(self) -> Any: ...
    def commit(self) -> None: ...
    def rollback(self) -> None: ...
    def close(self) -> None: ...


class Driver(Protocol):
    """The module of a driver, such as ``psycopg``, ``pymysql`` or ``sqlite3``."""

    @property
    def paramstyle(self) -> str: ...
    @property
    def IntegrityError(self) -> type[Exception]: ...  # noqa: N802 - PEP 249's name


class SqlDeduplicator(Deduplicator):
    """Remembers in a table. ``connect`` gives a connection, which is closed after each use; SQLAlchemy's
    ``engine.raw_connection`` gives one of a pool. ``driver`` is the module that the connection is of.

    What the driver raises comes through: a receiver that cannot tell whether an event is a repeat answers 500, and the
    sender tries again.
    """

    def __init__(
        self,
        connect: Callable[[], Connection],
        driver: Driver,
        *,
        table: str = "webhook_events_handled",
        remember: float = REMEMBER,
        lease: float = LEASE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(remember=remember, lease=lease, now=now)
        if not _TABLE.fullmatch(table):
            raise ValueError(f"{table!r} is not the name of a table")
        if driver.paramstyle not in _PLACEHOLDERS:
            raise ValueError(f"the paramstyle {driver.paramstyle!r} is none of PEP 249's: {', '.join(_PLACEHOLDERS)}")
        self._connect = connect
        self._driver = driver
        self._table = table
        self._prune_at = 0.0

    def create_table(self) -> None:
        """Make the table, if it is not there. Once, when you deploy; or have your migrations do the same."""
        self._run(
            "CREATE TABLE IF NOT EXISTS {table} (id VARCHAR(255) NOT NULL PRIMARY KEY, token VARCHAR(32) NOT NULL, "
            "done SMALLINT NOT NULL, expires_at BIGINT NOT NULL)"
        )

    def claim(self, event_id: str, token: str) -> Claimed:
        self._prune()
        for _ in range(_TRIES):
            claimed = self._insert(event_id, token) or self._take_over(event_id, token) or self._look(event_id)
            if claimed is not None:  # else its holder has released it in this moment
                return claimed
        return Claimed.HELD

    def done(self, event_id: str, token: str) -> None:
        expires_at = self._milliseconds(self._remember)
        set_done = "UPDATE {table} SET token = {token}, done = 1, expires_at = {expires_at} WHERE id = {id}"
        if not self._run(set_done, token=token, expires_at=expires_at, id=event_id):
            # Pruned meanwhile, or taken over and released; handled it is.
            self._insert(event_id, token, done=1, expires_at=expires_at)

    def release(self, event_id: str, token: str) -> None:
        self._run("DELETE FROM {table} WHERE id = {id} AND token = {token} AND done = 0", id=event_id, token=token)

    def _insert(self, event_id: str, token: str, *, done: int = 0, expires_at: int | None = None) -> Claimed | None:
        """The key of the table lets only one do it."""
        insert = "INSERT INTO {table} (id, token, done, expires_at) VALUES ({id}, {token}, {done}, {expires_at})"
        until = self._milliseconds(self._lease) if expires_at is None else expires_at
        try:
            self._run(insert, id=event_id, token=token, done=done, expires_at=until)
        except self._driver.IntegrityError:
            return None
        return Claimed.FIRST

    def _take_over(self, event_id: str, token: str) -> Claimed | None:
        """What has expired: a lease, or a memory."""
        take = "UPDATE {table} SET token = {token}, done = 0, expires_at = {expires_at} WHERE id = {id} AND expires_at <= {now}"
        until = self._milliseconds(self._lease)
        taken = self._run(take, token=token, expires_at=until, id=event_id, now=self._milliseconds())
        return Claimed.FIRST if taken else None

    def _look(self, event_id: str) -> Claimed | None:
        with self._cursor("SELECT done FROM {table} WHERE id = {id}", {"id": event_id}) as cursor:
            row = cursor.fetchone()
        if row is None:
            return None
        return Claimed.DONE if row[0] else Claimed.HELD

    def _prune(self) -> None:
        """Now and then, what has expired."""
        now = self._now()
        if now >= self._prune_at:
            self._prune_at = now + _PRUNE_EVERY
            self._run("DELETE FROM {table} WHERE expires_at <= {now}", now=self._milliseconds())

    def _milliseconds(self, later: float = 0.0) -> int:
        return int((self._now() + later) * 1000)

    def _run(self, statement: str, **values: Any) -> int:
        """Run and commit; how many rows it changed."""
        with self._cursor(statement, values) as cursor:
            count: int = cursor.rowcount
        return count

    @contextmanager
    def _cursor(self, statement: str, values: Mapping[str, Any]) -> Iterator[Any]:
        sql, parameters = self._rendered(statement, values)
        with self._connection() as connection:
            try:
                with closing(connection.cursor()) as cursor:
                    cursor.execute(sql, parameters)
                    yield cursor
            except BaseException:
                connection.rollback()
                raise
            connection.commit()

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with closing(self._connect()) as connection:
            yield connection

    def _rendered(self, statement: str, values: Mapping[str, Any]) -> tuple[str, Mapping[str, Any] | Sequence[Any]]:
        """``{name}`` as the driver writes it, and the values in the shape that it wants."""
        style = self._driver.paramstyle
        names = [name for name in re.findall(r"\{(\w+)\}", statement) if name in values]
        places = {name: _PLACEHOLDERS[style](name, names.index(name) + 1) for name in values}
        sql = statement.format(table=self._table, **places)
        return sql, dict(values) if style in {"named", "pyformat"} else [values[name] for name in names]
