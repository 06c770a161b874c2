"""Emit: take events through the hook chain into the outbox, within a deadline, and never in an auth call's way.

Submitting an event puts it on a queue and returns at once. One daemon thread per process takes everything that waits
there, runs the hooks (enrich → redact → filter), decides which sinks get it, and commits it all in one transaction.
Callers wait for that commit, up to ``append_timeout``; past it they go on, and the event stays queued until it can be
stored.
"""

from __future__ import annotations

import asyncio
import atexit
import contextvars
import math
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

from supertokens_events.event import Event
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, Outbox, OutboxError, OutboxUnavailable
from supertokens_events.plugins import Plugins
from supertokens_events.subscription import Patterns, Subscription

__all__ = ["Emitter", "Route"]

log = get_logger(__name__)

_BATCH = 500
_MAX_WAITING = 10_000
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 1.0  # seconds between tries at an outbox that is locked or full


@dataclass(frozen=True)
class Route:
    """Where events go: one sink's name, what it wants, and whether it is turned on."""

    sink: str
    subscription: Subscription
    enabled: bool = True


@dataclass
class _Job:
    """One event on the queue. ``caller`` is the context it was emitted in: hooks see the request's context variables."""

    event: Event
    stored: Future[Event | None] = field(default_factory=Future)
    caller: contextvars.Context = field(default_factory=contextvars.copy_context)
    _answered: threading.Lock = field(default_factory=threading.Lock)

    def is_first_answer(self) -> bool:
        """``True`` once, for the one who may answer: the thread, or :meth:`Emitter.stop` when it has waited enough."""
        return self._answered.acquire(blocking=False)


_Prepared = tuple[_Job, Entry]


class _Writer:
    """One thread, its queue, and the jobs that it works on. ``None`` on the queue is the last thing it takes."""

    def __init__(self, run: Callable[[_Writer], None]) -> None:
        self.thread = threading.Thread(target=run, args=(self,), name="supertokens-events-emit", daemon=True)
        self.queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self.jobs: list[_Job] = []
        self.deadline = math.inf
        self._ending = threading.Event()

    def take(self) -> bool:
        """Make :attr:`jobs` everything that waits, up to a batch; ``False`` when it is the last."""
        jobs = self.jobs = []
        item = self.queue.get()
        while item is not None:
            jobs.append(item)
            if len(jobs) == _BATCH or self.queue.empty():
                return True
            item = self.queue.get()
        return False

    def end(self, timeout: float) -> None:
        """Let the thread take what waits and end; returns when it has, at the latest after ``timeout`` seconds."""
        self.deadline = time.monotonic() + timeout
        self._ending.set()
        self.queue.put(None)
        if self.thread is not threading.current_thread():
            self.thread.join(timeout)

    def has_time(self) -> bool:
        """Whether another try at the outbox is due to what waits."""
        return time.monotonic() < self.deadline

    def pause(self, seconds: float) -> None:
        """Wait, but not through the call of :meth:`end`."""
        if self._ending.is_set():
            time.sleep(_FIRST_WAIT)
        else:
            self._ending.wait(seconds)

    def unanswered(self) -> list[_Job]:
        """What it works on or did not get to."""
        jobs = list(self.jobs)
        while not self.queue.empty():
            job = self.queue.get()
            if job is not None:
                jobs.append(job)
        return jobs


