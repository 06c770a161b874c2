"""What every deduplicator promises.

An event is *held* while a handler works on it and *done* when the handler has returned. Only what is done is a repeat: a
handler that raises gives its event back, and one whose process dies loses it when its lease ends. So the sender's next
attempt is handled. Nobody can promise more: a handler that has written to a database and dies before it is done is called
again.
"""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from enum import Enum
from functools import partial
from types import TracebackType
from typing import Literal

from anyio import CancelScope, to_thread

__all__ = ["LEASE", "REMEMBER", "BeingHandled", "Claimed", "Deduplicator", "Once"]

REMEMBER = 7 * 86400.0
"""Seconds. The sender's default schedule spans 75 h 35 min 5 s; a ``Retry-After`` and a replay by hand come on top."""

LEASE = 300.0
"""Seconds after which a handler that has not returned is taken for dead."""


class BeingHandled(Exception):
    """Somebody else works on this event at the moment. Answer 503: if they fail, the sender's next attempt is needed."""


class Claimed(Enum):
    """What came of asking for an event."""

    FIRST = "first"
    """It is ours to handle."""
    HELD = "held"
    """Somebody else works on it."""
    DONE = "done"
    """It was handled before."""


class Deduplicator(ABC):
    """Remembers which events were handled, for ``remember`` seconds; a handler may take up to ``lease`` seconds.

    ``now`` gives the time in seconds since the epoch.
    """

    def __init__(
        self, *, remember: float = REMEMBER, lease: float = LEASE, now: Callable[[], float] = time.time
    ) -> None:
        if not (remember > 0 and lease > 0):
            raise ValueError(f"remember and lease are in seconds and more than 0, got {remember} and {lease}")
        self._remember = remember
        self._lease = lease
        self._now = now

    def once(self, event_id: str) -> Once:
        """``with deduplicator.once(event.id) as first:`` tells whether to handle the event; ``async with`` does so too.

        When the block ends, the event is done; when it raises, it is as if it had never come. Raises
        :class:`BeingHandled` at the beginning when somebody else is at it.
        """
        return Once(self, event_id)

    @abstractmethod
    def claim(self, event_id: str, token: str) -> Claimed:
        """Ask for an event, in the name of ``token``. Of all who ask at once, in any process, one is first."""

    @abstractmethod
    def done(self, event_id: str, token: str) -> None:
        """It is handled."""

    @abstractmethod
    def release(self, event_id: str, token: str) -> None:
        """It was not handled. Changes nothing when ``token`` does not hold it any more."""


class Once:
    """One event's time with its handler: a context manager, for both kinds of functions."""

    def __init__(self, deduplicator: Deduplicator, event_id: str) -> None:
        self._deduplicator = deduplicator
        self._event_id = event_id
        self._token = secrets.token_hex(16)
        self._first = False

    def __enter__(self) -> bool:
        claimed = self._deduplicator.claim(self._event_id, self._token)
        if claimed is Claimed.HELD:
            raise BeingHandled(f"The event {self._event_id!r} is being handled at the moment.")
        self._first = claimed is Claimed.FIRST
        return self._first

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        if self._first:
            end = self._deduplicator.done if kind is None else self._deduplicator.release
            end(self._event_id, self._token)
        return False

    async def __aenter__(self) -> bool:
        return await to_thread.run_sync(self.__enter__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> Literal[False]:
        with CancelScope(shield=True):  # a request that is cancelled gives its event back, too
            await to_thread.run_sync(partial(self.__exit__, kind, error, traceback))
        return False
