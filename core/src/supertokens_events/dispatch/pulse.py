"""A dispatcher's sign of life, for a person who asks whether one runs."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable
from importlib.metadata import version

import anyio

from supertokens_events.dispatch.line import Line
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Pulse

__all__ = ["Heart"]

log = get_logger(__name__)

_FIRST = 1.0  # seconds: one that ends at once need not say that it ran
_LAST_WORDS = 2.0  # seconds


class Heart:
    """Beats while the dispatcher runs, every so many seconds; ``leads`` are the sinks that it delivers to at the moment."""

    def __init__(self, line: Line, leads: Callable[[], tuple[str, ...]], every: float) -> None:
        self._line = line
        self._leads = leads
        self._every = every
        self._id = secrets.token_hex(8)

    async def run(self) -> None:
        """Beat until cancelled."""
        await anyio.sleep(_FIRST)
        try:
            while True:
                await self._beat()
                await anyio.sleep(self._every)
        finally:
            with anyio.move_on_after(_LAST_WORDS, shield=True):
                await self._leave()

    async def _beat(self) -> None:
        """An outbox in trouble is told of by those who need it."""
        pulse = Pulse(self._id, socket.gethostname(), os.getpid(), version("supertokens-events"), self._leads())
        try:
            await self._line.store(self._line.outbox.beat, pulse)
        except Exception as error:
            log.debug("A sign of life could not be given.", error=describe_exception(error))

    async def _leave(self) -> None:
        try:
            await self._line.store(self._line.outbox.leave, self._id)
        except Exception as error:
            log.debug("That the dispatcher has ended could not be said.", error=describe_exception(error))
