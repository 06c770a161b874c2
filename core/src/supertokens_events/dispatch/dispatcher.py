"""The dispatcher: every sink's lane on one event loop, and the outbox kept in order."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from functools import partial
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from supertokens_events.dispatch.keeper import Keeper, Keeping
from supertokens_events.dispatch.lane import Lane
from supertokens_events.dispatch.line import Aside, Line, in_threads
from supertokens_events.dispatch.listeners import Listeners
from supertokens_events.dispatch.notices import Tell, tell_nobody
from supertokens_events.dispatch.pulse import Heart
from supertokens_events.ledger import Ledger
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Outbox, OutboxError, save_hook_times
from supertokens_events.plugins import Plugins
from supertokens_events.sink import Sink

__all__ = ["Dispatcher", "Supply"]

log = get_logger(__name__)

_CLOSE_WAIT = 5.0  # seconds that sinks have to close
_REPLACED_GRACE = 10.0  # seconds that what is in flight to a sink that changed gets to finish
_LOOK_EVERY = 1.0  # seconds
_SAVE_TIMES_EVERY = 5.0  # seconds


class Supply(Protocol):
    """Which sinks there should be, where that may change."""

    def look(self) -> None:
        """Look for a change. May block; called now and then, off the event loop."""
        ...

    def sinks(self) -> Sequence[Sink[Any]] | None:
        """All that there should be, the same object for one that stays as it is; ``None``: as they are. Called on the event
        loop.
        """
        ...


class Dispatcher:
    """Every sink's lane. ``supply`` is asked now and then whether ``sinks`` have changed. ``aside`` makes, for each lane, what
    runs the outbox's blocking calls; by default, in threads. ``notices`` is told what was settled. It gives a sign of
    life every ``pulse`` seconds. ``chores`` run beside the lanes, until they are cancelled.
    """

    def __init__(
        self,
        sinks: Sequence[Sink[Any]],
        outbox: Outbox,
        plugins: Plugins,
        ledger: Ledger,
        *,
        poll_interval: float = 0.5,
        pulse: float = 10.0,
        keeping: Keeping | None = None,
        supply: Supply | None = None,
        aside: Callable[[], Aside] = in_threads,
        notices: Tell = tell_nobody,
        chores: Sequence[Callable[[], Coroutine[Any, Any, None]]] = (),
    ) -> None:
        self._listeners = Listeners(plugins, ledger)
        self._make_line: Callable[[], Line] = lambda: Line(outbox, self._listeners, ledger, aside(), notices)
        self.lanes = [Lane(sink, self._make_line()) for sink in sinks]
        self._scopes: dict[Lane, anyio.CancelScope] = {}
        self._leaving: dict[Lane, anyio.Event] = {}
        self._at_work: dict[Lane, None] = {}
        self._running: TaskGroup | None = None
        self._supply = supply
        self._chores = chores
        self._beside = aside()
        self._outbox = outbox
        self._times = plugins.times
        beside = self._make_line()
        self._keeper = Keeper(beside, keeping or Keeping())
        self._heart = Heart(beside, self._leads, pulse)
        self._poll_interval = poll_interval
        self._stopping = anyio.Event()
        self._grace = 0.0

    async def run(self) -> None:
        """Deliver until :meth:`stop`."""
        try:
            async with self._listening(), anyio.create_task_group() as tasks:
                tasks.start_soon(self._keeper.run)
                for chore in (self._save_times, self._heart.run, *self._chores):
                    tasks.start_soon(chore)
                if self._supply is not None:
                    tasks.start_soon(self._follow, self._supply)
                async with anyio.create_task_group() as lanes:
                    self._running = lanes
                    for lane in self.lanes:
                        lanes.start_soon(self._live, lane)
                    await self._stopping.wait()
                    lanes.cancel_scope.deadline = anyio.current_time() + self._grace
                tasks.cancel_scope.cancel()
        finally:
            await self._close()

    async def run_until_empty(self) -> int:
        """Deliver until nothing is due; returns how many deliveries that were. What is due later stays.

        Raises ``OutboxError`` when the outbox cannot be used.
        """
        total = 0
        try:
            if self._supply is not None:
                await self._look(self._supply)
            while made := await self._run_due():
                total += made
        finally:
            await self._close()
        return total

    async def _run_due(self) -> int:
        made: list[int] = []

        async def run_due(lane: Lane) -> None:
            with self._working(lane):
                made.append(await lane.run_due())

        try:
            async with anyio.create_task_group() as lanes:
                for lane in self.lanes:
                    lanes.start_soon(run_due, lane)
        except* Exception as group:
            raise _first(group) from None
        return sum(made)

    def _leads(self) -> tuple[str, ...]:
        return tuple(sorted(lane.sink.name for lane in self.lanes if lane.leading))

    @property
    def unfinished(self) -> list[str]:
        """The sinks that it has not ended with. Callable from any thread."""
        return [lane.sink.name for lane in self._at_work.copy()]

    @contextlib.contextmanager
    def _working(self, lane: Lane) -> Iterator[None]:
        self._at_work[lane] = None
        try:
            yield
        finally:
            del self._at_work[lane]

    def wake(self) -> None:
        """Look for deliveries now. Call it on the dispatcher's event loop."""
        for lane in self.lanes:
            lane.wake()

    def stop(self, grace: float = 10.0) -> None:
        """Claim nothing more, and end :meth:`run` once what is in flight is finished; after ``grace`` seconds the rest goes
        back to the outbox.

        Call it on the dispatcher's event loop.
        """
        self._grace = grace
        self._stopping.set()
        for lane in self.lanes:
            lane.stop()

    # Sinks that change ---------------------------------------------------------------------------------------------

    def replace(self, sinks: Sequence[Sink[Any]]) -> None:
        """Deliver to these from now on. One that is there already keeps its lane; any other lane claims nothing more and ends,
        and only then does a new one of the same name begin. Call it on the dispatcher's event loop.
        """
        if self._stopping.is_set():
            return
        there = {id(lane.sink): lane for lane in self.lanes}
        lanes = [there.get(id(sink)) or Lane(sink, self._make_line()) for sink in sinks]
        leaving = {lane.sink.name: self._retire(lane) for lane in self.lanes if lane not in lanes}
        new = [lane for lane in lanes if lane not in self.lanes]
        self.lanes = lanes
        if self._running is not None:
            for lane in new:
                self._running.start_soon(self._live, lane, leaving.get(lane.sink.name))

    def _retire(self, lane: Lane) -> anyio.Event:
        """Have it end; the event says when it has."""
        lane.stop()
        ended = self._leaving[lane] = anyio.Event()
        if lane in self._scopes:
            self._scopes[lane].deadline = anyio.current_time() + _REPLACED_GRACE
        return ended

    async def _live(self, lane: Lane, after: anyio.Event | None = None) -> None:
        """Run one lane. One that was replaced is closed here: nobody else knows it any more."""
        if after is not None:
            await after.wait()
        try:
            with anyio.CancelScope() as self._scopes[lane], self._working(lane):
                await lane.run(self._poll_interval)
        finally:
            del self._scopes[lane]
            if (ended := self._leaving.pop(lane, None)) is not None:
                with anyio.move_on_after(_CLOSE_WAIT, shield=True), contextlib.suppress(OutboxError):
                    await self._close_lane(lane)
                ended.set()

    async def _follow(self, supply: Supply) -> None:
        while True:
            await self._look(supply)
            await anyio.sleep(_LOOK_EVERY)

    async def _look(self, supply: Supply) -> None:
        try:
            await self._beside(supply.look)
            sinks = supply.sinks()
        except Exception as error:  # a bug of ours: what runs goes on
            log.error("The sinks could not be looked up.", error=describe_exception(error))
            return
        if sinks is not None:
            self.replace(sinks)

    async def _save_times(self) -> None:
        """What plugins were told took them so long. What they are told last is stored by who stops the line."""
        while True:
            await anyio.sleep(_SAVE_TIMES_EVERY)
            if self._times.due:
                try:
                    await self._beside(partial(save_hook_times, self._outbox, self._times))
                except Exception as error:  # a bug of ours: what runs goes on
                    log.error("How long hooks took could not be stored.", error=describe_exception(error))

    @contextlib.asynccontextmanager
    async def _listening(self) -> AsyncIterator[None]:
        """Woken when another process stores something, where the outbox can tell."""
        loop = asyncio.get_running_loop()

        def stored() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(self.wake)

        end = self._outbox.listen(stored)
        try:
            yield
        finally:
            end()

    async def _end_listeners(self) -> None:
        await self._beside(self._listeners.end)

    async def _close(self) -> None:
        with anyio.move_on_after(_CLOSE_WAIT, shield=True):
            async with anyio.create_task_group() as closing:
                for lane in self.lanes:
                    closing.start_soon(self._close_lane, lane)
                if self._listeners.any_told:
                    closing.start_soon(self._end_listeners)

    async def _close_lane(self, lane: Lane) -> None:
        """One that does not end in time stays unfinished."""
        self._at_work[lane] = None
        await lane.close()
        del self._at_work[lane]


def _first(group: BaseExceptionGroup[Exception]) -> Exception:
    """The first failure itself: who called has no use for the group."""
    error: Exception | BaseExceptionGroup[Exception] = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
