"""How processes on one PostgreSQL wake each other: ``NOTIFY``, seldom and after the commit, and a thread that listens.

A notification locks the whole database for a moment at its commit; in the transaction of each insert it costs most of the
rate. So it is sent apart, and again only after a pause. Nothing depends on it.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psycopg
from psycopg import sql

from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox.contract import OutboxError

__all__ = ["Listener", "Notifier"]

log = get_logger(__name__)

_PAUSE = 0.05  # seconds between two notifications of a process
_IDLE = 10.0  # seconds without any, after which the thread ends
_FIRST_WAIT, _LONGEST_WAIT = 0.1, 30.0  # seconds until the next try to connect
_JOIN = 1.0  # seconds


class Notifier:
    """Calls ``send`` soon after :meth:`poke`, on a thread of its own: at once, then after a pause for all that came in it."""

    def __init__(self, send: Callable[[], None]) -> None:
        self._send = send
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def poke(self) -> None:
        """Something was stored."""
        with self._lock:
            self._wanted.set()
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="supertokens-events-notify", daemon=True)
                with suppress(RuntimeError):  # the interpreter shuts down
                    thread.start()
                    self._thread = thread

    def take(self) -> bool:
        """Whether something is still to be told; the caller does it now."""
        with self._lock:
            wanted = self._wanted.is_set()
            self._wanted.clear()
        return wanted

    def _run(self) -> None:
        while self._wanted.wait(_IDLE) or not self._may_end():
            self._wanted.clear()
            with suppress(OutboxError):
                self._send()
            time.sleep(_PAUSE)

    def _may_end(self) -> bool:
        with self._lock:
            if self._wanted.is_set():
                return False
            self._thread = None
            return True


class Listener:
    """A thread that calls ``stored`` when somebody else has notified ``channel``, and when it may have missed that.

    ``token`` is what this process says; it does not listen to itself. A lost connection is made again, later each time.
    """

    def __init__(self, conninfo: str, channel: str, token: str, stored: Callable[[], None]) -> None:
        self._conninfo = conninfo
        self._channel = channel
        self._token = token
        self._stored = stored
        self._pid = os.getpid()
        self._ended = False
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="supertokens-events-listen", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop listening; returns when the thread has ended, or soon. Nothing in a child of a fork: the thread is the
        parent's.
        """
        if self._pid != os.getpid() or self._ended:
            return
        self._ended = True
        with suppress(OSError):
            os.write(self._wake, b".")
        if self._thread is not threading.current_thread():
            self._thread.join(_JOIN)

    def _run(self) -> None:
        wait = _FIRST_WAIT
        heard = False
        while not self._ended:
            try:
                with psycopg.Connection.connect(self._conninfo, autocommit=True) as connection:
                    connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
                    wait = _FIRST_WAIT
                    if heard:
                        self._tell()
                    heard = True
                    self._follow(connection)
            except (psycopg.Error, OSError) as error:
                log.debug("Listening to the outbox failed; it is polled.", error=describe_exception(error))
                self._sleep(wait)
                wait = min(wait * 2, _LONGEST_WAIT)
        os.close(self._woken)
        os.close(self._wake)

    def _follow(self, connection: psycopg.Connection) -> None:
        poll = select.poll()
        poll.register(connection.fileno(), select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        while not self._ended:
            poll.poll()
            others = [notify for notify in connection.notifies(timeout=0) if notify.payload != self._token]
            if others and not self._ended:
                self._tell()

    def _tell(self) -> None:
        try:
            self._stored()
        except Exception as error:
            log.error("What was to be told of new events raised.", error=describe_exception(error))

    def _sleep(self, seconds: float) -> None:
        poll = select.poll()
        poll.register(self._woken, select.POLLIN)
        poll.poll(seconds * 1000)
