"""Handlers that are called inside the request: after the event is stored, before the app answers, within a deadline.

The delivery is stored with the event and left alone by dispatchers for that long. A call that succeeds settles it; one that
fails, hangs or never took place is the dispatcher's to repeat. So the worst that can come of a handler is the wait that its
timeout says.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextvars import Context, ContextVar, copy_context
from dataclasses import replace
from typing import NamedTuple

from supertokens_events.dispatch import DaemonThreads, settle
from supertokens_events.emit import Stored
from supertokens_events.event import Event
from supertokens_events.forks import while_alive
from supertokens_events.handlers.calls import Running, Writing
from supertokens_events.handlers.handler import Handler
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Outbox, OutboxError
from supertokens_events.sink import Outcome, Retry

__all__ = ["BeforeResponse"]

log = get_logger(__name__)

_GONE = Retry("it cancelled the task that it ran in")
_LEASE = 60.0  # seconds: to write an outcome down
_WHERE = {"called": "before the response"}

_inside: ContextVar[bool] = ContextVar("supertokens_events_inside_handler", default=False)


class _Answer(NamedTuple):
    """What a call came to, and how many seconds it took."""

    handler: Handler
    event: Event
    outcome: Outcome
    duration: float = 0.0


class BeforeResponse:
    """Calls handlers with events that were just stored. Safe to use from any thread, any event loop, and after a fork.

    Nothing raises, and no call is waited for longer than its handler's timeout, counted from the first of the events. What an
    event emitted by a handler leads to is left to the dispatcher.
    """

    def __init__(self, outbox: Outbox, handler: Callable[[str], Handler | None]) -> None:
        self._outbox = outbox
        self._handler = handler
        self._running = Running()
        self._writing = Writing()
        os.register_at_fork(after_in_child=while_alive(self._start_anew))

    async def call(self, stored: Sequence[Stored]) -> None:
        """Call who waits for these events, each handler with one after the other, different handlers at once."""
        if _inside.get():
            return
        began, answers = time.monotonic(), list[_Answer]()
        try:
            for one, handlers in self._wanted(stored):
                answers += await asyncio.gather(*(self._call(handler, one, began) for handler in handlers))
        finally:
            self._write_down(answers)

    def call_sync(self, stored: Sequence[Stored]) -> None:
        """The same for callers without an event loop."""
        if _inside.get():
            return
        began, answers = time.monotonic(), list[_Answer]()
        for event, handlers in self._wanted(stored):
            begun = [(handler, self._begin_in_thread(handler, event, _left(handler, began))) for handler in handlers]
            answers += [_waited_for(handler, event, running, began) for handler, running in begun]
        self._write_down(answers)

    def stop(self, timeout: float) -> None:
        """Let what is being written down be written, for up to ``timeout`` seconds."""
        self._writing.join(timeout)

    def store_in(self, outbox: Outbox) -> None:
        """Take events from ``outbox`` from now on. What was called before is written down where it was taken from."""
        self.stop(_LEASE)
        self._outbox = outbox

    def _start_anew(self) -> None:
        """In a forked child: what ran and what was being written down are the parent's."""
        self._running, self._writing = Running(), Writing()

    def _wanted(self, stored: Sequence[Stored]) -> Iterator[tuple[Event, Sequence[Handler]]]:
        for one in stored:
            handlers = [handler for name in one.waiting if (handler := self._handler(name)) is not None]
            if handlers:
                yield one.event, handlers

    # One call ------------------------------------------------------------------------------------------------------

    async def _call(self, handler: Handler, event: Event, began: float) -> _Answer:
        start = time.monotonic()
        left = _left(handler, began)
        running = self._begin(handler, event, left)
        if running is None:
            return _Answer(handler, event, _not_called(left))
        try:
            await asyncio.wait({running}, timeout=left)
            if not running.done():
                running.cancel()
                await asyncio.sleep(0)  # for it to notice; whatever it does then, nobody waits for it
                return _Answer(handler, event, _too_slow(handler), time.monotonic() - start)
        except asyncio.CancelledError:
            running.cancel()
            raise
        outcome = _GONE if running.cancelled() else running.result()
        return _Answer(handler, event, outcome, time.monotonic() - start)

    def _begin(self, handler: Handler, event: Event, within: float) -> asyncio.Future[Outcome] | None:
        """An async handler on this event loop, where the app's own connections are; another one in a thread."""
        if not handler.is_async:
            thread = self._begin_in_thread(handler, event, within)
            return None if thread is None else asyncio.wrap_future(thread)
        if within <= 0 or not self._running.begin(handler.name):
            return None
        return asyncio.get_running_loop().create_task(self._on_loop(handler, event), context=_context())

    async def _on_loop(self, handler: Handler, event: Event) -> Outcome:
        with self._running.until_end(handler.name):
            return await handler.outcome(event)

    def _begin_in_thread(self, handler: Handler, event: Event, within: float) -> Future[Outcome] | None:
        """An async handler gets an event loop of its own, which ends with it."""
        if within <= 0 or not self._running.begin(handler.name):
            return None

        def call() -> Outcome:
            with self._running.until_end(handler.name):
                return asyncio.run(_in_time(handler, event, within)) if handler.is_async else handler.blocking(event)

        try:
            return DaemonThreads().submit(_context().run, call)
        except RuntimeError:  # the interpreter shuts down, and starts no more threads
            self._running.end(handler.name)
            return None

    # What came of it -----------------------------------------------------------------------------------------------

    def _write_down(self, answers: Sequence[_Answer]) -> None:
        """Beside the request, which need not wait for that."""
        for answer in answers:
            if isinstance(answer.outcome, Retry):
                log.warning(
                    "A handler did not do its work before the response; it is called again.",
                    sink=answer.handler.name,
                    event_id=answer.event.id,
                    error=answer.outcome.reason,
                )
        if answers:
            outbox = self._outbox
            self._writing.start(lambda: self._settle(outbox, answers))

    def _settle(self, outbox: Outbox, answers: Sequence[_Answer]) -> None:
        """What a dispatcher has taken meanwhile is its own to settle."""
        try:
            for answer in answers:
                claim = outbox.take(answer.event.id, answer.handler.name, _LEASE)
                if claim is not None:
                    outcome = replace(answer.outcome, detail=_WHERE)
                    outbox.settle([settle(claim, outcome, answer.handler.retry, duration=answer.duration)])
        except OutboxError as error:
            log.warning("That a handler was called could not be written down; it is called again.", error=str(error))
        except Exception as error:
            log.error("Writing down that a handler was called failed.", error=describe_exception(error))


