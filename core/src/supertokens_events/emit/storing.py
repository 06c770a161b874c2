"""What a writer's thread does with its jobs: through the hooks, into the outbox, and to those who want to be told."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from supertokens_events.emit.chain import Chain
from supertokens_events.emit.hooks import Hooks
from supertokens_events.emit.routing import Plan
from supertokens_events.emit.writer import FIRST_WAIT, Job, Retired, Writer
from supertokens_events.event import Event
from supertokens_events.hook_times import HookTimes
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Entry, Outbox, OutboxError, OutboxFull, OutboxUnavailable, save_hook_times

__all__ = ["Configuration", "Storing"]

log = get_logger(__name__)

_LONGEST_WAIT = 1.0  # seconds between tries at an outbox that is locked or full
_SAY_FULL_EVERY = 1.0  # seconds

_Prepared = tuple[Job, Entry]
_Committed = tuple[Event, float]  # with the seconds that it has waited for that


class Configuration(Protocol):
    """What may change while the process runs, and tells the emitter by :meth:`Emitter.replace`."""

    @property
    def due(self) -> bool:
        """Whether it is time to look again. Cheap."""
        ...

    def look(self) -> None:
        """Look, and tell. Quick while nothing has changed."""
        ...


class Storing:
    """Stores what a writer has taken, by the ``plan`` of the moment. ``counts_told`` says that a thread knows of the counts in
    the ledger.
    """

    def __init__(
        self,
        outbox: Outbox,
        ledger: Ledger,
        hooks: Hooks,
        times: HookTimes,
        *,
        plan: Callable[[], Plan],
        stored: Callable[[Sequence[Event]], None],
        configuration: Configuration | None,
    ) -> None:
        self.counts_told = False
        self.outbox = outbox
        self._ledger = ledger
        self._hooks = hooks
        self._times = times
        self._plan = plan
        self._stored = stored
        self._configuration = configuration
        self._refused = 0
        self._full_told_at = -_SAY_FULL_EVERY

    def work(self, writer: Writer) -> None:
        """Store what the writer has taken. Nothing that goes wrong here ends the thread, not even a hook that exits."""
        writer.busy.set()
        try:
            with writer.working:
                self._store(writer)
        except Retired:
            raise
        except BaseException as error:
            log.error("Storing events failed.", error=describe_exception(error))
            self.lose_all(writer.jobs, "a bug in supertokens-events")
            writer.untold.clear()
        writer.jobs = []
        writer.busy.clear()

    def _store(self, writer: Writer) -> None:
        if self._configuration is not None:
            self._configuration.look()
        chain = Chain(self._hooks, self._ledger, self._plan(), writer)
        prepared = [(job, entry) for job in writer.jobs if (entry := self._prepare(chain, job)) is not None]
        committed = self._append(writer, prepared) if prepared else []
        writer.untold.extend(event for event, _ in committed)
        self.save_counts(writer)
        if committed:
            self._stored([event for event, _ in committed])
            self._measure(writer, committed)
        self._tell(writer)
        if self._times:
            writer.counts_wait()

    def _append(self, writer: Writer, prepared: Sequence[_Prepared]) -> list[_Committed]:
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
            except OutboxFull as error:
                self._refuse([job for job, _ in prepared], str(error))
                return []
            except Exception as error:
                if len(prepared) > 1:
                    return [done for one in prepared for done in self._append(writer, [one])]
                why = str(error) if isinstance(error, OutboxError) else describe_exception(error)
                break
        self.lose_all([job for job, _ in prepared], why)
        return []

    def _wait_for_outbox(self, writer: Writer, waited: float, why: str) -> float:
        """Wait longer than last time; told once, not for every try."""
        if not waited:
            log.warning("The outbox is not available; events wait in memory.", error=why)
        wait = min(waited * 2, _LONGEST_WAIT) or FIRST_WAIT
        writer.pause(wait)
        return wait

    def save_counts(self, writer: Writer) -> None:
        """Store the counts, and now and then how long hooks took; what the outbox does not take now waits."""
        self.counts_told = False  # first: what is counted from here on tells again
        counts = self._ledger.take()
        writer.counts_stored()
        if counts:
            try:
                self.outbox.record(counts)
            except OutboxError:
                self._ledger.put_back(counts)
                writer.counts_wait()
                return
        if self._times.due or writer.last:
            save_hook_times(self.outbox, self._times)

    def _measure(self, writer: Writer, committed: Sequence[_Committed]) -> None:
        events, waits = zip(*committed, strict=True)
        for result in self._hooks.call(writer, "events_stored", events[0].type, events=events, waits=waits):
            self._hooks.failed(Reason.LISTENER_FAILED, result, events[0].type)

    def _tell(self, writer: Writer) -> None:
        while writer.untold:
            event = writer.untold.popleft()
            for result in self._hooks.call(writer, "event_emitted", event.type, event=event):
                self._hooks.failed(Reason.LISTENER_FAILED, result, event.type)

    def _refuse(self, jobs: Sequence[Job], why: str) -> None:
        """A full outbox may refuse thousands of events a second; the log gets one line."""
        for job in jobs:
            if job.is_first_answer():
                self._ledger.count(Reason.REFUSED, event_type=job.event.type)
                self._refused += 1
                job.stored.set_result(None)
        if time.monotonic() - self._full_told_at >= _SAY_FULL_EVERY:
            log.error("Events are lost: the outbox is full and refuses them.", events=self._refused, error=why)
            self._full_told_at, self._refused = time.monotonic(), 0

    def lose(self, job: Job, why: str) -> None:
        """It is not stored and never will be."""
        if job.is_first_answer():
            self._ledger.count(Reason.LOST, event_type=job.event.type)
            log.error(
                "An event is lost: it could not be stored.", event_type=job.event.type, event_id=job.event.id, error=why
            )
            job.stored.set_result(None)

    def lose_all(self, jobs: Sequence[Job], why: str) -> None:
        """The same for many."""
        for job in jobs:
            self.lose(job, why)

    def _prepare(self, chain: Chain, job: Job) -> Entry | None:
        """The entry to store; ``None`` when the event is not wanted, or answered already."""
        if job.entry is None and not job.stored.done():
            try:
                job.entry = job.caller.run(chain.entry, job.event)
            except Exception as error:
                log.error("An event could not be prepared.", event_type=job.event.type, error=describe_exception(error))
                self.lose(job, describe_exception(error))
                return None
            if job.entry is None and job.is_first_answer():
                job.stored.set_result(None)
        return job.entry


def _answer(prepared: Sequence[_Prepared], sequences: Sequence[int]) -> list[_Committed]:
    events = [
        entry.event.model_copy(update={"sequence": sequence})
        for (_, entry), sequence in zip(prepared, sequences, strict=True)
    ]
    for (job, _), event in zip(prepared, events, strict=True):
        if job.is_first_answer():
            job.stored.set_result(event)
    now = time.monotonic()
    return [(event, now - job.began) for (job, _), event in zip(prepared, events, strict=True)]
