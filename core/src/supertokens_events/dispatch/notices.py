"""Events about deliveries: that a sink is disabled, that a delivery was given up. They take the line like any other."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from supertokens_events.catalog.names import TYPES
from supertokens_events.emit import Emitter
from supertokens_events.event import Actor, Event
from supertokens_events.outbox import DeliveryState, Settlement

if TYPE_CHECKING:  # made when there is something to tell, for the start of an app to stay quick
    from supertokens_events.catalog.delivery import DeliveryExhausted, SinkDisabled

__all__ = ["Notices", "Tell", "tell_nobody"]

_ABOUT_DELIVERIES = frozenset(TYPES["delivery"].split())
_ONCE_IN = 60.0  # seconds: what was in flight to a place that wants no more hears the same from it

Tell = Callable[[Sequence[Settlement]], None]


def tell_nobody(_settlements: Sequence[Settlement]) -> None:
    """Where there is no line to emit into."""


class Notices:
    """Emits through ``emitter`` what follows from settlements, once they are written down. It waits for nothing, and makes
    no event that nobody would get.
    """

    def __init__(self, emitter: Emitter) -> None:
        self._emitter = emitter
        self._told: dict[str, float] = {}

    def __call__(self, settlements: Sequence[Settlement]) -> None:
        for settlement in settlements:
            if settlement.disables:
                self._disabled(settlement)
            elif settlement.state is DeliveryState.DEAD and settlement.outcome != "rejected":
                self._exhausted(settlement)

    def _disabled(self, settlement: Settlement) -> None:
        from supertokens_events.catalog.delivery import SinkDisabled

        sink, now = settlement.claim.delivery.sink, time.monotonic()
        if now - self._told.get(sink, -_ONCE_IN) >= _ONCE_IN:
            self._told[sink] = now
            self._emit(SinkDisabled(sink=sink, why=settlement.reason or ""), None)

    def _exhausted(self, settlement: Settlement) -> None:
        from supertokens_events.catalog.delivery import DeliveryExhausted

        delivery = settlement.claim.delivery
        if delivery.event_type in _ABOUT_DELIVERIES:
            return
        data = DeliveryExhausted(
            sink=delivery.sink,
            about_event_id=delivery.event_id,
            about_event_type=delivery.event_type,
            attempts=settlement.used,
            why=settlement.reason or "",
        )
        self._emit(data, delivery.tenant_id)

    def _emit(self, data: SinkDisabled | DeliveryExhausted, tenant_id: str | None) -> None:
        if self._emitter.wants(data.event_type):
            event = Event(
                type=data.event_type,
                schema_version=data.schema_version,
                source=self._emitter.source,
                tenant_id=tenant_id,
                actor=Actor(type="system"),
                data=data.model_dump(mode="json"),
            )
            self._emitter.submit([event])
