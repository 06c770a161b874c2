"""The life of the SQLite file: how it is made, opened, locked, carried over a fork, followed when it is moved, and set aside
when it is damaged.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from supertokens_events.forks import while_alive
from supertokens_events.ledger import Reason
from supertokens_events.log import get_logger
from supertokens_events.outbox.contract import OutboxError, OutboxUnavailable
from supertokens_events.outbox.mounts import network_file_system
from supertokens_events.outbox.sqlite.aside import (
    COMPANIONS,
    MOVED,
    Identity,
    beside,
    identity,
    is_damage,
    set_aside,
    was_set_aside,
)
from supertokens_events.outbox.sqlite.lock import FileLock, Leads
from supertokens_events.outbox.sqlite.schema import migrate

__all__ = ["CHECKPOINT", "COUNT", "SqliteFile"]

log = get_logger(__name__)

COUNT = (
    "INSERT INTO ledger (reason, subject, event_type, count, first_at, last_at) VALUES (?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO UPDATE SET count = count + excluded.count, last_at = excluded.last_at"
)
"""Add to the ledger."""

CHECKPOINT = 1000
"""Pages of a WAL that a commit brings into the file: a few milliseconds, which are nobody's while deliveries are settled."""

_NOT_NOW = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
)
_LOCK_POLL = 0.01  # seconds
_CHECK = 0.2  # seconds that the check of a file may take
_CHECK_STEPS = 10_000  # of SQLite's, between two looks at the time


class _Process:
    """What one process holds: its connection and its locks."""

    def __init__(self, path: Path, inherited: _Process | None = None) -> None:
        self.pid = os.getpid()
        self.connection: sqlite3.Connection | None = None
        self.identity: Identity = inherited.identity if inherited else None
        self.wal: Identity = None
        self.followed = False  # it has gone on to another file, and that has not been counted yet
        self.writing = threading.Lock()
        self.reading = threading.Lock()
        self.file_lock = FileLock(path.with_name(f"{path.name}-lock"))
        self.leads = Leads(path)
        self.inherited = inherited  # the parent's, which must not be closed here, not even by the garbage collector
        if inherited is not None:
            inherited.file_lock.forget()
            inherited.leads.close()

    def disconnect(self) -> None:
        if self.connection is not None:
            self.connection.close()
            self.connection = None


