"""One handler, and what a call of it comes to."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import cached_property

from supertokens_events.event import Event
from supertokens_events.log import describe_exception
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import Delivered, Outcome, Retry
from supertokens_events.subscription import Subscription

__all__ = ["Function", "Handler"]

Function = Callable[[Event], Awaitable[None] | None]


@dataclass(frozen=True)
class Handler:
    """``function`` is called with each event that ``subscription`` wants. ``name`` is that of its deliveries' sink.

    ``timeout``: seconds that a call may take before the response; ``None``: the dispatcher alone calls it. ``ordered``: with
    each user's events one after the other.
    """

    name: str
    function: Function
    subscription: Subscription
    timeout: float | None = None
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    ordered: bool = False

    @cached_property
    def is_async(self) -> bool:
        """Whether it is for an event loop; else a call blocks, and needs a thread."""
        return any(map(inspect.iscoroutinefunction, (self.function, getattr(self.function, "__call__", None))))  # noqa: B004 - an object may have an async one

    async def outcome(self, event: Event) -> Outcome:
        """Call it on this event loop. Raises nothing but ``CancelledError``, and that only when this call is cancelled."""
        try:
            answer = self.function(event)
            assert answer is not None
            await answer
        except asyncio.CancelledError as error:
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise
            return _failed(error)
        except BaseException as error:  # a handler that exits ends itself, and not the app's event loop
            return _failed(error)
        return Delivered()

    def blocking(self, event: Event) -> Outcome:
        """Call it on this thread. Raises nothing."""
        try:
            answer = self.function(event)
        except BaseException as error:
            return _failed(error)
        if inspect.isawaitable(answer):
            if inspect.iscoroutine(answer):
                answer.close()
            return Retry("it returned something to await, and nobody does: make it an async function")
        return Delivered()


def _failed(error: BaseException) -> Outcome:
    return Retry(f"it raised {describe_exception(error)}")
