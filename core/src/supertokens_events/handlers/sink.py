"""A handler as a sink: what the dispatcher delivers to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from anyio import to_thread

from supertokens_events.handlers.handler import Handler
from supertokens_events.sink import Delivery, Outcome, Sink, SinkSettings

__all__ = ["HandlerSink"]


class HandlerSink(Sink[SinkSettings]):
    """Calls its handler with one event at a time: an async one on the dispatcher's event loop, another in a thread."""

    type: ClassVar[str] = "handler"

    def __init__(self, handler: Handler) -> None:
        super().__init__(handler.name, SinkSettings())
        self.handler = handler
        self.retry = handler.retry
        self.ordered = handler.ordered

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        return [await self._call(delivery) for delivery in deliveries]

    async def _call(self, delivery: Delivery) -> Outcome:
        if self.handler.is_async:
            return await self.handler.outcome(delivery.event)
        return await to_thread.run_sync(self.handler.blocking, delivery.event, abandon_on_cancel=True)