class SqliteFile:
    """The file ``path``: transactions on it for any thread of any process.

    ``synchronous`` is SQLite's, ``busy_timeout`` is how long in seconds one call waits for another process, ``clock`` gives
    seconds since the epoch.
    """

    def __init__(self, path: Path, *, synchronous: str, busy_timeout: float, clock: Callable[[], float]) -> None:
        self.path = path
        self._synchronous = synchronous
        self._busy_timeout = busy_timeout
        self._clock = clock
        self._checked = False
        self._process = _Process(path)
        self._held: list[threading.Lock] = []
        os.register_at_fork(
            before=while_alive(self._let_go),
            after_in_parent=while_alive(self._go_on),
            after_in_child=while_alive(self._start_anew),
        )

    # What the store uses -------------------------------------------------------------------------------------------

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """The one connection of this process, for one thread at a time, to look something up."""
        process = self._here()
        with process.writing, self._translated(), self._watched(process):
            if process.connection is None or process.identity != identity(self.path):
                self._enter(process)
                process.file_lock.release()
            assert process.connection is not None
            yield process.connection

    @contextmanager
    def transaction(self, *, checkpoint_at: int = CHECKPOINT) -> Iterator[sqlite3.Connection]:
        """The same, inside ``BEGIN IMMEDIATE … COMMIT``, with no other process writing. The commit brings the WAL into the
        file once it has ``checkpoint_at`` pages.
        """
        process = self._here()
        with process.writing, self._translated(), self._watched(process):
            connection = self._enter(process)
            try:
                connection.execute(f"PRAGMA wal_autocheckpoint={checkpoint_at}")
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    _roll_back(connection)
                    raise
                self._assert_there(process)
            finally:
                process.file_lock.release()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own for a query, so that a long one never makes an append wait."""
        with self.connected():
            pass
        process = self._here()
        with process.reading, self._translated():
            connection = self._raw()
            try:
                yield connection
            except sqlite3.DatabaseError as error:
                with process.writing, self._watched(process):
                    if is_damage(error):
                        raise
                raise
            finally:
                connection.close()

    def checkpoint(self) -> bool:
        """Bring everything into the file and empty the WAL; ``False``: somebody reads meanwhile, and it is not empty."""
        process = self._here()
        with process.writing, self._translated():
            connection = self._enter(process)
            try:
                (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                process.file_lock.release()
        return not busy

    def rewrite(self) -> None:
        """Write the whole file anew, without what nothing uses. Nobody writes meanwhile."""
        process = self._here()
        with process.writing, self._translated():
            self._enter(process)
            try:
                with closing(self._raw()) as connection:  # not ours: that would keep the whole file in memory
                    connection.execute("VACUUM")
            finally:
                process.file_lock.release()

    def close(self) -> None:
        process = self._here()
        with process.writing:
            self._disconnect(process)
            process.identity = None
            process.file_lock.close()
        with process.leads.lock:
            process.leads.close()

    @property
    def leads(self) -> Leads:
        """Which sinks this process leads."""
        return self._here().leads

    # Processes -----------------------------------------------------------------------------------------------------

    def _here(self) -> _Process:
        """This process's own. Not every server runs the hooks of a fork, so each call looks."""
        if self._process.pid != os.getpid():
            self._start_anew()
        return self._process

    def _start_anew(self) -> None:
        self._process = _Process(self.path, inherited=self._process)

    def _let_go(self) -> None:
        """Before a fork: close. A child that has inherited SQLite's memory of an open file locks nothing when it opens that
        file itself, so its commits would be lost, or it waits for ever for a lock that nobody holds.
        """
        process = self._here()
        patience = self._busy_timeout + 1
        locks = (process.reading, process.writing, process.leads.lock)
        self._held = [lock for lock in locks if lock.acquire(timeout=patience)]
        if process.writing in self._held:
            self._disconnect(process)

    def _go_on(self) -> None:
        for lock in self._held:
            lock.release()

    def _disconnect(self, process: _Process) -> None:
        """The last one to close a file brings the WAL into it, which is writing: not at the same time as another."""
        if process.connection is not None:
            locked = False
            with suppress(OSError):
                locked = process.file_lock.acquire(self._busy_timeout)
            process.disconnect()
            if locked:
                process.file_lock.release()

    # Opening -------------------------------------------------------------------------------------------------------

    def _enter(self, process: _Process) -> sqlite3.Connection:
        """The connection, and the lock between processes. The check of the file needs no lock and may take a while."""
        while True:
            self._lock(process)
            try:
                connection = self._current(process)
                if self._checked:
                    return connection
            except BaseException:
                process.file_lock.release()
                raise
            process.file_lock.release()
            self._check(process, connection)

    def _lock(self, process: _Process) -> None:
        try:
            locked = process.file_lock.acquire(self._busy_timeout)
        except OSError as error:
            raise self._unwritable(error) from error
        if not locked:
            raise OutboxUnavailable(
                f"the outbox {self.path} cannot be used: another process has had it locked for {self._busy_timeout:g} s"
            )

    def _current(self, process: _Process) -> sqlite3.Connection:
        """The connection to what is now at the path. A file may be moved away, or another put in its place."""
        found = identity(self.path)
        if process.connection is not None and process.identity == found:
            return process.connection
        self._notice_move(process, found)
        process.disconnect()
        try:
            self._connect(process)
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._begin_anew(process, error)
        assert process.connection is not None
        if process.followed:
            self._count(process.connection, Reason.OUTBOX_MOVED)
            process.followed = False
        return process.connection

    def _connect(self, process: _Process) -> None:
        if kind := network_file_system(self.path):
            raise OutboxError(
                f"the outbox {self.path} is on a network file system ({kind}), where SQLite's locks do not hold: "
                "put it on a local disk, or use PostgreSQL"
            )
        self._make_private()
        found = identity(self.path)
        connection = self._raw()
        try:
            self._use_wal(connection)
            for pragma in (
                f"synchronous={self._synchronous}",
                "foreign_keys=ON",
                "secure_delete=ON",  # what is erased is to be gone from the file, however SQLite was built
                "temp_store=MEMORY",
                "cache_size=-16000",
                "journal_size_limit=67108864",
            ):
                connection.execute(f"PRAGMA {pragma}")
            migrate(connection, self.path)
            if found is None or found != identity(self.path):
                raise self._went_away()
        except BaseException:
            connection.close()
            raise
        process.connection, process.identity = connection, found
        process.wal = identity(beside(self.path, "-wal"))

    def _raw(self) -> sqlite3.Connection:
        """A connection to a file that is there: SQLite itself would make one that anybody may read."""
        connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.row_factory = sqlite3.Row
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
            raise self._unwritable(error) from error

    # Damage --------------------------------------------------------------------------------------------------------

    def _check(self, process: _Process, connection: sqlite3.Connection) -> None:
        """Once in the life of an outbox, look the file over. What takes longer than a moment is not known to be bad."""
        deadline = time.monotonic() + _CHECK
        connection.set_progress_handler(lambda: time.monotonic() > deadline, _CHECK_STEPS)
        try:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            damage = None if answer == "ok" else sqlite3.DatabaseError(answer)
        except sqlite3.DatabaseError as error:
            damage = error if is_damage(error) else None
        finally:
            connection.set_progress_handler(None, 0)
        if damage is not None:
            self._replace(process, damage)
        self._checked = True

    @contextmanager
    def _watched(self, process: _Process) -> Iterator[None]:
        """What is found to be damaged meanwhile is replaced: the next call has a new file."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            self._replace(process, error)
            raise OutboxUnavailable(f"the outbox {self.path} was damaged and is begun anew: {error}") from error

    def _replace(self, process: _Process, damage: sqlite3.DatabaseError) -> None:
        self._lock(process)
        try:
            if process.identity == identity(self.path):  # else another process has done it
                old, process.connection = process.connection, None
                self._begin_anew(process, damage)
                if old is not None:
                    old.close()  # only now: a file that was moved away is left as it is
        finally:
            process.file_lock.release()

    def _begin_anew(self, process: _Process, damage: sqlite3.DatabaseError) -> None:
        """Set the file aside, under the lock; a new one in its place."""
        aside = set_aside(self.path)
        log.error(
            "The outbox is damaged: its file is set aside, and a new one is begun. Events in it that had not gone out do not "
            "go out; `sqlite3 FILE .recover` may read them.",
            outbox=str(self.path),
            file=str(aside),
            error=str(damage),
        )
        self._connect(process)
        assert process.connection is not None
        self._count(process.connection, Reason.OUTBOX_DAMAGED, aside.name)

    def _count(self, connection: sqlite3.Connection, reason: Reason, subject: str = "") -> None:
        now = self._clock()
        connection.execute(COUNT, (reason, subject, "", 1, now, now))

    # A file that goes ----------------------------------------------------------------------------------------------

    def _notice_move(self, process: _Process, found: Identity) -> None:
        """When the file has gone from under us, and was not set aside, that is told. Its WAL may still lie there: it belongs
        to no other file, and may hold commits that the one that went has not.
        """
        if process.identity is None or process.identity == found:
            return
        told = was_set_aside(self.path, process.identity)
        left = None
        if process.wal is not None and process.wal == identity(beside(self.path, "-wal")):
            left = set_aside(self.path, only=COMPANIONS, why=MOVED).name
        if not told:
            log.error(
                "The outbox's file was moved, deleted or replaced while it was in use. From now on events are stored in the file "
                "that is at its path; those in the old one that had not gone out do not go out.",
                outbox=str(self.path),
                now="another file" if found else "a new file",
                wal_set_aside=left and f"{left}-wal",
            )
        process.identity, process.followed = None, not told
        self._checked = self._checked and found is None  # another file has not been looked over

    def _assert_there(self, process: _Process) -> None:
        """What was committed to a file that has just gone is to be stored once more, in the one that comes after it."""
        if process.identity != identity(self.path):
            raise self._went_away()

    def _went_away(self) -> OutboxUnavailable:
        return OutboxUnavailable(f"the outbox {self.path} was moved or deleted while it was in use")

    # Errors --------------------------------------------------------------------------------------------------------

    def _unwritable(self, error: OSError) -> OutboxUnavailable:
        return OutboxUnavailable(f"the outbox {self.path} cannot be written: {error.strerror}")

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


def _roll_back(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):  # the first error is the one to tell
        if connection.in_transaction:
            connection.execute("ROLLBACK")
