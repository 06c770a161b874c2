"""The line without its queue: for whoever makes events by the hundred, can wait, and wants to hear what came of each."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from supertokens_events.emit.chain import Chain
from supertokens_events.emit.hooks import Hooks
from supertokens_events.emit.routing import Plan
from supertokens_events.emit.writer import Writer
from supertokens_events.event import Event
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.outbox import Entry, Outbox
from supertokens_events.plugins import Plugins

__all__ = ["Direct"]

_AT_ONCE = 100  # events in one transaction: an app that signs somebody in waits for it


class Direct:
    """Takes events through the hooks into ``outbox``, by the plan of the moment, on the caller's thread. For one thread at
    a time.

    Their context says where they come from, whatever else ``[capture] context`` leaves out: no request is behind them.
    """

    def __init__(self, outbox: Outbox, plugins: Plugins, plan: Callable[[], Plan]) -> None:
        self._outbox = outbox
        self._plan = plan
        self._ledger = Ledger()
        self._hooks = Hooks(plugins, self._ledger, limit=0.0, hung=lambda _writer, _call: False)
        self._writer = Writer(lambda _writer: None)  # its thread is the caller's

    def prepared(self, events: Sequence[Event]) -> list[Entry | None]:
        """What is to be stored of each; ``None`` for one that is not wanted."""
        plan = self._plan()
        fields = plan.context_fields
        kept = None if fields is None else fields | {"origin"}
        chain = Chain(self._hooks, self._ledger, replace(plan, context_fields=kept), self._writer)
        return [chain.entry(event) for event in events]

    def store(self, entries: Sequence[Entry]) -> None:
        """Commit entries, a few at a time. Raises ``OutboxError``; what was committed before stays."""
        for part in _parts(entries):
            self._outbox.append(part)
        self._save_ledger()

    def emit(self, entries: Sequence[Entry]) -> None:
        """:meth:`store`, and tell hooks of what was stored."""
        for part in _parts(entries):
            began = time.monotonic()
            sequences = self._outbox.append(part)
            self.tell(part, sequences, time.monotonic() - began)
        self._save_ledger()

    def tell(self, entries: Sequence[Entry], sequences: Sequence[int], wait: float) -> None:
        """Tell hooks of entries that are stored, and waited so many seconds for that."""
        events = [
            entry.event.model_copy(update={"sequence": sequence})
            for entry, sequence in zip(entries, sequences, strict=True)
        ]
        self._call("events_stored", events[0].type, events=events, waits=[wait] * len(events))
        for event in events:
            self._call("event_emitted", event.type, event=event)

    def _call(self, hook: str, event_type: str, **arguments: Any) -> None:
        for result in self._hooks.call(self._writer, hook, event_type, **arguments):
            self._hooks.failed(Reason.LISTENER_FAILED, result, event_type)

    def _save_ledger(self) -> None:
        if counts := self._ledger.take():
            self._outbox.record(counts)


def _parts(entries: Sequence[Entry]) -> Iterator[Sequence[Entry]]:
    return (entries[begin : begin + _AT_ONCE] for begin in range(0, len(entries), _AT_ONCE))