def _not_called(left: float) -> Outcome:
    why = "no time was left" if left <= 0 else "too many calls of it have not returned"
    return Retry(f"not called before the response: {why}", counts=False)


def _too_slow(handler: Handler) -> Outcome:
    return Retry(f"did not return within {handler.timeout:g} s, before the response")


def _left(handler: Handler, began: float) -> float:
    assert handler.timeout is not None
    return handler.timeout - (time.monotonic() - began)


def _context() -> Context:
    """The request's, for a call inside it."""
    context = copy_context()
    context.run(_inside.set, True)
    return context


async def _in_time(handler: Handler, event: Event, within: float) -> Outcome:
    """So that the thread ends with it, as a rule."""
    try:
        async with asyncio.timeout(within):
            return await handler.outcome(event)
    except TimeoutError:
        return _too_slow(handler)


def _waited_for(handler: Handler, event: Event, running: Future[Outcome] | None, began: float) -> _Answer:
    start = time.monotonic()
    left = _left(handler, began)
    if running is None:
        return _Answer(handler, event, _not_called(left))
    try:
        return _Answer(handler, event, running.result(max(0.0, left)), time.monotonic() - start)
    except FutureTimeoutError:
        return _Answer(handler, event, _too_slow(handler), time.monotonic() - start)
    except (CancelledError, asyncio.CancelledError):
        return _Answer(handler, event, _GONE, time.monotonic() - start)
