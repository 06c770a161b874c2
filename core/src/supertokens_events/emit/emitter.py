"""Emit: take events through the hook chain into the outbox, within a deadline, and never in an auth call's way.

Submitting an event puts it on a queue and returns at once. One daemon thread per process takes everything that waits
there, runs the hooks (enrich → redact → filter), decides which sinks get it, and commits it all in one transaction.
Callers wait for that commit, up to ``append_timeout``; past it they go on, and the event stays queued until it can be
stored.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple, Protocol

from supertokens_events.emit.hooks import Hooks
from supertokens_events.emit.routing import Plan, Route
from supertokens_events.emit.storing import Configuration, Storing
from supertokens_events.emit.writer import Call, Job, Retired, Writer
from supertokens_events.event import Event
from supertokens_events.forks import while_alive
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import get_logger
from supertokens_events.outbox import DeliveryState, Outbox
from supertokens_events.plugins import Plugins
from supertokens_events.subscription import Patterns

__all__ = ["Emitter", "Following", "Stored"]

log = get_logger(__name__)

_MAX_WAITING = 10_000
_HOOK_LIMIT = 10.0  # times ``append_timeout`` that one hook call may take
_LEAST_HOOK_LIMIT = 1.0  # seconds
_FORK_PATIENCE = 1.0  # seconds that a fork waits for the thread


class Stored(NamedTuple):
    """An event that is committed, and the sinks whose deliveries wait for what the emitting call makes of it."""

    event: Event
    waiting: Sequence[str]


class Following(Protocol):
    """What is done with events after they are stored, in the way of the call that emits them. It has deadlines of its own, and
    raises nothing.
    """

    async def call(self, stored: Sequence[Stored]) -> None: ...

    def call_sync(self, stored: Sequence[Stored]) -> None: ...


class Emitter:
    """The first half of the line. Safe to use from any thread, any event loop, and after a fork.

    ``captured`` says which types are stored at all, ``routes`` who gets them; see :class:`Plan` for ``source``,
    ``trusted_proxies`` and ``context_fields``. ``always_wanted`` are types that somebody reads without being a sink.
    ``stored`` is called with the events of each commit. ``configuration`` is looked at before events are stored.
    :attr:`following` is what a caller of :meth:`emit` waits for besides the commit.
    """

    following: Following | None = None

    def __init__(
        self,
        outbox: Outbox,
        plugins: Plugins,
        routes: Sequence[Route],
        *,
        captured: Patterns,
        source: str | None = None,
        trusted_proxies: Sequence[IPv4Network | IPv6Network] = (),
        append_timeout: float = 1.0,
        context_fields: Sequence[str] | None = None,
        always_wanted: Patterns | None = None,
        ledger: Ledger | None = None,
        stored: Callable[[Sequence[Event]], None] = lambda _events: None,
        configuration: Configuration | None = None,
    ) -> None:
        self.outbox = outbox
        self.plugins = plugins
        self.append_timeout = append_timeout
        self.ledger = ledger or Ledger()
        self.ledger.counted = self._counted
        kept = None if context_fields is None else frozenset(context_fields)
        self._plan = Plan(tuple(routes), captured, source, tuple(trusted_proxies), kept)
        self._always_wanted = always_wanted
        self._configuration = configuration
        limit = max(_LEAST_HOOK_LIMIT, _HOOK_LIMIT * append_timeout)
        self._hooks = Hooks(plugins, self.ledger, limit=limit, hung=self._succeed)
        self._storing = Storing(
            outbox,
            self.ledger,
            self._hooks,
            plugins.times,
            plan=lambda: self._plan,
            stored=stored,
            configuration=configuration,
        )
        self._forked = threading.Lock()
        self._lock = threading.Lock()
        self._writer: Writer | None = None
        self._pid = os.getpid()
        self._held: dict[int, Writer] = {}  # by the thread that forks
        # After the outbox's: what was registered last is called first, and the thread may need the outbox to come to an end.
        os.register_at_fork(before=while_alive(self._hold), after_in_parent=while_alive(self._go_on))
        atexit.register(self.stop)

    # The plan ------------------------------------------------------------------------------------------------------

    def replace(self, plan: Plan) -> None:
        """Do by ``plan`` from now on; a batch that is being stored is stored by the old one."""
        self._plan = plan

    def store_in(self, outbox: Outbox) -> None:
        """Store in ``outbox`` from now on. What was emitted before is stored where it was to be, as by :meth:`stop`."""
        if self._writer is not None:
            self.stop()
        self.outbox = self._storing.outbox = outbox

    @property
    def plan(self) -> Plan:
        """What is done with events now."""
        return self._plan

    @property
    def routes(self) -> Sequence[Route]:
        """Who gets events."""
        return self._plan.routes

    @property
    def captured(self) -> Patterns:
        """Which types are stored at all."""
        return self._plan.captured

    @property
    def source(self) -> str | None:
        """The app's URL."""
        return self._plan.source

    @property
    def trusted_proxies(self) -> Sequence[IPv4Network | IPv6Network]:
        """The networks whose ``X-Forwarded-For`` is believed."""
        return self._plan.trusted_proxies

    # What callers use ----------------------------------------------------------------------------------------------

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type would be stored and somebody would get it: worth an extra read of the core."""
        plan = self._plan
        if not plan.captured.matches(event_type):
            return False
        if self.plugins.has("event_emitted") or (self._always_wanted and self._always_wanted.matches(event_type)):
            return True
        return any(route.subscription.patterns.matches(event_type) for route in plan.routes)

    def takes(self, event_type: str) -> bool:
        """Whether an event of this type would be stored. One that would not is counted here, and need not be made."""
        self._notice_fork()
        if self._plan.captured.matches(event_type) or self._may_be_captured():
            return True
        self._start_if_none()
        self.ledger.count(Reason.CAPTURE_OFF, event_type=event_type)
        return False

    async def emit(self, events: Sequence[Event], *, within: float | None = None) -> list[Event | None]:
        """Store events; returns when they are committed or ``append_timeout`` has passed. Each comes back as stored.

        ``within``, in seconds, is what is left of ``append_timeout`` for a caller who has used some of it. ``None`` stands
        for an event that was filtered, lost, or is still waiting. Never raises for a failure of ours.
        """
        jobs = self._submit_all(events)
        if not jobs or self._is_writing():
            return [None] * len(jobs)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self.append_timeout if within is None else within):
                for job in reversed(jobs):  # when the last is stored, the others are too, as a rule
                    if not job.stored.done():
                        await asyncio.wrap_future(job.stored)  # cancelled, it only stops waiting: the future runs
        results = self._results(jobs)
        if self.following is not None and (stored := _stored(jobs, results)):
            await self.following.call(stored)
        return results

    def emit_sync(self, events: Sequence[Event]) -> list[Event | None]:
        """The same for callers without an event loop."""
        jobs = self._submit_all(events)
        if self._is_writing():
            return [None] * len(jobs)
        deadline = time.monotonic() + self.append_timeout
        for job in jobs:
            try:
                job.stored.result(max(0.0, deadline - time.monotonic()))
            except FutureTimeoutError:
                break
        results = self._results(jobs)
        if self.following is not None and (stored := _stored(jobs, results)):
            self.following.call_sync(stored)
        return results

    def submit(self, events: Sequence[Event]) -> list[Future[Event | None]]:
        """Queue events and return at once. Each future gets the event as stored, or ``None`` if it never will be."""
        return [job.stored for job in self._submit_all(events)]

    def stop(self, timeout: float = 2.0) -> None:
        """Store what waits, for up to ``timeout`` seconds, and end the thread. What was not stored is counted as lost.

        Safe to call twice. An event that comes later starts a new thread.
        """
        if self._pid != os.getpid():
            return
        with self._lock:
            counts = bool(self.ledger.peek() or self.plugins.times)
            writer = self._writer or (self._start_writer() if counts else None)
            self._writer = None
        if writer is not None:
            writer.end(timeout)
            self._storing.lose_all(writer.unanswered(), "the process ended before the outbox was available")
            if writer.is_finished or writer.call is not None:  # else it is the outbox that does not answer
                self._storing.save_counts(writer)

    # The queue -----------------------------------------------------------------------------------------------------

    def _notice_fork(self) -> None:
        if self._pid != os.getpid():
            self._start_anew()

    def _hold(self) -> None:
        """Before a fork: wait until the thread is between two jobs. In the middle of one it may be importing something, as a hook
        does, or an outbox that is opened.
        """
        writer = self._writer
        if writer is None or self._pid != os.getpid() or writer.thread is threading.current_thread():
            return
        if writer.working.acquire(timeout=_FORK_PATIENCE):
            self._held[threading.get_ident()] = writer

    def _go_on(self) -> None:
        if (writer := self._held.pop(threading.get_ident(), None)) is not None:
            writer.working.release()

    def _start_anew(self) -> None:
        """After a fork: the thread is not in the child, and what the parent queued is the parent's."""
        with self._forked:
            if self._pid != os.getpid():
                self._lock = threading.Lock()
                self._writer = None
                self._held = {}
                self._storing.counts_told = False
                self._hooks.forget()
                self.ledger.take()  # counts from before the fork are the parent's
                self.plugins.times.take()
                self._pid = os.getpid()  # last: whoever sees it sees the rest

    def _submit_all(self, events: Sequence[Event]) -> list[Job]:
        self._notice_fork()
        return [self._submit(event) for event in events]

    def _submit(self, event: Event) -> Job:
        job = Job(event)
        job.stored.set_running_or_notify_cancel()
        if self.takes(event.type):
            self._enqueue(job)
        else:
            job.stored.set_result(None)
        return job

    def _may_be_captured(self) -> bool:
        """Whether the thread is to look at the configuration first. Not while it has its hands full: it looks anyway, and what
        nobody wants must not wait for an outbox in trouble.
        """
        writer = self._writer
        idle = writer is None or (writer.queue.empty() and not writer.jobs)
        return idle and self._configuration is not None and self._configuration.due

    def _start_if_none(self) -> None:
        """Somebody is to store the counts."""
        writer = self._writer
        if writer is None:
            with self._lock:
                self._writer = self._writer or self._start_writer()

    def _counted(self) -> None:
        """Have the ledger stored soon, if there is a thread for it."""
        writer = self._writer
        if writer is not None and not self._storing.counts_told:
            self._storing.counts_told = True
            writer.count()

    def _enqueue(self, job: Job) -> None:
        with self._lock:
            writer = self._writer = self._writer or self._start_writer()
            full = writer is not None and writer.queue.qsize() >= _MAX_WAITING
            if writer is not None and not full:
                writer.queue.put(job)
        if writer is None:
            self._store_here(job)
        elif full:
            self._storing.lose(job, "too many events wait for the outbox")

    def _start_writer(self, predecessor: Writer | None = None) -> Writer | None:
        """A new thread with its queue; ``None`` when the interpreter shuts down and starts no more threads."""
        writer = Writer(self._run, predecessor)
        try:
            writer.thread.start()
        except RuntimeError:
            return None
        return writer

    def _succeed(self, hanging: Writer, call: Call) -> bool:
        """Have another thread take over from one that hangs in a hook."""
        with self._lock:
            was_ours = self._writer is hanging

            def start() -> bool:
                successor = self._start_writer(hanging)
                if successor is not None and was_ours:
                    self._writer = successor
                return successor is not None

            return hanging.retire(call, start)

    def _store_here(self, job: Job) -> None:
        """Without a thread: as the last thing that a process does, this may take as long as the outbox takes."""
        writer = Writer(self._run)
        writer.jobs, writer.deadline = [job], 0.0
        self._storing.work(writer)

    def _is_writing(self) -> bool:
        """Whether this is a hook on our own thread: it cannot wait for itself."""
        return self._writer is not None and self._writer.thread is threading.current_thread()

    def _results(self, jobs: Sequence[Job]) -> list[Event | None]:
        for job in jobs:
            if not job.stored.done():
                event = job.event
                self.ledger.count(Reason.LATE, event_type=event.type)
                log.warning(
                    "An event is not stored in time; it waits in memory.", event_type=event.type, event_id=event.id
                )
        return [job.stored.result() if job.stored.done() else None for job in jobs]

    # The thread ----------------------------------------------------------------------------------------------------

    def _run(self, writer: Writer) -> None:
        self._hooks.watch(writer)
        try:
            self._storing.work(writer)
            while not writer.last:
                writer.take()
                self._storing.work(writer)
        except Retired:
            return
        writer.finish()


def _stored(jobs: Sequence[Job], results: Sequence[Event | None]) -> list[Stored]:
    """Those that somebody waits for."""
    stored = []
    for job, event in zip(jobs, results, strict=True):
        if event is not None and job.entry is not None:
            waiting = [one.sink for one in job.entry.deliveries if one.wait and one.state == DeliveryState.PENDING]
            if waiting:
                stored.append(Stored(event, waiting))
    return stored
