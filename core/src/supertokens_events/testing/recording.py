"""A sink for tests of what is delivered."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import anyio

from supertokens_events.event import Event
from supertokens_events.sink import Delivered, Delivery, Outcome, Sink, SinkSettings

__all__ = ["RecordingSink"]


class RecordingSink(Sink[SinkSettings]):
    """Keeps every call of :meth:`deliver` in :attr:`calls`.

    It answers with what lies in :attr:`outcomes`, one for each delivery, in order (an exception there is raised), and with
    ``Delivered()`` once that is used up. While :attr:`gate` is a closed ``anyio.Event``, calls wait for it to be set.
    """

    type: ClassVar[str] = "recording"

    def __init__(self, name: str = "recording", settings: SinkSettings | None = None) -> None:
        super().__init__(name, settings or SinkSettings())
        self.calls: list[Sequence[Delivery]] = []
        self.outcomes: deque[Outcome | Exception] = deque()
        self.gate: anyio.Event | None = None
        self.opened = 0
        self.closed = 0

    @property
    def deliveries(self) -> list[Delivery]:
        """Everything that came, in order, from all calls."""
        return [delivery for call in self.calls for delivery in call]

    @property
    def events(self) -> list[Event]:
        """The events in it."""
        return [delivery.event for delivery in self.deliveries]

    async def open(self) -> None:
        self.opened += 1

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        self.calls.append(tuple(deliveries))
        if self.gate is not None:
            await self.gate.wait()
        return [self._next() for _ in deliveries]

    async def close(self) -> None:
        self.closed += 1

    def _next(self) -> Outcome:
        outcome = self.outcomes.popleft() if self.outcomes else Delivered()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
