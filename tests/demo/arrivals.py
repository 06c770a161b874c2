"""Each event, and where it has come to: what the outbox says of its deliveries, and what is found at each place."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from demo.places import SINKS, Places
from demo.stage import Stage
from doubles.slack import shown
from supertokens_events.outbox import Breaker, DeliveryState, Disabled, SinkStatus, StoredDelivery, StoredEvent

__all__ = ["Arrival", "Trail", "open_breaker", "trails"]


@dataclass(frozen=True)
class Arrival:
    """One event at one sink. ``found`` is what its place has of it: the number of each verified request, message, batch or
    line, counted from 1. ``status`` is how the sink stands.
    """

    sink: str
    delivery: StoredDelivery | None
    found: Sequence[int] = ()
    status: SinkStatus | None = None

    @property
    def attempts(self) -> int:
        return len(self.delivery.attempts) if self.delivery else 0

    @property
    def waits(self) -> bool:
        return self.delivery is not None and self.delivery.state is DeliveryState.PENDING

    @property
    def breaker(self) -> Breaker | None:
        """The one that all deliveries to the sink have in common, while it is open."""
        return self.status.breaker if self.status else None

    @property
    def disabled(self) -> Disabled | None:
        """Since when nothing goes out to the sink, and why."""
        return self.status.disabled if self.status else None

    @property
    def reason(self) -> str:
        """Why the last attempt did not succeed, with what the receiver said; the other sinks say that themselves."""
        if self.delivery is None or not self.delivery.reason:
            return ""
        said = self.delivery.attempts[-1].detail.get("answer") if self.delivery.attempts else None
        return f"{self.delivery.reason}: {said}" if said and self.sink == "crm" else self.delivery.reason

    @property
    def why(self) -> Sequence[str]:
        """Why it has not arrived: its own last attempt, and what keeps the whole sink waiting, if that is news."""
        found = [f"attempt {self.attempts}: {self.reason}"] if self.reason and self.attempts else []
        if self.waits and self._held and self.delivery and self._held != self.delivery.reason:
            found.append(f"{'since then' if found else 'waits'}: {self._held}")
        return found

    @property
    def refused(self) -> bool:
        """Whether the place, when last asked, did not know the sink's secret: nothing will change while we watch."""
        if self.waits and self._held:
            return bool(self.disabled) or f"answered {_UNAUTHORIZED} " in self._held
        attempts = self.delivery.attempts if self.delivery else ()
        return bool(attempts) and attempts[-1].detail.get("status") == _UNAUTHORIZED

    @property
    def explained(self) -> bool:
        """Whether nothing more is to be seen of it for now: it was tried, or has a reason to wait."""
        return self.attempts > 0 or bool(self.why)

    @property
    def _held(self) -> str:
        """Why nothing goes out to the sink."""
        if self.disabled:
            return f"the sink is disabled: {self.disabled.reason}"
        return self.breaker.reason if self.breaker else ""


@dataclass(frozen=True)
class Trail:
    """One event and its arrivals, by sink: at those that it has a delivery to, and where it was found."""

    event: StoredEvent
    at: Mapping[str, Arrival] = field(default_factory=dict)

    @property
    def explained(self) -> bool:
        """Whether nothing more is to be seen of it anywhere for now."""
        return all(arrival.explained for arrival in self.at.values())

    @property
    def settled(self) -> bool:
        """Whether it has arrived wherever it can."""
        return self.explained and all(arrival.refused or not arrival.waits for arrival in self.at.values())

    def waits_at(self, sink: str) -> bool:
        return sink in self.at and self.at[sink].waits

    def found(self, sink: str) -> Sequence[int]:
        """The numbers of what has it at the place of ``sink``."""
        return self.at[sink].found if sink in self.at else ()


def trails(stage: Stage, after: int = 0) -> list[Trail]:
    """Every event above the sequence ``after``."""
    outbox = stage.events.outbox
    deliveries = {(one.event_id, one.sink): one for one in outbox.deliveries()}
    statuses = {status.sink: status for status in outbox.status()}
    found = []
    for event in outbox.events(after=after):
        at = {
            sink: Arrival(sink, deliveries.get((event.id, sink)), numbers, statuses.get(sink))
            for sink in SINKS
            if (numbers := _FOUND[sink](stage.places, event)) or (event.id, sink) in deliveries
        }
        found.append(Trail(event, at))
    return found


def open_breaker(stage: Stage) -> Breaker | None:
    """The webhook's breaker, while it is open."""
    return next((status.breaker for status in stage.events.outbox.status() if status.sink == "crm"), None)


def _verified(places: Places, event: StoredEvent) -> Sequence[int]:
    """Only the very bytes that were stored count as having arrived."""
    return _numbers(post.body == event.body for post in list(places.receiver.posts) if not post.refused)


def _messages(places: Places, event: StoredEvent) -> Sequence[int]:
    return _numbers(event.id in shown(message) for message in list(places.slack.messages))


def _batches(places: Places, event: StoredEvent) -> Sequence[int]:
    """Of the batches that were taken: what is tracked has the event's own id, and what goes with it begins with that."""
    taken = {message["messageId"] for message in list(places.segment.messages)}
    return _numbers(
        any(message["messageId"] in taken and message["messageId"].startswith(event.id) for message in request.batch)
        for request in list(places.segment.requests)
    )


def _lines(places: Places, event: StoredEvent) -> Sequence[int]:
    return _numbers(line == event.body for line in _content(places).splitlines())


def _content(places: Places) -> bytes:
    return places.file.read_bytes() if places.file.exists() else b""


def _numbers(hits: Iterable[bool]) -> Sequence[int]:
    """Which of them, counted from 1."""
    return [number for number, hit in enumerate(hits, start=1) if hit]


_FOUND: Mapping[str, Callable[[Places, StoredEvent], Sequence[int]]] = {
    "crm": _verified,
    "oncall": _messages,
    "analytics": _batches,
    "audit": _lines,
}

_UNAUTHORIZED = HTTPStatus.UNAUTHORIZED.value
