"""What an app emits in a test: kept for the test, delivered to nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from supertokens_events.event import Event
from supertokens_events.events import Events
from supertokens_events.outbox import Claim, Outbox, SqliteOutbox
from supertokens_events.subscription import Patterns
from supertokens_events.testing.memory import memory_folder

__all__ = ["CapturedEvents", "capture_events"]

_PAGE = 1000  # events read at once
_STORED_WITHIN = 10.0  # seconds for what was emitted to be stored


class _NeverDelivers(SqliteOutbox):
    """Whoever asks it for deliveries gets none."""

    def claim(self, sink: str, limit: int, lease: float) -> list[Claim]:  # noqa: ARG002
        return []

    def claim_overdue(self, sink: str, limit: int, lease: float, span: float) -> list[Claim]:  # noqa: ARG002
        return []


@contextmanager
def capture_events(events: Events) -> Iterator[CapturedEvents]:
    """Until this ends, what ``events`` emits is kept for the test: nothing is delivered, and its own outbox is not touched.

    Everything else is as it is: what is captured of the SDK, hooks that enrich, filter and are told, the configuration. It may
    be nested, and ``events`` may be started and stopped meanwhile, as an app's lifespan does. Two threads may not do this to the
    same ``events`` at once.
    """
    with memory_folder() as folder:
        outbox = _NeverDelivers(folder / "events.db")
        try:
            with events.diverted(outbox):
                yield CapturedEvents(events, outbox)
        finally:
            outbox.close()


class CapturedEvents:
    """What was emitted since :func:`capture_events` began, or since :meth:`clear`."""

    def __init__(self, events: Events, outbox: Outbox) -> None:
        self._events = events
        self._outbox = outbox
        self._after = 0

    @property
    def emitted(self) -> list[Event]:
        """All events as they were stored, in order. An event that a hook filters, or that ``[capture]`` does not want, is not
        among them.
        """
        self._events.emitter.stop(_STORED_WITHIN)  # what waits is stored; the next event starts it again
        found: list[Event] = []
        after = self._after
        while page := self._outbox.events(after=after, limit=_PAGE):
            after = page[-1].sequence
            found += [Event.from_bytes(stored.body) for stored in page if stored.body is not None]
        return found

    @property
    def types(self) -> list[str]:
        """Their types, in order: ``["user.created", "session.created"]``."""
        return [event.type for event in self.emitted]

    def of_type(self, *patterns: str) -> list[Event]:
        """Those that these patterns want, such as ``user.created``, ``user.*``, ``!user.metadata.*``: as a sink's ``events``
        does. All, where none is given. Raises ``ValueError`` for a wrong one.
        """
        wanted = Patterns(patterns or ("*",))
        return [event for event in self.emitted if wanted.matches(event.type)]

    def one(self, *patterns: str) -> Event:
        """The one event of these types. Raises ``AssertionError``, with what was emitted, when there is none or are more."""
        found = self.of_type(*patterns)
        if len(found) != 1:
            self._fail("one event", patterns, len(found))
        return found[0]

    def none(self, *patterns: str) -> None:
        """Raises ``AssertionError`` when an event of these types, or any event where none is given, was emitted."""
        found = self.of_type(*patterns)
        if found:
            self._fail("no event", patterns, len(found))

    def clear(self) -> None:
        """Forget what was emitted so far, such as what a test had to do before what it is about."""
        self._after = max((event.sequence or 0 for event in self.emitted), default=self._after)

    def __repr__(self) -> str:
        return f"<CapturedEvents {self.types}>"

    def _fail(self, expected: str, patterns: Sequence[str], found: int) -> NoReturn:
        named = " or ".join(map(repr, patterns))
        told = [f"expected {expected} {named}".rstrip() + f", found {found}; emitted:", *(self._told() or ["nothing"])]
        raise AssertionError("\n  ".join([*told, *self._missed(patterns)]))

    def _told(self) -> list[str]:
        return [
            " ".join(filter(None, [event.type, event.user_id and f"user {event.user_id}", str(event.data or "")]))
            for event in self.emitted
        ]

    def _missed(self, patterns: Sequence[str]) -> list[str]:
        """What of these types did not become an event, and why."""
        wanted = Patterns(patterns or ("*",))
        counts = [line for line in self._outbox.ledger() if line.event_type and wanted.matches(line.event_type)]
        return [f"not stored: {line.event_type} {line.reason} {line.subject}".rstrip() for line in counts]
