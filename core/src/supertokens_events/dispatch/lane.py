"""One sink's lane: what is due is claimed, delivered, settled.

A lane claims what its calls can take at once, and of a quick sink what they can take within a moment after. A claim is a lease:
a dispatcher that dies gives its deliveries back by itself.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
from anyio.abc import TaskGroup

from supertokens_events.dispatch.batches import batches_of
from supertokens_events.dispatch.breaker import Breaker
from supertokens_events.dispatch.disabling import disabling
from supertokens_events.dispatch.line import Line, is_stop
from supertokens_events.dispatch.outcomes import BrokenContract, checked
from supertokens_events.dispatch.rate import RateLimit
from supertokens_events.dispatch.settlement import give_up, kept, settle
from supertokens_events.dispatch.settler import Settler
from supertokens_events.ledger import Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import GONE, Claim, DeliveryState, Look, OutboxError, Settlement
from supertokens_events.sink import Outcome, Retry, Sink

__all__ = ["Lane"]

log = get_logger(__name__)

_LEASE_MARGIN = 15.0  # seconds that a lease lasts beyond the sink's own deadline: time to write the outcome down
_TROUBLE_WAIT = 1.0  # seconds before the outbox or a sink that could not be opened is tried again
_GATHER = 0.002  # seconds that a lane with little room waits for more of it: claims are cheaper by the dozen
_AHEAD = 0.1  # seconds' worth of calls that are claimed ahead: claims are cheaper by the hundred,
_MOST_AHEAD = 100  # deliveries at most, were the sink ever so quick
_SMOOTH = 0.2  # of the latest call in what is known of how long a call takes
_UNSETTLED = 4  # times its concurrency: outcomes that a lane lets wait for a slow outbox
_OVERDUE = 100  # deliveries given up in one transaction


class Lane:
    """One sink's deliveries, on one event loop."""

    def __init__(self, sink: Sink[Any], line: Line) -> None:
        self.sink = sink
        self._line = line
        self._settler = Settler(
            line, sink.name, last_try=_LEASE_MARGIN / 2 - _TROUBLE_WAIT, pause=_TROUBLE_WAIT, settled=self._settled
        )
        self._breaker = Breaker()
        self._rate = RateLimit(sink.rate)
        self._size = sink.batch.size if sink.batch else 1
        self._lease = sink.deadline + _LEASE_MARGIN
        self._wake = anyio.Event()
        self._calls = 0
        self._ahead: deque[tuple[Sequence[Claim], float]] = deque()  # claimed for the next calls, and when
        self._call_takes = math.inf
        self._claimed = 0
        self._more = False  # worth a claim without a look: woken, or the last claim got all that it asked for
        self._limited = False  # the rate alone is why nothing more may begin now
        self._blocked = False  # something was due and could not be claimed: perhaps it waits for one in flight
        self._emptying = False
        self._disabled = False  # its place wants no more, or has just said so
        self._opened = False
        self._leading = False
        self._stopping = False
        self._trouble = ""

    @property
    def opened(self) -> bool:
        """Whether the sink could be opened."""
        return self._opened

    @property
    def leading(self) -> bool:
        """Whether it is this lane that delivers to the sink, where one does for all."""
        return self._leading

    def wake(self) -> None:
        """Look for deliveries now. Call it on the lane's event loop."""
        self._more = True
        self._wake.set()

    def stop(self) -> None:
        """Claim nothing more; what is in flight goes on. Call it on the lane's event loop."""
        self._stopping = True
        self._settler.hurry()
        self._wake.set()

    async def run(self, poll_interval: float) -> None:
        """Deliver what is due and wait for more until :meth:`stop`; when cancelled, what is in flight goes back to the
        outbox.
        """
        async with self._calling() as calls:
            while not self._stopping:
                self._wake = anyio.Event()
                with anyio.move_on_after(min(await self._round(calls, poll_interval), poll_interval)):
                    await self._wake.wait()

    async def run_due(self) -> int:
        """Deliver everything that is due now; returns how many deliveries that were. Does not ask for the lead: leases keep
        two dispatchers from the same delivery.
        """
        self._emptying = True
        before = self._claimed
        async with self._calling() as calls:
            while not self._stopping and await self._ready():
                self._wake = anyio.Event()
                if await self._turn(calls):
                    if self._limited:
                        await anyio.sleep(self._rate.wait)
                    elif not self._calls and not self._settler.unsettled:
                        break
                    else:
                        await self._wake.wait()
        return self._claimed - before

    async def close(self) -> None:
        """Close the sink, if it was opened, and give up its lead."""
        if self._opened:
            try:
                await self.sink.close()
            except BaseException as error:
                if is_stop(error):
                    raise
                self._sink_failed(f"close() raised {describe_exception(error)}")
        if self._leading:
            with contextlib.suppress(OutboxError):  # then its end comes with the outbox's, or with the process's
                await self._line.store(self._line.outbox.resign, self.sink.name)

    @contextlib.asynccontextmanager
    async def _calling(self) -> AsyncIterator[TaskGroup]:
        """Where calls are started; what was claimed for a call that did not begin goes back."""
        try:
            async with anyio.create_task_group() as calls:
                yield calls
        finally:
            with contextlib.suppress(OutboxError):
                await self._give_back([claim for claims, _ in self._ahead for claim in claims])
            self._ahead.clear()

    def _go_on(self) -> None:
        """There is room again."""
        if self._more or self._blocked or self._emptying or self._breaker.holds:
            self._wake.set()

    def _settled(self, batch: Sequence[Settlement]) -> None:
        """Outcomes were written down: what is tried again may be due before the next look, and so may its key's next."""
        if self.sink.ordered or any(settlement.state is DeliveryState.PENDING for settlement in batch):
            self._wake.set()
        self._go_on()

    # One round -----------------------------------------------------------------------------------------------------

    async def _round(self, calls: TaskGroup, poll_interval: float) -> float:
        """Start what is due; returns the seconds to wait before the next look."""
        try:
            if not await self._leads():
                return poll_interval
            wait = await self._turn(calls) if await self._ready() else _TROUBLE_WAIT
        except Exception as error:
            self._in_trouble("The outbox is not available; deliveries wait.", _why(error))
            return _TROUBLE_WAIT
        if self._opened:
            self._trouble = ""
        return wait

    async def _leads(self) -> bool:
        if not self._leading:
            self._leading = await self._line.store(self._line.outbox.lead, self.sink.name)
        return self._leading

    async def _ready(self) -> bool:
        if not self._opened:
            try:
                with anyio.fail_after(self.sink.deadline):
                    await self.sink.open()
            except BaseException as error:
                if is_stop(error):
                    raise
                if self._in_trouble("A sink could not be opened; its deliveries wait.", describe_exception(error)):
                    self._line.ledger.count(Reason.SINK_UNAVAILABLE, subject=self.sink.name)
                    await self._line.save_ledger()
                return False
            self._opened = True
        return True

    async def _turn(self, calls: TaskGroup) -> float:
        """Start what there is room for; returns the seconds until there may be more to do."""
        looked = not self._more or self._breaker.holds or self._disabled
        if looked:
            look = await self._line.store(self._line.outbox.look, self.sink.name)
            self._disabled = look.disabled or (self._disabled and self._settler.unsettled > 0)
            if look.disabled:
                return math.inf
            if look.probe_in is not None or self._breaker.holds:
                return await self._turn_while_held(look)
            if look.due_in is None or look.due_in > 0:
                self._blocked = False
                return math.inf if look.due_in is None else look.due_in
        self._start_calls(calls)  # for what may lie ahead still, when a call has ended in trouble
        free = await self._room()
        self._limited = self._rate.free < 1
        if not free:
            return self._rate.wait or math.inf
        claims = await self._claim(free)
        self._more = len(claims) >= free * self._size
        self._blocked = looked and not claims
        await self._start(calls, claims, free)
        return math.inf if self._blocked else 0.0

    async def _turn_while_held(self, look: Look) -> float:
        """The same while the breaker is open, or this lane suspects that it should be: only a probe goes out."""
        if self._breaker.closing:
            return math.inf
        if self._breaker.open != (look.probe_in is not None):
            await self._follow_others()
            return 0.0
        if look.due_in is None:
            return math.inf
        if wait := max(look.due_in, self._breaker.probe_in if look.probe_in is None else look.probe_in):
            return wait
        if look.probe_in is not None and not await self._line.store(
            self._line.outbox.take_probe, self.sink.name, self._lease
        ):
            return math.inf
        batches = list(batches_of(await self._claim(1), self.sink.batch))
        await self._give_back([claim for batch in batches[1:] for claim in batch])
        if not batches:
            return math.inf
        await self._probe(batches[0])
        return 0.0

    async def _room(self) -> int:
        """How many calls of the sink may be claimed for now."""
        if self._calls and 2 * self._free() < self._at_once():
            await anyio.sleep(_GATHER)
        return self._free()

    def _free(self) -> int:
        if self._settler.unsettled >= _UNSETTLED * self.sink.concurrency * self._size:
            return 0
        return int(max(0, min(self._at_once() - self._calls - len(self._ahead), self._rate.free)))

    def _at_once(self) -> int:
        """How many calls are claimed for: those under way, and what comes right after them. With a rate it is the rate that says
        when a call may begin, so nothing is claimed ahead.
        """
        if self.sink.rate is not None:
            return self.sink.concurrency
        soon = self.sink.concurrency * _AHEAD / max(self._call_takes, _AHEAD / _MOST_AHEAD)
        return self.sink.concurrency + int(min(soon, _MOST_AHEAD // self._size))

    async def _claim(self, calls: int) -> list[Claim]:
        """What that many calls of the sink can take."""
        if self._stopping or self._disabled:
            return []
        claims = await self._line.store(self._line.outbox.claim, self.sink.name, calls * self._size, self._lease)
        self._claimed += len(claims)
        return claims

    async def _start(self, calls: TaskGroup, claims: Sequence[Claim], free: int) -> None:
        """Start a call for each batch; what needs more calls than there are goes back."""
        batches = list(batches_of(claims, self.sink.batch))
        self._rate.take(len(batches[:free]))
        now = anyio.current_time()
        self._ahead.extend((batch, now) for batch in batches[:free])
        self._start_calls(calls)
        await self._give_back([claim for batch in batches[free:] for claim in batch])

    def _start_calls(self, calls: TaskGroup) -> None:
        for _ in range(min(self.sink.concurrency - self._calls, len(self._ahead))):
            self._calls += 1
            calls.start_soon(self._call)

    async def _give_back(self, claims: Sequence[Claim]) -> None:
        if claims:
            self._claimed -= len(claims)
            with anyio.CancelScope(shield=True):
                await self._line.store(self._line.outbox.release, claims)

    # One call ------------------------------------------------------------------------------------------------------

    async def _call(self) -> None:
        """One call after the other, while something is claimed ahead."""
        try:
            while self._ahead:
                await self._call_in_time()
        except Exception as error:  # a bug of ours must not end the other lanes
            log.error(
                "Delivering failed; it is tried again when the lease ends.",
                sink=self.sink.name,
                error=describe_exception(error),
            )
        finally:
            self._calls -= 1
            self._go_on()

    async def _call_in_time(self) -> None:
        """Calls up to the first that outlasts the sink's deadline. They share one scope: to enter and leave one for each was
        a good part of what a lane cost.
        """
        claims: Sequence[Claim] = ()
        began = 0.0
        with anyio.CancelScope() as limit:
            while not limit.cancel_called and (claims := await self._next()):
                began = anyio.current_time()
                limit.deadline = began + self.sink.deadline
                outcomes = await self._outcomes(claims, limit)
                limit.deadline = math.inf
                await self._called(claims, outcomes, began)
        if limit.cancelled_caught:
            await self._called(claims, self._too_late(claims), began)

    async def _next(self) -> Sequence[Claim]:
        """What was claimed ahead. It goes back when it has waited so long that its lease could end during the call, when
        nothing but a probe may go out or nothing at all, and when we are to stop.
        """
        now = anyio.current_time()
        stale: list[Claim] = []
        next_ones: Sequence[Claim] = ()
        while self._ahead and not next_ones:
            claims, claimed_at = self._ahead.popleft()
            held_back = self._breaker.holds or self._disabled or self._stopping
            if now - claimed_at < _LEASE_MARGIN / 2 and not held_back:
                next_ones = claims
            else:
                stale += claims
        with contextlib.suppress(OutboxError):  # then their leases end
            await self._give_back(stale)
        return next_ones

    async def _called(self, claims: Sequence[Claim], outcomes: Sequence[Outcome], began: float) -> None:
        """Go by what a call came to, which ends now."""
        took = anyio.current_time() - began
        self._call_takes = (
            took if math.isinf(self._call_takes) else self._call_takes + _SMOOTH * (took - self._call_takes)
        )
        await self._came_to(claims, outcomes, began, took)

    async def _outcomes(self, claims: Sequence[Claim], limit: anyio.CancelScope) -> Sequence[Outcome]:
        """What the sink says; an exception or a wrong answer of its own becomes a :class:`Retry` for each. When we are
        cancelled, but for ``limit``, the claims go back.
        """
        try:
            return checked(await self.sink.deliver([claim.delivery for claim in claims]), len(claims))
        except BrokenContract as error:
            reason = str(error)
        except BaseException as error:
            if limit.cancel_called and isinstance(error, anyio.get_cancelled_exc_class()):
                raise
            if is_stop(error) and not limit.cancel_called:
                with contextlib.suppress(OutboxError):
                    await self._give_back(claims)
                raise
            reason = f"the sink raised {describe_exception(error)}"
        return self._broken(claims, reason)

    def _too_late(self, claims: Sequence[Claim]) -> Sequence[Outcome]:
        return self._broken(claims, f"the sink took longer than its deadline of {self.sink.deadline:g} s")

    def _broken(self, claims: Sequence[Claim], reason: str) -> Sequence[Outcome]:
        self._sink_failed(reason, n=len(claims))
        return [Retry(reason)] * len(claims)

    async def _came_to(
        self, claims: Sequence[Claim], outcomes: Sequence[Outcome], began: float, duration: float
    ) -> None:
        """Have a call's outcomes written down first; the breaker follows from them."""
        closes = self._breaker.heard(claims, outcomes, began)
        self._disabled = self._disabled or disabling(outcomes)
        await self._settler.add(
            [
                (settle(claim, outcome, self.sink.retry, duration=duration), outcome)
                for claim, outcome in zip(claims, outcomes, strict=True)
            ]
        )
        if closes:
            await self._close_breaker()

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

    # The breaker ---------------------------------------------------------------------------------------------------

    async def _close_breaker(self) -> None:
        try:
            with anyio.CancelScope(shield=True):
                due = await self._line.store(self._line.outbox.close_breaker, self.sink.name)
            self._tell_closed("A sink's place is back; what waited for it is due.", due)
        finally:
            self._breaker.closing = False  # open still, if that could not be stored: then the next probe closes it
            self.wake()

    async def _follow_others(self) -> None:
        """The outbox knows better: another dispatcher has opened or closed it, or it was open before we began."""
        stored = (await self._line.store(self._line.outbox.breakers)).get(self.sink.name)
        if stored is None and self._breaker.open:
            self._tell_closed("A sink's place is back, as another dispatcher has found out.")
        elif stored is not None and not self._breaker.open:
            self._breaker.found_open(stored)
            self._tell_opened(
                "A sink's place was found to be away; its deliveries wait.", stored.reason, stored.detail, found=True
            )

    def _tell_opened(self, sentence: str, reason: str, detail: Mapping[str, Any], *, found: bool = False) -> None:
        failing_for = self._breaker.failing_for
        log.warning(sentence, sink=self.sink.name, error=reason, seconds=round(failing_for, 1))
        self._line.listeners.tell(
            "breaker_opened",
            sink=self.sink.name,
            reason=reason,
            detail=dict(detail),
            failing_for=failing_for,
            elsewhere=found,
        )

    def _tell_closed(self, sentence: str, due: int | None = None) -> None:
        failing_for = self._breaker.failing_for
        self._breaker.closed()
        log.info(sentence, sink=self.sink.name, deliveries=due, seconds=round(failing_for, 1))
        self._line.listeners.tell(
            "breaker_closed", sink=self.sink.name, failing_for=failing_for, due=due, elsewhere=due is None
        )

    async def _probe(self, claims: Sequence[Claim]) -> None:
        """One call to see whether the place is there. If it is not, the delivery has used up nothing."""
        began = anyio.current_time()
        self._rate.take(1)
        with anyio.move_on_after(self.sink.deadline) as limit:
            outcomes = await self._outcomes(claims, limit)
        if limit.cancelled_caught:
            outcomes = self._too_late(claims)
        with anyio.CancelScope(shield=True):
            if any(not isinstance(outcome, Retry) for outcome in outcomes):
                await self._came_to(claims, outcomes, began, anyio.current_time() - began)
            else:
                await self._give_back(claims)
                failure = _first_failure(outcomes)
                if len(await self._line.not_erased(claims)) < len(claims):
                    failure = Retry(GONE)  # it may repeat what is erased by now
                await self._open_breaker(claims, outcomes, failure)
                await self._give_up_overdue(kept(failure.reason))

    async def _open_breaker(self, claims: Sequence[Claim], outcomes: Sequence[Outcome], failure: Retry) -> None:
        if self._breaker.closing:  # a call that was in flight has just succeeded
            return
        probe_in = self._breaker.probe_failed(outcomes)
        reason = kept(failure.reason)
        await self._line.store(
            self._line.outbox.open_breaker,
            self.sink.name,
            failing_for=self._breaker.failing_for,
            probe_in=probe_in,
            reason=reason,
            detail=failure.detail,
            about=[claim.delivery.event_id for claim in claims],
        )
        if self._breaker.is_news_that_it_is_open():
            self._tell_opened("A sink's place is away; its deliveries wait.", reason, failure.detail)

    async def _give_up_overdue(self, reason: str) -> None:
        """What has waited for as long as a place is given waits no more, even if nothing but probes went out."""
        overdue = self._line.outbox.claim_overdue, self.sink.name, _OVERDUE, self._lease, self.sink.retry.patience
        while not self._stopping and (claims := await self._line.store(*overdue)):
            await self._settler.add([give_up(claim, reason) for claim in claims])


def _why(error: Exception) -> str:
    return str(error) if isinstance(error, OutboxError) else describe_exception(error)


def _first_failure(outcomes: Sequence[Outcome]) -> Retry:
    return next(outcome for outcome in outcomes if isinstance(outcome, Retry))
