"""What is delivered arrives: all of it, in order, as it was stored."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from supertokens_events.event import Event
from supertokens_events.events import Events
from supertokens_events.outbox import DeliveryState
from supertokens_events.sink import Delivered, Outcome, Rejected, Sink
from supertokens_events.testing.contract.base import Base, all_delivered, batches, ids
from supertokens_events.testing.place import Place
from supertokens_events.testing.samples import odd_events, sample_event, sample_events

__all__ = ["Delivering"]

_MANY = 100  # deliveries in one call, where a sink's batches may be larger
_AT_ONCE = 8  # calls, where a sink allows for more


class Delivering(Base):
    """The place takes everything."""

    def test_it_delivers(self, sink: Sink[Any], place: Place) -> None:
        """An event arrives, once, and its outcome says so."""
        delivery = self.delivery()

        outcomes = self.run_once(sink, [delivery])

        assert all_delivered(outcomes), outcomes
        assert self.arrived(place, [delivery]), (
            f"{self.trace(delivery)!r} is not in what the place received; if it could not be, override `trace`, which says "
            f"what is looked for, or the place's `received`: {place.received()!r:.500}"
        )
        self.check_once(place, [delivery])

    def test_it_delivers_the_whole_line(self, sink_settings: Mapping[str, Any], place: Place, tmp_path: Path) -> None:
        """An event that an app emits arrives, by way of the outbox and the dispatcher."""
        dispatcher, outbox = {"run": "off"}, {"url": "sqlite:contract-outbox.db"}
        settings, plugins = self.load(sink_settings, tmp_path, outbox=outbox, dispatcher=dispatcher)
        events = Events(settings, plugins)
        try:
            sample = sample_event("user.created")
            event = events.emit_sync(
                sample.type, data=sample.data, user_id="user-0001-of-the-contract", tenant_id="public"
            )
            self.run(events.dispatcher().run_until_empty)
            (stored,) = events.outbox.deliveries(event_id=event.id)
        finally:
            events.stop()

        assert stored.state is DeliveryState.DONE, f"{stored.reason}"
        assert self.arrived(place, [self.delivery(event)]) == [event.id]

    def test_it_takes_a_full_batch(self, sink: Sink[Any], place: Place) -> None:
        """As many as its ``batch`` allows go in one call, and each of them arrives, once and in order."""
        deliveries = batches(sink, self.deliveries(min(sink.batch.size, _MANY) if sink.batch else 1))[0]

        outcomes = self.run_once(sink, deliveries)

        assert all_delivered(outcomes), outcomes
        assert self.arrived(place, deliveries) == ids(deliveries)
        self.check_once(place, deliveries)

    def test_outcomes_are_in_order(self, sink: Sink[Any], place: Place) -> None:
        """There is one outcome for each delivery, at its place: the one that was refused is the one that is rejected."""
        self.asks_for("can_refuse")
        deliveries = batches(sink, self.deliveries(min(sink.batch.size, 5) if sink.batch else 1))[0]
        refused = deliveries[len(deliveries) // 4]
        place.refuse(self.trace(refused))

        outcomes = self.run_once(sink, deliveries)

        rejected = [
            delivery.event_id for delivery, one in zip(deliveries, outcomes, strict=True) if isinstance(one, Rejected)
        ]
        assert rejected == [refused.event_id], outcomes
        assert self.arrived(place, deliveries) == [one for one in ids(deliveries) if one != refused.event_id]

    def test_it_knows_every_type(self, sink: Sink[Any], place: Place) -> None:
        """An event of any type of the catalog is delivered, those of installed plugins too, and one of no catalog."""
        events = [*sample_events(), sample_event("app.contract.kept", data={"of": "the app's own"})]
        deliveries = [self.delivery(event, number) for number, event in enumerate(events, start=1)]

        outcomes = self.run_once(sink, deliveries)

        failed = {
            delivery.event_type: outcome
            for delivery, outcome in zip(deliveries, outcomes, strict=True)
            if not isinstance(outcome, Delivered)
        }
        assert failed == {}

    def test_it_takes_odd_events(self, sink: Sink[Any], place: Place) -> None:
        """Whatever an event holds, it is delivered, or rejected for a reason: trying again would not help."""
        odd = odd_events()

        outcomes = self.run_each(
            sink, [self.delivery(event, number) for number, event in enumerate(odd.values(), start=1)]
        )

        for name, outcome in zip(odd, outcomes, strict=True):
            assert isinstance(outcome, Delivered | Rejected), f"{name}: {outcome}"

    def test_it_sends_the_body(self, sink: Sink[Any], place: Place) -> None:
        """What arrives holds the bytes that were stored."""
        self.asks_for("sends_body")
        odd = [self.delivery(event, number) for number, event in enumerate(odd_events().values(), start=1)]
        outcomes = self.run_each(sink, odd)
        sent = [delivery for delivery, outcome in zip(odd, outcomes, strict=True) if isinstance(outcome, Delivered)]

        received = "\n".join(place.received())

        assert sent
        changed = [delivery.event_id for delivery in sent if delivery.body.decode() not in received]
        assert changed == [], "these bodies were made anew, or changed"

    def test_it_leaves_events_alone(self, sink: Sink[Any], place: Place) -> None:
        """Neither the list, nor a delivery, nor its event is changed: others are about to use them."""
        deliveries = batches(sink, self.deliveries(3 if sink.batch else 1))[0]
        given = list(deliveries)
        before = [(copy.copy(delivery), Event.from_bytes(delivery.body)) for delivery in deliveries]

        async def deliver() -> object:
            async with self.opened(sink):
                return await sink.deliver(given)  # this very list

        self.run(deliver)

        assert given == deliveries
        assert [(delivery, delivery.event) for delivery in deliveries] == before

    def test_calls_may_overlap(self, sink: Sink[Any], place: Place) -> None:
        """As many calls at once as its ``concurrency`` allows: each has its own outcomes, and all arrives."""
        calls = [[one] for one in self.deliveries(min(sink.concurrency, _AT_ONCE))]

        async def at_once() -> list[Sequence[Outcome]]:
            async with self.opened(sink):
                return await asyncio.gather(*(self.deliver(sink, deliveries) for deliveries in calls))

        outcomes = [outcome for told in self.run(at_once) for outcome in told]

        everything = [delivery for deliveries in calls for delivery in deliveries]
        assert all_delivered(outcomes), outcomes
        assert set(self.arrived(place, everything)) == set(ids(everything))

    def test_it_asks_and_warns_without_sending(self, sink: Sink[Any], place: Place) -> None:
        """``check()`` and ``warnings()`` give sentences, and nothing reaches the place. One that is there is no problem."""
        problems = self.run(sink.check)

        assert list(problems) == []
        assert all(one.strip() for one in sink.warnings())
        assert list(place.received()) == []
