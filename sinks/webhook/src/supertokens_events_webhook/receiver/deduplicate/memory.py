"""In memory: for one process, until it ends."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import NamedTuple

from supertokens_events_webhook.receiver.deduplicate.contract import LEASE, REMEMBER, Claimed, Deduplicator

__all__ = ["InMemoryDeduplicator"]


class _Entry(NamedTuple):
    token: str
    done: bool
    expires_at: float


class InMemoryDeduplicator(Deduplicator):
    """For a receiver that is one process. It forgets everything when that ends, and the oldest beyond ``max_events``."""

    def __init__(
        self,
        *,
        max_events: int = 100_000,
        remember: float = REMEMBER,
        lease: float = LEASE,
        now: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(remember=remember, lease=lease, now=now)
        if max_events < 1:
            raise ValueError(f"max_events is at least 1, got {max_events}")
        self._max_events = max_events
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # those that changed last are last
        self._lock = Lock()

    def claim(self, event_id: str, token: str) -> Claimed:
        with self._lock:
            entry = self._entries.get(event_id)
            if entry is not None and entry.expires_at > self._now():
                return Claimed.DONE if entry.done else Claimed.HELD
            self._set(event_id, _Entry(token, done=False, expires_at=self._now() + self._lease))
            return Claimed.FIRST

    def done(self, event_id: str, token: str) -> None:
        with self._lock:
            self._set(event_id, _Entry(token, done=True, expires_at=self._now() + self._remember))

    def release(self, event_id: str, token: str) -> None:
        with self._lock:
            entry = self._entries.get(event_id)
            if entry is not None and entry.token == token:
                del self._entries[event_id]

    def __len__(self) -> int:
        return len(self._entries)

    def _set(self, event_id: str, entry: _Entry) -> None:
        self._entries[event_id] = entry
        self._entries.move_to_end(event_id)
        if len(self._entries) > self._max_events:
            self._entries.popitem(last=False)
