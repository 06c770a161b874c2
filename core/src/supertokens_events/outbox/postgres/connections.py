"""This process's connections to PostgreSQL: a few, opened when they are needed, and what becomes of their errors.

There is no thread here, so a fork carries none across: a child makes an object of its own and leaves the parent's alone.
"""

from __future__ import annotations

import math
import queue
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg.rows import TupleRow

from supertokens_events.outbox.contract import OutboxError, OutboxUnavailable

__all__ = ["Address", "Connection", "Connections"]

T = TypeVar("T")

_NETWORK_DELAY = 1.0  # seconds after the server's own limit until we give up on an answer

_LEISURE = 12  # times the patience

# Classes of SQLSTATE, and some of their members, for which the same call may succeed later.
_NOT_NOW = (
    *("08", "40", "53", "57", "58"),  # connection, rolled back, no room or memory or connection left, stopped, I/O
    *("25006", "55P03", "28", "3D000", "42501"),  # read-only, locked, who it is, no such database, not allowed
)
_WHAT_NEXT = {
    "28": "check the user and the password in the outbox's url",
    "3D000": "create that database, or correct the outbox's url",
    "42501": "have the owner of the database grant it",
    "25006": "it looks like a standby: let the outbox's url name the primary",
    "53100": "make room on the server's disk",
    "53300": "raise the server's max_connections, or run fewer processes",
}
# libpq gives no SQLSTATE for a connection that was refused; this is what the server says instead.
_REFUSALS = {
    "password authentication failed": "28",
    "no password supplied": "28",
    "no pg_hba.conf entry": "28",
    "too many": "53300",
    "remaining connection slots": "53300",
    "FATAL:  role ": "28",
    "FATAL:  database ": "3D000",
}


class Address:
    """Where the server is. Its text and its ``repr`` hold no password.

    Raises ``ValueError``, which does not repeat ``url``, when it is none.
    """

    def __init__(self, url: str) -> None:
        try:
            parts = conninfo_to_dict(url)
        except psycopg.Error:  # its text repeats parts of the URL
            raise ValueError("expected 'postgresql://user@host:5432/database'") from None
        self._parts = {name: value for name, value in parts.items() if value is not None}
        place = ":".join(str(self._parts[name]) for name in ("host", "port") if name in self._parts)
        user = f"{self._parts['user']}@" if "user" in self._parts else ""
        self.text = f"postgresql://{user}{place}/{self._parts.get('dbname', '')}"

    def __repr__(self) -> str:
        return f"Address({self.text!r})"

    def conninfo(self, patience: float) -> str:
        """What libpq connects with, so that a server that is gone is noticed within ``patience`` seconds."""
        defaults: dict[str, Any] = {
            "application_name": "supertokens-events",
            "connect_timeout": max(2, math.ceil(patience)),
            "keepalives_idle": 60,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": int((patience + _NETWORK_DELAY) * 1000),
        }
        return make_conninfo("", **{**defaults, **self._parts, "client_encoding": "utf8"})

    def unavailable(self, why: str) -> OutboxUnavailable:
        """The error that says ``why`` this outbox cannot be used now."""
        return OutboxUnavailable(f"the outbox {self.text} cannot be used: {self._clean(why)}")

    def error(self, error: psycopg.Error) -> OutboxError:
        """What ``error`` means to whoever uses the outbox: what is wrong, without the values that were to be stored."""
        state = error.sqlstate or ""
        if error.diag.message_primary is None and isinstance(error, psycopg.DataError | psycopg.ProgrammingError):
            return OutboxError(f"the outbox {self.text} cannot hold a value: {self._clean(_first_line(error))}")
        why = error.diag.message_primary or _first_line(error)
        if not state:
            state = next((state for text, state in _REFUSALS.items() if text in why), "")
        hint = next((f"; {hint}" for known, hint in _WHAT_NEXT.items() if state.startswith(known)), "")
        lost = not error.sqlstate and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
        kind = OutboxUnavailable if lost or state.startswith(_NOT_NOW) else OutboxError
        return kind(f"the outbox {self.text} cannot be used: {self._clean(why)}{hint}")

    def _clean(self, text: str) -> str:
        """No library of ours puts a password into an error. Should one begin to: it ends here."""
        for name in ("password", "sslpassword"):
            if secret := self._parts.get(name):
                text = text.replace(str(secret), "***")
        return text


