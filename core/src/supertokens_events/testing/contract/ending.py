"""How calls and sinks end, and begin again."""

from __future__ import annotations

import gc
import os
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anyio
import pytest

from supertokens_events.log import describe_exception
from supertokens_events.sink import Delivery, Sink
from supertokens_events.testing.contract.base import Base, all_delivered
from supertokens_events.testing.place import Place

__all__ = ["Ending"]

_BEFORE = 0.15  # seconds that a call has when it is cancelled
_PROMPT = 2.0  # seconds in which it has to end then
_GOING = 2.0  # seconds in which a connection that was closed is gone at the other side, too


class Ending(Base):
    """Cancelled, closed, opened again, forked."""

    def test_it_can_be_cancelled(self, sink: Sink[Any], place: Place) -> None:
        """A call that is cancelled ends at once, and says so: the dispatcher stops, or its deadline has passed."""
        self.asks_for("is_remote")
        place.hang()

        async def cancelled() -> tuple[bool, float]:
            async with self.opened(sink):
                with anyio.move_on_after(_BEFORE) as scope:
                    await self.call(sink, [self.delivery()])
                return scope.cancelled_caught, anyio.current_time() - scope.deadline

        caught, late = self.run(cancelled)

        assert caught or late > 0, (
            f"a place that hangs was given up after {_BEFORE:g} s: let `sink_settings` leave it more"
        )
        assert caught, "deliver() swallowed the cancellation and returned"
        assert late < _PROMPT, f"deliver() went on for {late:.1f} s after it was cancelled"

    def test_it_delivers_after_a_cancelled_call(self, sink: Sink[Any], place: Place) -> None:
        """What a cancelled call leaves behind does not disturb the next one: nothing stays locked or half sent."""
        self.asks_for("is_remote")
        before, after = self.deliveries(2)

        async def again() -> Any:
            async with self.opened(sink):
                place.hang()
                with anyio.move_on_after(_BEFORE):
                    await self.call(sink, [before])
                place.take()
                return await self.deliver(sink, [after])

        assert all_delivered(self.run(again))
        assert self.arrived(place, [after]) == [after.event_id]

    def test_it_can_be_closed_at_any_time(self, sink: Sink[Any], place: Place) -> None:
        """``close()`` is fine without ``open()``, and twice."""

        async def close() -> None:
            await sink.close()
            await sink.open()
            await sink.close()
            await sink.close()

        try:
            self.run(close)
        except Exception as error:
            pytest.fail(f"close() raised {describe_exception(error)}", pytrace=False)

    def test_it_opens_again(self, sink: Sink[Any], place: Place) -> None:
        """A sink that was closed can be opened again, on another event loop, too, and delivers."""
        first, second = self.deliveries(2)

        assert all_delivered(self.run_once(sink, [first]))
        assert all_delivered(self.run_once(sink, [second]))
        assert self.arrived(place, [first, second]) == [first.event_id, second.event_id]

    def test_it_gives_back_what_it_opened(self, sink: Sink[Any], place: Place) -> None:
        """After ``close()`` no connection is open, and nothing is left for the garbage collector to close."""
        gc.freeze()  # what was there before is not looked at: that would take long, and is not the sink's
        try:
            with warnings.catch_warnings(record=True) as told:
                warnings.simplefilter("always", ResourceWarning)
                self.run_once(sink, [self.delivery()])
                gc.collect()
        finally:
            gc.unfreeze()

        left = [str(one.message) for one in told if issubclass(one.category, ResourceWarning)]
        assert left == []
        assert _none_left(place), f"{place.connections()} connections are open after close()"

    def test_it_works_in_a_forked_child(self, sink_settings: Mapping[str, Any], place: Place, tmp_path: Path) -> None:
        """A server forks after it has delivered: the child's sink delivers, and then the parent's."""
        first, second, third = self.deliveries(3)

        def told(delivery: Delivery) -> str:
            return str(self.run_once(self.build(sink_settings, tmp_path), [delivery])[0])

        before, in_child, after = told(first), _in_child(lambda: told(second)), told(third)

        assert [one.startswith("Delivered") for one in (before, in_child, after)] == [True] * 3, (
            before,
            in_child,
            after,
        )
        assert set(self.arrived(place, [first, second, third])) == {one.event_id for one in (first, second, third)}


def _none_left(place: Place) -> bool:
    """Whether the last connection has gone; the other side hears of it a moment later."""
    deadline = time.monotonic() + _GOING
    while place.connections() and time.monotonic() < deadline:
        time.sleep(0.01)
    return not place.connections()


def _in_child(function: Callable[[], str]) -> str:
    """What ``function`` returns in a forked child; an exception's text if it raised."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the place's thread does not touch what the child needs
        pid = os.fork()
    if pid == 0:
        try:
            answer = function()
        except BaseException as error:
            answer = describe_exception(error)
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return answer