class Emitter:
    """The first half of the line. Safe to use from any thread, any event loop, and after a fork.

    ``captured`` says which types are stored at all, ``routes`` who gets them. ``source`` (the app's URL) and
    ``trusted_proxies`` are what capture needs to know to make an event. ``context_fields`` are the context fields that stay
    (``None``: all). ``stored`` is called with the events of each commit.
    """

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
        ledger: Ledger | None = None,
        stored: Callable[[Sequence[Event]], None] = lambda _events: None,
    ) -> None:
        self.outbox = outbox
        self.plugins = plugins
        self.routes = tuple(routes)
        self.captured = captured
        self.source = source
        self.trusted_proxies = tuple(trusted_proxies)
        self.append_timeout = append_timeout
        self.context_fields = None if context_fields is None else frozenset(context_fields)
        self.ledger = ledger or Ledger()
        self._stored = stored
        self._forked = threading.Lock()
        self._lock = threading.Lock()
        self._writer: _Writer | None = None
        self._pid = os.getpid()
        atexit.register(self.stop)

    # What callers use ----------------------------------------------------------------------------------------------

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type would be stored and somebody would get it: worth an extra read of the core."""
        if not self.captured.matches(event_type):
            return False
        return self.plugins.has("event_emitted") or any(
            route.subscription.patterns.matches(event_type) for route in self.routes
        )

    def takes(self, event_type: str) -> bool:
        """Whether an event of this type would be stored. One that would not is counted here, and need not be made."""
        self._notice_fork()
        if self.captured.matches(event_type):
            return True
        self.ledger.count(Reason.CAPTURE_OFF, event_type=event_type)
        return False

    async def emit(self, events: Sequence[Event], *, within: float | None = None) -> list[Event | None]:
        """Store events; returns when they are committed or ``append_timeout`` has passed. Each comes back as stored.

        ``within``, in seconds, is what is left of ``append_timeout`` for a caller who has used some of it. ``None`` stands
        for an event that was filtered, lost, or is still waiting. Never raises for a failure of ours.
        """
        futures = self.submit(events)
        if not futures or self._is_writing():
            return [None] * len(futures)
        waiters = [asyncio.wrap_future(future) for future in futures]
        try:
            await asyncio.wait(waiters, timeout=self.append_timeout if within is None else within)
        finally:
            for waiter in waiters:
                waiter.cancel()  # only stops waiting: a future that runs cannot be cancelled
        return self._results(events, futures)

    def emit_sync(self, events: Sequence[Event]) -> list[Event | None]:
        """The same for callers without an event loop."""
        futures = self.submit(events)
        if self._is_writing():
            return [None] * len(futures)
        deadline = time.monotonic() + self.append_timeout
        for future in futures:
            try:
                future.result(max(0.0, deadline - time.monotonic()))
            except FutureTimeoutError:
                break
        return self._results(events, futures)

    def submit(self, events: Sequence[Event]) -> list[Future[Event | None]]:
        """Queue events and return at once. Each future gets the event as stored, or ``None`` if it never will be."""
        self._notice_fork()
        return [self._submit(event) for event in events]

    def stop(self, timeout: float = 2.0) -> None:
        """Store what waits, for up to ``timeout`` seconds, and end the thread. What was not stored is counted as lost.

        Safe to call twice. An event that comes later starts a new thread.
        """
        if self._pid != os.getpid():
            return
        with self._lock:
            writer = self._writer or (self._start_writer() if self.ledger.peek() else None)
            self._writer = None
        if writer is not None:
            writer.end(timeout)
            self._lose_all(writer.unanswered(), "the process ended before the outbox was available")
            self._save_ledger()

    # The queue -----------------------------------------------------------------------------------------------------

    def _notice_fork(self) -> None:
        """After a fork: the thread is not in the child, and what the parent queued is the parent's."""
        if self._pid == os.getpid():
            return
        with self._forked:
            if self._pid != os.getpid():
                self._lock = threading.Lock()
                self._writer = None
                self.ledger.take()  # counts from before the fork are the parent's
                self._pid = os.getpid()  # last: whoever sees it sees the rest

    def _submit(self, event: Event) -> Future[Event | None]:
        job = _Job(event)
        job.stored.set_running_or_notify_cancel()
        if self.takes(event.type):
            self._enqueue(job)
        else:
            job.stored.set_result(None)
        return job.stored

    def _enqueue(self, job: _Job) -> None:
        with self._lock:
            writer = self._writer = self._writer or self._start_writer()
            full = writer is not None and writer.queue.qsize() >= _MAX_WAITING
            if writer is not None and not full:
                writer.queue.put(job)
        if writer is None:
            self._store_here(job)
        elif full:
            self._lose(job, "too many events wait for the outbox")

    def _start_writer(self) -> _Writer | None:
        """A new thread with its queue; ``None`` when the interpreter shuts down and starts no more threads."""
        writer = _Writer(self._run)
        try:
            writer.thread.start()
        except RuntimeError:
            return None
        return writer

    def _store_here(self, job: _Job) -> None:
        """Without a thread: as the last thing that a process does, this may take as long as the outbox takes."""
        writer = _Writer(self._run)
        writer.jobs, writer.deadline = [job], 0.0
        self._work(writer)

    def _is_writing(self) -> bool:
        """Whether this is a hook on our own thread: it cannot wait for itself."""
        return self._writer is not None and self._writer.thread is threading.current_thread()

    def _results(self, events: Sequence[Event], futures: Sequence[Future[Event | None]]) -> list[Event | None]:
        for event, future in zip(events, futures, strict=True):
            if not future.done():
                self.ledger.count(Reason.LATE, event_type=event.type)
                log.warning(
                    "An event is not stored in time; it waits in memory.", event_type=event.type, event_id=event.id
                )
        return [future.result() if future.done() else None for future in futures]

    # The thread ----------------------------------------------------------------------------------------------------

    def _run(self, writer: _Writer) -> None:
        while writer.take():
            self._work(writer)
        self._work(writer)

    def _work(self, writer: _Writer) -> None:
        """Store what the writer has taken. Nothing that goes wrong here ends the thread, not even a hook that exits."""
        try:
            self._store(writer)
        except BaseException as error:
            log.error("Storing events failed.", error=describe_exception(error))
            self._lose_all(writer.jobs, "a bug in supertokens-events")
        writer.jobs = []

    def _store(self, writer: _Writer) -> None:
        prepared = [(job, entry) for job in writer.jobs if (entry := self._prepare(job)) is not None]
        committed = self._append(writer, prepared) if prepared else []
        self._save_ledger()
        if committed:
            self._tell(committed)

    def _append(self, writer: _Writer, prepared: Sequence[_Prepared]) -> list[Event]:
        """Commit the entries, however long it takes. If the store refuses them, each has a try of its own: one that cannot
        be stored costs no other.
        """
        wait = 0.0
        while True:
            try:
                return _answer(prepared, self.outbox.append([entry for _, entry in prepared]))
            except OutboxUnavailable as error:
                why = str(error)
                if not writer.has_time():
                    break
                wait = self._wait_for_outbox(writer, wait, why)
            except Exception as error:
                if len(prepared) > 1:
                    return [event for one in prepared for event in self._append(writer, [one])]
                why = str(error) if isinstance(error, OutboxError) else describe_exception(error)
                break
        self._lose_all([job for job, _ in prepared], why)
        return []

    def _wait_for_outbox(self, writer: _Writer, waited: float, why: str) -> float:
        """Wait longer than last time; told once, not for every try."""
        if not waited:
            log.warning("The outbox is not available; events wait in memory.", error=why)
        wait = min(waited * 2, _LONGEST_WAIT) or _FIRST_WAIT
        writer.pause(wait)
        return wait

    def _save_ledger(self) -> None:
        counts = self.ledger.take()
        if counts:
            try:
                self.outbox.record(counts)
            except OutboxError:
                self.ledger.put_back(counts)

    def _tell(self, events: Sequence[Event]) -> None:
        self._stored(events)
        for event in events:
            for result in self.plugins.call("event_emitted", event=event):
                if result.error:
                    self._hook_failed(Reason.LISTENER_FAILED, result.plugin, event.type, result.error)

    def _lose(self, job: _Job, why: str) -> None:
        if job.is_first_answer():
            self.ledger.count(Reason.LOST, event_type=job.event.type)
            log.error(
                "An event is lost: it could not be stored.", event_type=job.event.type, event_id=job.event.id, error=why
            )
            job.stored.set_result(None)

    def _lose_all(self, jobs: Sequence[_Job], why: str) -> None:
        for job in jobs:
            self._lose(job, why)

    # The hook chain ------------------------------------------------------------------------------------------------

    def _prepare(self, job: _Job) -> Entry | None:
        """The entry to store; ``None`` when a filter dropped the event."""
        try:
            entry = job.caller.run(self._through_hooks, job.event)
        except Exception as error:
            log.error("An event could not be prepared.", event_type=job.event.type, error=describe_exception(error))
            self._lose(job, describe_exception(error))
            return None
        if entry is None and job.is_first_answer():
            job.stored.set_result(None)
        return entry

    def _through_hooks(self, event: Event) -> Entry | None:
        event = self._redact(self._enrich(event))
        wanted, held = self._filter(event)
        return Entry(event, event.to_bytes(), self._deliveries(event, held)) if wanted else None

    def _enrich(self, event: Event) -> Event:
        for result in self.plugins.call("enrich_event", event=event):
            error = result.error
            try:
                if result.value:
                    event = _with_context(event, result.value)
            except Exception as refused:
                error = refused
            if error:
                self._hook_failed(Reason.ENRICH_FAILED, result.plugin, event.type, error)
        return event

    def _redact(self, event: Event) -> Event:
        if self.context_fields is None:
            return event
        kept = {name: None for name in type(event.context).model_fields if name not in self.context_fields}
        return event.model_copy(update={"context": event.context.model_copy(update=kept)})

    def _filter(self, event: Event) -> tuple[bool, str | None]:
        """Whether the event is wanted, and why its deliveries are held, if they are."""
        held: str | None = None
        for result in self.plugins.call("filter_event", event=event):
            if result.error:
                self._hook_failed(Reason.FILTER_FAILED, result.plugin, event.type, result.error)
                held = f"held: filter_event of the plugin {result.plugin!r} raised {type(result.error).__name__}"
            elif result.value is False:
                self.ledger.count(Reason.FILTERED, subject=result.plugin, event_type=event.type)
                return False, None
        return True, held

    def _deliveries(self, event: Event, held: str | None) -> list[NewDelivery]:
        return [
            _delivery(route, held) for route in self.routes if route.subscription.matches(event.type, event.tenant_id)
        ]

    def _hook_failed(self, reason: Reason, plugin: str, event_type: str, error: BaseException) -> None:
        self.ledger.count(reason, subject=plugin, event_type=event_type)
        log.error(
            "A plugin's hook raised.",
            plugin=plugin,
            event_type=event_type,
            kind=str(reason),
            error=describe_exception(error),
        )


def _answer(prepared: Sequence[tuple[_Job, Entry]], sequences: Sequence[int]) -> list[Event]:
    events = [
        entry.event.model_copy(update={"sequence": sequence})
        for (_, entry), sequence in zip(prepared, sequences, strict=True)
    ]
    for (job, _), event in zip(prepared, events, strict=True):
        if job.is_first_answer():
            job.stored.set_result(event)
    return events


def _with_context(event: Event, added: Mapping[str, object]) -> Event:
    """``event`` with more context, validated and made into plain JSON values now: what cannot be stored is the hook's
    fault, not the event's.
    """
    context = type(event.context).model_validate({**event.context.model_dump(), **added})
    context.model_dump_json()
    return event.model_copy(update={"context": context})


def _delivery(route: Route, held: str | None) -> NewDelivery:
    if held:
        return NewDelivery(route.sink, DeliveryState.DEAD, held)
    if not route.enabled:
        return NewDelivery(route.sink, DeliveryState.SKIPPED, "the sink is turned off")
    return NewDelivery(route.sink)
