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
import os
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field

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
_RETRY_WAIT = (0.02, 1.0)  # seconds, first and longest, between tries at an outbox that is locked or full


@dataclass(frozen=True)
class Route:
    """Where events go: one sink's name, what it wants, and whether it is turned on."""

    sink: str
    subscription: Subscription
    enabled: bool = True


@dataclass
class _Job:
    """One event on the queue. ``caller`` is the context in which it was emitted: hooks see the request's context
    variables.
    """

    event: Event
    stored: Future[Event | None]
    caller: contextvars.Context = field(default_factory=contextvars.copy_context)


class Emitter:
    """The first half of the line. Safe to use from any thread, any event loop, and after a fork.

    ``captured`` says which types are stored at all, ``routes`` who gets them, ``source`` is the app's URL in the events
    that capture makes, ``context_fields`` are the context fields that stay
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
        self.append_timeout = append_timeout
        self.context_fields = None if context_fields is None else frozenset(context_fields)
        self.ledger = ledger or Ledger()
        self._stored = stored
        self._thread: threading.Thread | None = None
        self._start_anew()
        atexit.register(self.stop)

    # What callers use ----------------------------------------------------------------------------------------------

    def wants(self, event_type: str) -> bool:
        """Whether an event of this type would be stored and somebody would get it: worth an extra read of the core."""
        if not self.captured.matches(event_type):
            return False
        return self.plugins.has("event_emitted") or any(
            route.subscription.patterns.matches(event_type) for route in self.routes
        )

    async def emit(self, events: Sequence[Event]) -> list[Event | None]:
        """Store events; returns when they are committed or ``append_timeout`` has passed. Each comes back as stored.

        ``None`` stands for one that was filtered, lost, or is still waiting. Never raises for a failure of ours.
        """
        futures = self.submit(events)
        waiters = [asyncio.wrap_future(future) for future in futures]
        if waiters:
            await asyncio.wait(waiters, timeout=self.append_timeout)
        for waiter in waiters:
            waiter.cancel()  # only stops waiting: a future that runs cannot be cancelled
        return self._results(events, futures)

    def emit_sync(self, events: Sequence[Event]) -> list[Event | None]:
        """The same for callers without an event loop."""
        futures = self.submit(events)
        deadline = time.monotonic() + self.append_timeout
        for future in futures:
            try:
                future.result(max(0.0, deadline - time.monotonic()))
            except FutureTimeoutError:
                break
        return self._results(events, futures)

    def submit(self, events: Sequence[Event]) -> list[Future[Event | None]]:
        """Queue events and return at once. Each future gets the event as stored, or ``None`` if it never will be."""
        if self._pid != os.getpid():
            self._start_anew()
        return [self._submit(event) for event in events]

    def stop(self, timeout: float = 2.0) -> None:
        """Store what waits, for up to ``timeout`` seconds, and end the thread. What cannot be stored is counted as
        lost.
        """
        thread = self._thread
        if self._pid != os.getpid() or thread is None or not thread.is_alive():
            return
        self._stopping.set()
        self._queue.put(None)
        thread.join(timeout)
        self._thread = None
        self._give_up()

    # The queue -----------------------------------------------------------------------------------------------------

    def _start_anew(self) -> None:
        """Also after a fork: the thread is not in the child, and what the parent queued is the parent's."""
        self._pid = os.getpid()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._unstored: list[_Job] = []
        self._thread = None

    def _submit(self, event: Event) -> Future[Event | None]:
        stored: Future[Event | None] = Future()
        stored.set_running_or_notify_cancel()
        if not self.captured.matches(event.type):
            self.ledger.count(Reason.CAPTURE_OFF, event_type=event.type)
            stored.set_result(None)
        elif self._queue.qsize() >= _MAX_WAITING or not self._ensure_thread():
            self._lose(_Job(event, stored), "too many events wait for the outbox")
        else:
            self._queue.put(_Job(event, stored))
        return stored

    def _ensure_thread(self) -> bool:
        if self._thread is not None and self._thread.is_alive():
            return True
        with self._starting:
            if self._thread is None or not self._thread.is_alive():
                self._stopping.clear()
                thread = threading.Thread(target=self._run, name="supertokens-events-emit", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the interpreter is shutting down
                    return False
                self._thread = thread
        return True

    def _results(self, events: Sequence[Event], futures: Sequence[Future[Event | None]]) -> list[Event | None]:
        for event, future in zip(events, futures, strict=True):
            if not future.done():
                self.ledger.count(Reason.LATE, event_type=event.type)
                log.warning(
                    "An event is not stored in time; it waits in memory.", event_type=event.type, event_id=event.id
                )
        return [future.result() if future.done() else None for future in futures]

    # The thread ----------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            jobs, more = self._take()
            try:
                self._store(jobs)
            except Exception as error:  # a bug of ours must not end the thread
                log.error("Storing events failed.", error=describe_exception(error))
                self._lose_all(jobs, "a bug in supertokens-events")
            if not more:
                return

    def _take(self) -> tuple[list[_Job], bool]:
        """Everything that waits, up to a batch; ``False`` when it is time to end."""
        jobs: list[_Job] = []
        item = self._queue.get()
        while item is not None:
            jobs.append(item)
            if len(jobs) >= _BATCH:
                return jobs, True
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                return jobs, True
        return jobs, False

    def _store(self, jobs: Sequence[_Job]) -> None:
        prepared = [(job, entry) for job in jobs if (entry := self._prepare(job)) is not None]
        self._unstored = [job for job, _ in prepared]
        committed = self._append(prepared) if prepared else []
        self._unstored = []
        self._save_ledger()
        if committed:
            self._tell(committed)

    def _append(self, prepared: Sequence[tuple[_Job, Entry]]) -> list[Event]:
        """Commit the entries, however long that takes; only a store that refuses them for good ends it."""
        wait = _RETRY_WAIT[0]
        while True:
            try:
                sequences = self.outbox.append([entry for _, entry in prepared])
            except OutboxUnavailable as error:
                if self._stopping.is_set():
                    self._lose_all([job for job, _ in prepared], str(error))
                    return []
                log.warning(
                    "The outbox is not available; events wait in memory.", events=len(prepared), error=str(error)
                )
                self._stopping.wait(wait)
                wait = min(wait * 2, _RETRY_WAIT[1])
            except OutboxError as error:
                self._lose_all([job for job, _ in prepared], str(error))
                return []
            else:
                return _answer(prepared, sequences)

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
        self.ledger.count(Reason.LOST, event_type=job.event.type)
        log.error(
            "An event is lost: it could not be stored.", event_type=job.event.type, event_id=job.event.id, error=why
        )
        job.stored.set_result(None)

    def _lose_all(self, jobs: Sequence[_Job], why: str) -> None:
        for job in jobs:
            if not job.stored.done():
                self._lose(job, why)

    def _give_up(self) -> None:
        """After :meth:`stop`: whatever the thread did not get to store."""
        jobs = list(self._unstored)
        while not self._queue.empty():
            job = self._queue.get_nowait()
            if job is not None:
                jobs.append(job)
        self._lose_all(jobs, "the process ended before the outbox was available")

    # The hook chain ------------------------------------------------------------------------------------------------

    def _prepare(self, job: _Job) -> Entry | None:
        """The entry to store; ``None`` when a filter dropped the event."""
        try:
            entry = job.caller.run(self._through_hooks, job.event)
        except Exception as error:
            log.error("An event could not be prepared.", event_type=job.event.type, error=describe_exception(error))
            self._lose(job, describe_exception(error))
            return None
        if entry is None:
            job.stored.set_result(None)
        return entry

    def _through_hooks(self, event: Event) -> Entry | None:
        event = self._redact(self._enrich(event))
        wanted, held = self._filter(event)
        return Entry(event, event.to_bytes(), self._deliveries(event, held)) if wanted else None

    def _enrich(self, event: Event) -> Event:
        for result in self.plugins.call("enrich_event", event=event):
            try:
                if result.error:
                    raise result.error
                if result.value:
                    event = _with_context(event, result.value)
            except Exception as error:
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

    def _hook_failed(self, reason: Reason, plugin: str, event_type: str, error: Exception) -> None:
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
        if not job.stored.done():
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
