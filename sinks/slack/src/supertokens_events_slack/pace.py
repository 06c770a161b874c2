"""At most one message a second in each channel, as Slack asks ("Rate limits": incoming webhooks, ``chat.postMessage``)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

__all__ = ["APART", "Pace"]

APART = 1.0
"""Seconds from the answer to one message to the next message: so they are that far apart where they arrive, too."""


class Pace:
    """Who may post when. Channels are few: those that a configuration names."""

    def __init__(
        self,
        clock: Callable[[], float] = anyio.current_time,
        sleep: Callable[[float], Awaitable[object]] = anyio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._next: dict[str | None, float] = {}

    def now(self) -> float:
        """Seconds on the clock that goes here."""
        return self._clock()

    def wait(self, channel: str | None) -> float:
        """Seconds until it is the turn of ``channel``."""
        return max(0.0, self._next.get(channel, 0.0) - self._clock())

    async def turn(self, channel: str | None) -> None:
        """Wait for the turn of ``channel``."""
        if wait := self.wait(channel):
            await self._sleep(wait)

    def posted(self, channel: str | None) -> None:
        """A message was answered just now, or will not be answered any more."""
        self._next[channel] = self._clock() + APART