class Connection(psycopg.Connection[TupleRow]):
    """A connection that waits ``patience`` seconds for an answer and no longer: the server's own limits are of no use when
    it hangs or the network swallows packets.
    """

    patience = math.inf

    def wait(self, gen: PQGen[T], *args: Any, **options: Any) -> T:
        return super().wait(self._bounded(gen), *args, **options)

    def _bounded(self, gen: PQGen[T]) -> PQGen[T]:
        deadline = time.monotonic() + self.patience
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if not ready and time.monotonic() > deadline:
                    raise psycopg.OperationalError("the server does not answer")
                wanted = gen.send(ready)
        except StopIteration as end:
            value: T = end.value
            return value

    @contextmanager
    def at_leisure(self) -> Iterator[None]:
        """A transaction whose statements may take longer: for somebody who looks at everything there is."""
        patience = self.patience
        self.patience *= _LEISURE
        try:
            with self.transaction():
                self.execute(f"SET LOCAL statement_timeout = {int(self.patience * 1000)}".encode())
                yield
        finally:
            self.patience = patience

    def is_alive(self) -> bool:
        """Whether it looks usable without asking the server: what ends a connection makes its socket readable."""
        if self.closed or self.pgconn.transaction_status != TransactionStatus.IDLE:
            return False
        poll = select.poll()
        poll.register(self.fileno(), select.POLLIN)
        return not poll.poll(0)


class Connections:
    """Up to ``size`` connections for the threads of one process. Whoever finds them all busy waits ``patience`` seconds.

    ``prepare`` is called with each new one.
    """

    def __init__(self, address: Address, prepare: Callable[[Connection], None], *, size: int, patience: float) -> None:
        self._address = address
        self._prepare = prepare
        self._size = size
        self._patience = patience
        self._closed = False
        self._slots: queue.LifoQueue[Connection | None] = queue.LifoQueue()
        for _ in range(size):
            self._slots.put(None)

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection for the caller alone, outside a transaction. Every error is an :class:`OutboxError`."""
        try:
            connection = self._slots.get(timeout=self._patience)
        except queue.Empty:
            raise self._address.unavailable(
                f"its {self._size} connections were all busy for {self._patience} s"
            ) from None
        try:
            with self._translated():
                if connection is not None and not connection.is_alive():
                    connection.close()
                    connection = None
                if connection is None:
                    connection = self._connect()
                yield connection
        finally:
            self._slots.put(self._keep(connection))
            if self._closed:
                self.close()

    def close(self) -> None:
        """Close those that nobody uses now, and the others when they come back."""
        self._closed = True
        idle: list[Connection | None] = []
        with suppress(queue.Empty):
            while True:
                idle.append(self._slots.get_nowait())
        for connection in idle:
            if connection is not None:
                connection.close()
            self._slots.put(None)  # whoever is just coming connects anew, and closes that again

    def _connect(self) -> Connection:
        connection = Connection.connect(self._address.conninfo(self._patience), autocommit=True)
        connection.patience = self._patience + _NETWORK_DELAY
        try:
            self._prepare(connection)
        except BaseException:
            connection.close()
            raise
        return connection

    def _keep(self, connection: Connection | None) -> Connection | None:
        if connection is None or connection.closed:
            return None
        if connection.pgconn.transaction_status != TransactionStatus.IDLE:
            connection.close()
            return None
        return connection

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            raise self._address.error(error) from None
        except (UnicodeEncodeError, OverflowError) as error:
            raise OutboxError(f"the outbox {self._address.text} cannot hold a value: {type(error).__name__}") from None


def _first_line(error: psycopg.Error) -> str:
    """The end of the first line is what the server said: libpq puts where and how it tried in front."""
    return next(iter(str(error).splitlines()), type(error).__name__).removeprefix("connection failed: ")
