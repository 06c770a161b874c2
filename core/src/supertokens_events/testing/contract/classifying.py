"""What the place says, and what the sink makes of it: the outcome decides when, and whether, it is asked again."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest

from supertokens_events.sink import Delivered, Rejected, Retry, Sink
from supertokens_events.testing.contract.base import Base, all_delivered
from supertokens_events.testing.place import Place
from supertokens_events.testing.stalls import LoopWatch

__all__ = ["Classifying"]

_WAIT = 120.0  # seconds that a busy place asks for
_MANY = 50  # deliveries in one call, where a sink's batches may be larger
_SLACK = 2.0  # seconds, of what is written as a date, or passes meanwhile


class Classifying(Base):
    """The place does not take everything."""

    def test_a_refusal_is_final(self, sink: Sink[Any], place: Place) -> None:
        """An event that the place never takes is ``Rejected``, with a reason for people."""
        self.asks_for("can_refuse")
        place.refuse()

        (outcome,) = self.run_once(sink, [self.delivery()])

        assert isinstance(outcome, Rejected), outcome
        assert outcome.reason.strip()

    def test_a_busy_place_is_asked_later(self, sink: Sink[Any], place: Place) -> None:
        """A place that asks for patience gets it: ``Retry``, ``after`` what it says."""
        self.asks_for("can_be_busy")
        place.be_busy(_WAIT)

        (outcome,) = self.run_once(sink, [self.delivery()])

        assert isinstance(outcome, Retry), outcome
        assert outcome.reason.strip()
        if self.says_when:
            assert outcome.after is not None, (
                "the place said when, and the outcome does not (`says_when = False`: it cannot)"
            )
            assert outcome.after == pytest.approx(_WAIT, abs=_SLACK)

    def test_a_place_that_is_away_is_told(self, sink: Sink[Any], place: Place) -> None:
        """Out of reach is ``Retry(away=True)``, so that a probe goes out and not everything; ``check()`` and ``open()`` bear
        with it.
        """
        self.asks_for("can_be_away")
        place.go_away()

        (outcome,) = self.run_once(sink, [self.delivery()])
        problems = self.run(sink.check)

        assert isinstance(outcome, Retry), outcome
        assert outcome.away, f"any other event would have fared the same: {outcome}"
        assert outcome.reason.strip()
        assert all(one.strip() for one in problems)

    def test_a_place_that_comes_back_is_found(self, sink: Sink[Any], place: Place) -> None:
        """The same sink delivers again once the place is back: it does not stay with a broken connection."""
        self.asks_for("can_be_away")
        before, meanwhile, after = self.deliveries(3)

        async def there_and_back() -> None:
            async with self.opened(sink):
                await self.deliver(sink, [before])
                place.go_away()
                await self.deliver(sink, [meanwhile])
                place.take()
                told.extend(await self.deliver(sink, [after]))

        told: list[Any] = []
        self.run(there_and_back)

        assert all_delivered(told), told
        assert after.event_id in self.arrived(place, [before, after])

    def test_garbage_is_no_exception(self, sink: Sink[Any], place: Place) -> None:
        """Whatever nonsense the place answers, there is an outcome: ``Delivered`` only where the place took the event, else with
        a reason.
        """
        self.asks_for("is_remote")
        assert place.garbage, f"{type(place).__name__}.garbage is empty: what nonsense can it answer?"
        failed: dict[str, str] = {}
        for number, garbage in enumerate(place.garbage, start=1):
            delivery = self.delivery(number=number)
            place.answer(garbage)
            try:
                (outcome,) = self.run_once(sink, [delivery])
            except pytest.fail.Exception as failure:
                failed[garbage] = str(failure)
            else:
                if isinstance(outcome, Delivered):
                    if not self.arrived(place, [delivery]):
                        failed[garbage] = (
                            f"the place did not take it (it is not in `received`), and the sink says {outcome}"
                        )
                elif not outcome.reason.strip():
                    failed[garbage] = f"{outcome}"

        if failed:
            pytest.fail("\n".join(f"{garbage}: {why}" for garbage, why in failed.items()), pytrace=False)

    def test_a_place_that_hangs_is_left(self, sink: Sink[Any], place: Place) -> None:
        """Within its deadline a call gives up by itself, as ``Retry``: a timeout of its own says best what hung."""
        self.asks_for("is_remote")
        place.hang()

        (outcome,) = self.run_once(sink, [self.delivery()])

        assert isinstance(outcome, Retry), outcome

    def test_the_event_loop_goes_on(self, sink: Sink[Any], place: Place) -> None:
        """While a sink opens, delivers, closes or is asked, other sinks deliver on the same loop: nothing in it blocks."""
        remote = getattr(self, "is_remote", False)
        size = min(sink.batch.size, _MANY) if sink.batch else 1
        first, second, third = (self.deliveries(3 * size)[begin : begin + size] for begin in range(0, 3 * size, size))
        blocked: dict[str, str] = {}

        async def watched(method: str, call: Awaitable[object]) -> None:
            watch = LoopWatch()
            try:
                with watch.watching():
                    await call
            finally:
                if watch.blocked_at:
                    blocked.setdefault(method, watch.blocked_at)

        async def live() -> None:
            await sink.check()
            await self.deliver_once(sink, first)  # what the first time imports is not what is looked for
            await watched("check", sink.check())
            await watched("open", sink.open())
            try:
                await watched("deliver", self.deliver(sink, second))
                if remote:
                    place.hang()
                await watched("deliver", self.deliver(sink, third[:1] if remote else third))
            finally:
                await watched("close", sink.close())

        try:
            self.run(live)
        except pytest.fail.Exception:
            if not blocked:
                raise

        if blocked:
            told = (f"{method}() blocked the event loop here:\n{where}" for method, where in blocked.items())
            pytest.fail("\n".join(told), pytrace=False)
