"""A dispatcher beside the app: in a daemon thread with its own event loop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable
from functools import partial

import anyio

from supertokens_events.dispatch.dispatcher import Dispatcher
from supertokens_events.dispatch.pool import DaemonThreads
from supertokens_events.forks import while_alive
from supertokens_events.log import describe_exception, get_logger

__all__ = ["DispatcherThread"]

log = get_logger(__name__)

_FORK_PATIENCE = 5.0  # seconds that a fork waits for the event loop
_LOOK = 0.05  # seconds between two looks whether it has ended meanwhile
_FINISHING = 0.8  # of the time to stop: the rest is for giving back, and for sinks to close


class _Run:
    """One life of the dispatcher's thread."""

    def __init__(self, make: Callable[[], Dispatcher]) -> None:
        self.thread = threading.Thread(target=self._live, name="supertokens-events-dispatch", daemon=True)
        self._make = make
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, Dispatcher] | None = None
        self._asked: list[Callable[[Dispatcher], None]] = []
        self._begun = threading.Event()

    def ask(self, method: Callable[[Dispatcher], None]) -> None:
        """Have the dispatcher's event loop call ``method``, when it is there."""
        with self._lock:
            if self._running is None:
                self._asked.append(method)
                return
            loop, dispatcher = self._running
        with contextlib.suppress(RuntimeError):  # the loop has just ended
            loop.call_soon_threadsafe(method, dispatcher)

    def hold(self) -> threading.Event | None:
        """Before a fork: wait until the event loop is between two steps, and have it stay there until the event is set. In the
        middle of one it may be importing something.
        """
        if self.thread is threading.current_thread() or not self._begun.wait(_FORK_PATIENCE) or self._running is None:
            return None
        standing, go_on = threading.Event(), threading.Event()

        def stand() -> None:
            standing.set()
            go_on.wait()

        with contextlib.suppress(RuntimeError):  # the loop has just ended
            self._running[0].call_soon_threadsafe(stand)
            deadline = time.monotonic() + _FORK_PATIENCE
            while not standing.wait(_LOOK) and self.thread.is_alive() and time.monotonic() < deadline:
                pass
        return go_on

    def _live(self) -> None:
        try:
            anyio.run(self._deliver, backend="asyncio")
        except Exception as error:  # a bug of ours; the next wake starts a new thread
            log.error("The dispatcher ended; it starts again with the next event.", error=describe_exception(error))
        finally:
            self._begun.set()

    async def _deliver(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(DaemonThreads())
        dispatcher = self._make()
        with self._lock:
            self._running = loop, dispatcher
        self._begun.set()
        for method in self._asked:
            method(dispatcher)
        await dispatcher.run()


class DispatcherThread:
    """A dispatcher in a daemon thread with its own event loop. It starts on the first :meth:`wake`, and again in a forked
    child.
    """

    def __init__(self, make: Callable[[], Dispatcher]) -> None:
        self._make = make
        self._forked = threading.Lock()
        self._lock = threading.Lock()
        self._run: _Run | None = None
        self._inherited: _Run | None = None
        self._pid = os.getpid()
        self._held: dict[int, threading.Event] = {}  # by the thread that forks
        os.register_at_fork(before=while_alive(self._hold), after_in_parent=while_alive(self._go_on))

    def wake(self) -> None:
        """There may be something to deliver. Callable from any thread; returns at once."""
        run = self._started()
        if run is not None:
            run.ask(Dispatcher.wake)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        self._started()

    def stop(self, timeout: float = 10.0) -> None:
        """Finish what is in flight within ``timeout`` seconds, give the rest back to the outbox. Safe to call twice."""
        if self._pid != os.getpid():
            return
        with self._lock:
            run, self._run = self._run, None
        if run is not None:
            run.ask(partial(Dispatcher.stop, grace=timeout * _FINISHING))
            if run.thread is not threading.current_thread():
                run.thread.join(timeout)

    def _started(self) -> _Run | None:
        if self._pid != os.getpid():
            self._start_anew()
        with self._lock:
            if self._run is None or not self._run.thread.is_alive():
                run = _Run(self._make)
                with contextlib.suppress(RuntimeError):  # the interpreter is shutting down: the next process delivers
                    run.thread.start()
                    self._run = run
            return self._run

    def _hold(self) -> None:
        run = self._run
        if run is not None and self._pid == os.getpid() and (go_on := run.hold()) is not None:
            self._held[threading.get_ident()] = go_on

    def _go_on(self) -> None:
        """After it, in the parent."""
        if (go_on := self._held.pop(threading.get_ident(), None)) is not None:
            go_on.set()

    def _start_anew(self) -> None:
        """After a fork: the thread is not in the child. Its event loop stays: closing it would close the parent's too."""
        with self._forked:
            if self._pid != os.getpid():
                self._lock = threading.Lock()
                self._run, self._inherited = None, self._run
                self._held = {}
                self._pid = os.getpid()  # last: whoever sees it sees the rest
