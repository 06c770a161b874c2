"""The second half of the line: take deliveries that are due, hand them to their sinks, write down what came of it.

One :class:`Lane` per sink, so that a sink that hangs never delays another. A lane claims only what it can take at once,
and a claim is a lease: a dispatcher that dies gives its deliveries back by itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from anyio.abc import TaskGroup

from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Claim, DeliveryState, Outbox, OutboxError, OutboxUnavailable, Settlement
from supertokens_events.plugins import Plugins
from supertokens_events.sink import BatchPolicy, Delivered, Outcome, Rejected, Retry, Sink

__all__ = ["Dispatcher", "DispatcherThread", "Lane"]

log = get_logger(__name__)

_LEASE_MARGIN = 15.0  # seconds that a lease lasts beyond the sink's own deadline: time to write the outcome down
_TROUBLE_WAIT = 1.0  # seconds before the outbox or a sink that could not be opened is tried again
_LINE_THREADS = 4  # threads of a lane that may wait for the outbox at once
_CLOSE_WAIT = 5.0  # seconds that sinks have to close
_LONG_REASON = 500  # characters of a sink's reason that are kept

T = TypeVar("T")


class _BrokenContract(Exception):
    """A sink returned something else than outcomes. The text says what is expected and tells nothing of what came."""


@dataclass(frozen=True)
class _Line:
    """What lanes share."""

    outbox: Outbox
    plugins: Plugins
    ledger: Ledger
    clock: Callable[[], float]
    threads: anyio.CapacityLimiter

    async def store(self, function: Callable[..., T], *arguments: Any) -> T:
        """Call the outbox off the event loop: a locked database must not stop the other lanes' clocks.

        The limit is the line's own: sinks that block every thread of the loop's default limit do not stop the others.
        """
        return await anyio.to_thread.run_sync(partial(function, *arguments), limiter=self.threads)

    async def save_ledger(self) -> None:
        """Store the counts; what the outbox does not take now waits."""
        counts = self.ledger.take()
        try:
            if counts:
                await self.store(self.outbox.record, counts)
        except OutboxError:
            self.ledger.put_back(counts)


class Lane:
    """One sink's deliveries: claimed, delivered, settled."""

    def __init__(
        self,
        sink: Sink[Any],
        outbox: Outbox,
        plugins: Plugins,
        ledger: Ledger,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.sink = sink
        self._line = _Line(outbox, plugins, ledger, clock, anyio.CapacityLimiter(_LINE_THREADS))
        self._clock = clock
        self._wake = anyio.Event()
        self._room = anyio.Semaphore(sink.concurrency)
        self._opened = False
        self._stopping = False
        self._trouble = ""

    @property
    def opened(self) -> bool:
        """Whether the sink could be opened."""
        return self._opened

    def wake(self) -> None:
        """Look for deliveries now. Call it on the lane's event loop."""
        self._wake.set()

    def stop(self) -> None:
        """Claim nothing more; what is in flight goes on. Call it on the lane's event loop."""
        self._stopping = True
        self._wake.set()

    async def run(self, poll_interval: float) -> None:
        """Deliver what is due and wait for more until :meth:`stop`; when cancelled, what is in flight goes back to the
        outbox.
        """
        async with anyio.create_task_group() as calls:
            while not self._stopping:
                self._wake = anyio.Event()
                with anyio.move_on_after(await self._round(calls, poll_interval)):
                    await self._wake.wait()

    async def run_due(self) -> int:
        """Deliver everything that is due now; returns how many deliveries that were."""
        total = 0
        async with anyio.create_task_group() as calls:
            while await self._ready() and (claimed := await self._claim_and_start(calls)):
                total += claimed
        return total

    async def close(self) -> None:
        """Close the sink, if it was opened."""
        if self._opened:
            try:
                await self.sink.close()
            except BaseException as error:
                if _is_stop(error):
                    raise
                self._sink_failed(f"close() raised {describe_exception(error)}")

    # One round -----------------------------------------------------------------------------------------------------

    async def _round(self, calls: TaskGroup, poll_interval: float) -> float:
        """Start what is due; returns the seconds to wait before the next look."""
        if not await self._ready():
            return _TROUBLE_WAIT
        try:
            due_at = await self._line.store(self._line.outbox.next_due, self.sink.name)
            claimed = due_at is not None and due_at <= self._clock() and await self._claim_and_start(calls)
        except Exception as error:
            self._in_trouble("The outbox is not available; deliveries wait.", _why(error))
            return _TROUBLE_WAIT
        self._trouble = ""
        if claimed:
            return 0.0
        # Another process may store an earlier one meanwhile, so never sleep longer than the poll interval; and where
        # another took what was due, the next one is a poll interval away too.
        wait = math.inf if due_at is None else due_at - self._clock()
        return min(wait, poll_interval) if wait > 0 else poll_interval

    async def _ready(self) -> bool:
        if not self._opened:
            try:
                with anyio.fail_after(self.sink.deadline):
                    await self.sink.open()
            except BaseException as error:
                if _is_stop(error):
                    raise
                if self._in_trouble("A sink could not be opened; its deliveries wait.", describe_exception(error)):
                    self._line.ledger.count(Reason.SINK_UNAVAILABLE, subject=self.sink.name)
                    await self._line.save_ledger()
                return False
            self._opened = True
        return True

    async def _claim_and_start(self, calls: TaskGroup) -> int:
        """Claim what the free calls of the sink can take, and start them. Waits until at least one is free."""
        await self._room.acquire()
        free = 1 + self._room.value
        try:
            batches = await self._claim(free)
        finally:
            self._room.release()
        for batch in batches[:free]:
            self._room.acquire_nowait()  # nobody else takes room, so what was free still is
            calls.start_soon(self._deliver_in_room, batch)
        await self._give_back([claim for batch in batches[free:] for claim in batch])
        return sum(map(len, batches[:free]))

    async def _give_back(self, claims: Sequence[Claim]) -> None:
        if claims:
            with anyio.CancelScope(shield=True):
                await self._line.store(self._line.outbox.release, claims)

    async def _claim(self, calls: int) -> list[Sequence[Claim]]:
        """What ``calls`` calls of the sink can take, in the batches it allows."""
        if self._stopping:
            return []
        limit = calls * (self.sink.batch.size if self.sink.batch else 1)
        claims = await self._line.store(
            self._line.outbox.claim, self.sink.name, limit, self.sink.deadline + _LEASE_MARGIN
        )
        return list(_batches(claims, self.sink.batch))

    async def _deliver_in_room(self, claims: Sequence[Claim]) -> None:
        try:
            await self._deliver(claims)
        except Exception as error:  # a bug of ours must not end the other lanes
            log.error(
                "Delivering failed; it is tried again when the lease ends.",
                sink=self.sink.name,
                error=describe_exception(error),
            )
        finally:
            self._room.release()

    async def _deliver(self, claims: Sequence[Claim]) -> None:
        started_at, start = self._clock(), time.perf_counter()
        try:
            outcomes = await self._outcomes(claims)
        except anyio.get_cancelled_exc_class():
            with contextlib.suppress(OutboxError):
                await self._give_back(claims)
            raise
        duration = time.perf_counter() - start
        settlements = [
            self._settlement(claim, outcome, started_at, duration)
            for claim, outcome in zip(claims, outcomes, strict=True)
        ]
        # What the sink has done is done: write it down even when we are asked to stop.
        with anyio.CancelScope(shield=True):
            await self._settle(settlements, outcomes)

    async def _outcomes(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        """What the sink says; an exception, a hang or a wrong answer of its own becomes a :class:`Retry` for each."""
        try:
            with anyio.move_on_after(self.sink.deadline):
                return _checked(await self.sink.deliver([claim.delivery for claim in claims]), len(claims))
            reason = f"the sink took longer than its deadline of {self.sink.deadline:g} s"
        except _BrokenContract as error:
            reason = str(error)
        except BaseException as error:
            if _is_stop(error):
                raise
            reason = f"the sink raised {describe_exception(error)}"
        self._sink_failed(reason, n=len(claims))
        return [Retry(reason)] * len(claims)

    def _sink_failed(self, reason: str, n: int = 1) -> None:
        self._line.ledger.count(Reason.SINK_FAILED, subject=self.sink.name, n=n)
        log.error("A sink broke its contract; that is a bug in it.", sink=self.sink.name, error=reason)

    def _in_trouble(self, sentence: str, why: str) -> bool:
        """Whether this is news: trouble is told once, not for every try."""
        news = self._trouble != (told := f"{sentence} {why}")
        if news:
            log.error(sentence, sink=self.sink.name, error=why)
        self._trouble = told
        return news

    # Settling ------------------------------------------------------------------------------------------------------

    def _settlement(self, claim: Claim, outcome: Outcome, started_at: float, duration: float) -> Settlement:
        now = self._clock()
        settle = partial(Settlement, claim, started_at=started_at, duration=duration, detail=outcome.detail)
        used = claim.used + 1
        match outcome:
            case Delivered():
                return settle(state=DeliveryState.DONE, outcome="delivered", used=used, due_at=now)
            case Rejected(reason=reason):
                return settle(state=DeliveryState.DEAD, outcome="rejected", used=used, due_at=now, reason=_kept(reason))
            case Retry(counts=False, reason=reason, after=after):
                wait = self.sink.retry.wait_uncounted(claim.used, after)
                return settle(
                    state=DeliveryState.PENDING,
                    outcome="retry",
                    used=claim.used,
                    due_at=now + wait,
                    reason=_kept(reason),
                )
            case Retry(reason=reason, after=after):
                next_wait = self.sink.retry.wait_after(used, after)
                if next_wait is None:
                    given_up = f"given up after {used} attempts: {_kept(reason)}"
                    return settle(state=DeliveryState.DEAD, outcome="retry", used=used, due_at=now, reason=given_up)
                return settle(
                    state=DeliveryState.PENDING,
                    outcome="retry",
                    used=used,
                    due_at=now + next_wait,
                    reason=_kept(reason),
                )

    async def _settle(self, settlements: Sequence[Settlement], outcomes: Sequence[Outcome]) -> None:
        try:
            await self._write_down(settlements)
        except OutboxError as error:
            log.error(
                "An outcome could not be written down; the delivery is made again.",
                sink=self.sink.name,
                error=str(error),
            )
            return
        await self._line.save_ledger()
        for settlement, outcome in zip(settlements, outcomes, strict=True):
            self._tell(settlement, outcome)

    async def _write_down(self, settlements: Sequence[Settlement]) -> None:
        """Settle, once more while the outbox is not available and the lease holds: nobody wants a delivery twice."""
        last_try = anyio.current_time() + _LEASE_MARGIN - _TROUBLE_WAIT
        while True:
            try:
                await self._line.store(self._line.outbox.settle, settlements)
            except OutboxUnavailable:
                if self._stopping or anyio.current_time() >= last_try:
                    raise
                await anyio.sleep(_TROUBLE_WAIT)
            else:
                return

    def _tell(self, settlement: Settlement, outcome: Outcome) -> None:
        delivery = settlement.claim.delivery
        write = log.warning if settlement.state is DeliveryState.DEAD else log.debug
        write(
            "A delivery was settled.",
            sink=delivery.sink,
            event_id=delivery.event_id,
            event_type=delivery.event_type,
            attempt=delivery.attempt,
            state=str(settlement.state),
            reason=settlement.reason,
        )
        for result in self._line.plugins.call("delivery_settled", delivery=delivery, outcome=outcome):
            if result.error:
                self._line.ledger.count(Reason.LISTENER_FAILED, subject=result.plugin, event_type=delivery.event_type)
                log.error(
                    "A plugin's hook raised.",
                    plugin=result.plugin,
                    hook="delivery_settled",
                    error=describe_exception(result.error),
                )


def _is_stop(error: BaseException) -> bool:
    """Whether it is us who are asked to stop. Anything else that a sink raises, were it ``SystemExit``, is the sink's."""
    return isinstance(error, KeyboardInterrupt) or anyio.current_effective_deadline() == -math.inf


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, OutboxError) else describe_exception(error)


def _checked(outcomes: Any, count: int) -> Sequence[Outcome]:
    """``outcomes``, when they are what :meth:`Sink.deliver` promises, so that they can be written down."""
    if not isinstance(outcomes, Sequence) or len(outcomes) != count:
        raise _BrokenContract(f"deliver() must return one outcome for each delivery, here a list of {count}")
    for outcome in outcomes:
        if not isinstance(outcome, Delivered | Retry | Rejected):
            raise _BrokenContract("an outcome is a Delivered, a Retry or a Rejected")
        if isinstance(outcome, Retry) and not isinstance(outcome.after, int | float | None):
            raise _BrokenContract("Retry.after is a number of seconds, or None")
        try:
            json.dumps(dict(outcome.detail), default=str)
        except (TypeError, ValueError):
            raise _BrokenContract("the detail of an outcome is a mapping of text to JSON values") from None
    return outcomes


def _kept(reason: object) -> str:
    """A reason as the outbox can hold it: text, not long, without lone surrogates."""
    return str(reason)[:_LONG_REASON].encode("utf-8", "replace").decode("utf-8")


def _batches(claims: Sequence[Claim], policy: BatchPolicy | None) -> Iterator[Sequence[Claim]]:
    """The claims in the calls that the sink's policy allows, in order; one that is too large for any call goes alone."""
    if policy is None:
        policy = BatchPolicy(size=1)
    batch: list[Claim] = []
    room = policy.max_bytes
    for claim in claims:
        size = len(claim.delivery.body)
        if batch and (len(batch) >= policy.size or (room is not None and size > room)):
            yield batch
            batch, room = [], policy.max_bytes
        batch.append(claim)
        room = None if room is None else room - size
    if batch:
        yield batch


class Dispatcher:
    """Every sink's lane on one event loop."""

    def __init__(
        self,
        sinks: Sequence[Sink[Any]],
        outbox: Outbox,
        plugins: Plugins,
        ledger: Ledger,
        *,
        poll_interval: float = 0.5,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.lanes = [Lane(sink, outbox, plugins, ledger, clock=clock) for sink in sinks]
        self._poll_interval = poll_interval
        self._stopping = anyio.Event()
        self._grace = 0.0

    async def run(self) -> None:
        """Deliver until :meth:`stop`."""
        try:
            async with anyio.create_task_group() as lanes:
                for lane in self.lanes:
                    lanes.start_soon(lane.run, self._poll_interval)
                await self._stopping.wait()
                lanes.cancel_scope.deadline = anyio.current_time() + self._grace
                for lane in self.lanes:
                    lane.stop()
        finally:
            await self._close()

    async def run_until_empty(self) -> int:
        """Deliver until nothing is due; returns how many deliveries that were. What is due later stays."""
        total = 0
        try:
            while made := await self._run_due():
                total += made
        finally:
            await self._close()
        return total

    async def _run_due(self) -> int:
        made: list[int] = []

        async def run_due(lane: Lane) -> None:
            made.append(await lane.run_due())

        async with anyio.create_task_group() as lanes:
            for lane in self.lanes:
                lanes.start_soon(run_due, lane)
        return sum(made)

    def wake(self) -> None:
        """Look for deliveries now. Call it on the dispatcher's event loop."""
        for lane in self.lanes:
            lane.wake()

    def stop(self, grace: float = 10.0) -> None:
        """End :meth:`run` once what is in flight is finished; after ``grace`` seconds the rest goes back to the outbox.

        Call it on the dispatcher's event loop.
        """
        self._grace = grace
        self._stopping.set()

    async def _close(self) -> None:
        with anyio.move_on_after(_CLOSE_WAIT, shield=True):
            async with anyio.create_task_group() as closing:
                for lane in self.lanes:
                    closing.start_soon(lane.close)


class _Run:
    """One life of the dispatcher's thread."""

    def __init__(self, make: Callable[[], Dispatcher]) -> None:
        self.thread = threading.Thread(target=self._live, name="supertokens-events-dispatch", daemon=True)
        self._make = make
        self._lock = threading.Lock()
        self._running: tuple[asyncio.AbstractEventLoop, Dispatcher] | None = None
        self._asked: list[Callable[[Dispatcher], None]] = []

    def ask(self, method: Callable[[Dispatcher], None]) -> None:
        """Have the dispatcher's event loop call ``method``, when it is there."""
        with self._lock:
            if self._running is None:
                self._asked.append(method)
                return
            loop, dispatcher = self._running
        with contextlib.suppress(RuntimeError):  # the loop has just ended
            loop.call_soon_threadsafe(method, dispatcher)

    def _live(self) -> None:
        try:
            anyio.run(self._deliver, backend="asyncio")
        except Exception as error:  # a bug of ours; the next wake starts a new thread
            log.error("The dispatcher ended; it starts again with the next event.", error=describe_exception(error))

    async def _deliver(self) -> None:
        dispatcher = self._make()
        with self._lock:
            self._running = asyncio.get_running_loop(), dispatcher
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
            run.ask(partial(Dispatcher.stop, grace=timeout))
            if run.thread is not threading.current_thread():
                run.thread.join(timeout + 1.0)

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

    def _start_anew(self) -> None:
        """After a fork: the thread is not in the child. Its event loop stays: closing it would close the parent's too."""
        with self._forked:
            if self._pid != os.getpid():
                self._lock = threading.Lock()
                self._run, self._inherited = None, self._run
                self._pid = os.getpid()  # last: whoever sees it sees the rest
