"""Erasing a person: what is stored of a user, by every id, goes, and one event says so."""

from __future__ import annotations

from typing import NamedTuple

from supertokens_events.catalog.erasure import UserDataErased
from supertokens_events.emit.direct import Direct
from supertokens_events.event import Actor, Event
from supertokens_events.events import Events
from supertokens_events.operate.linked import Person
from supertokens_events.outbox import SAYS_SO, Entry, Erased, Outbox, OutboxError

__all__ = ["AT_ONCE", "Erasure", "erase", "is_known", "scrub"]

AT_ONCE = 64 * 2**20
"""Bytes of an outbox that is written anew without being asked: for less than a second new events wait."""

_PAGE = 500  # events that are read at once


class Erasure(NamedTuple):
    """What was erased, and the event that says so, as it is stored: ``None`` when there was nothing to erase, or when that type
    is not captured or was filtered.
    """

    erased: Erased
    event: Event | None


class _Saying:
    """The event that says what was erased, once that is known."""

    def __init__(self, events: Events, person: Person) -> None:
        self._direct = Direct(events.outbox, events.plugins, lambda: events.emitter.plan)
        names = person.names
        event = Event(
            type=UserDataErased.event_type,
            schema_version=UserDataErased.schema_version,
            source=events.emitter.source,
            user_id=person.user_id,
            actor=Actor(type="system"),
            data=UserDataErased(user_ids=names.user_ids).model_dump(mode="json"),
        )
        (self.entry,) = self._direct.prepared([event])

    def __call__(self, erased: Erased) -> Entry | None:
        if self.entry is not None:
            event = self.entry.event.model_copy(update={"data": {**self.entry.event.data, **erased._asdict()}})
            self.entry = Entry(event, event.to_bytes(), self.entry.deliveries)
        return self.entry

    def told(self, outbox: Outbox) -> Event | None:
        """After the commit: the hooks are told, as of any event."""
        stored = outbox.event(self.entry.event.id) if self.entry is not None else None
        if self.entry is None or stored is None:
            return None
        self._direct.tell([self.entry], [stored.sequence], 0.0)
        return self.entry.event.model_copy(update={"sequence": stored.sequence})

    def save_ledger(self) -> None:
        """What hooks did is counted, also when there is no event."""
        self._direct.store([])


def erase(events: Events, person: Person) -> Erasure:
    """Erase what is stored of ``person``; with it, in one transaction, ``user.data_erased`` is stored. Raises
    :class:`OutboxError`; then nothing has changed.
    """
    saying = _Saying(events, person)
    erased = events.outbox.erase(person.names, saying)
    event = saying.told(events.outbox)
    saying.save_ledger()
    return Erasure(erased, event)


def scrub(outbox: Outbox, *, rewrite: bool) -> list[str]:
    """What an erasure may have left in the store's files; first, as much of it as can be is overwritten. With ``rewrite`` an
    outbox of any size is written anew.
    """
    try:
        return outbox.scrub(float("inf") if rewrite else AT_ONCE)
    except OutboxError as error:
        return [f"what was erased may still be in the outbox's files: {error}; run this command again"]


def is_known(outbox: Outbox, user_id: str) -> bool:
    """Whether an event is, or was, about that user, also when everything is erased by now."""
    if outbox.events(user_id=user_id, limit=1):
        return True
    after: int = 0
    while page := outbox.events(event_type=SAYS_SO, after=after, limit=_PAGE):
        if any(user_id in Event.from_bytes(one.body).data.get("user_ids", ()) for one in page if one.body):
            return True
        after = page[-1].sequence
    return False
