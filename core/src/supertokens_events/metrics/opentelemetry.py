"""Figures and traces for OpenTelemetry: a plugin over its API, for whichever SDK the process has set up."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence

from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, MeterProvider, Observation
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TracerProvider

from supertokens_events.event import Event
from supertokens_events.hookspecs import hookimpl
from supertokens_events.log import get_logger
from supertokens_events.metrics.figures import BUCKETS, Figure, latency, outcome_name, standing
from supertokens_events.outbox import Outbox, OutboxError
from supertokens_events.sink import Delivered, Delivery, Outcome

__all__ = ["OpenTelemetry"]

log = get_logger(__name__)

_SCOPE = "supertokens_events"
_REMEMBERED = 10_000  # events whose spans deliveries can still be linked to
_FRESH = 1.0  # seconds that one look at the outbox serves all its figures
_NANOSECONDS = 1_000_000_000


class OpenTelemetry:
    """A plugin: ``Events.from_toml(plugins=[OpenTelemetry()])``. Providers are the process's own unless given.

    A span says that an event was stored, as a child of the request's; another one each attempt at a delivery, linked to the
    first where the same process made both.
    """

    def __init__(
        self, meter_provider: MeterProvider | None = None, tracer_provider: TracerProvider | None = None
    ) -> None:
        self._tracer = trace.get_tracer(_SCOPE, tracer_provider=tracer_provider)
        self._meter = metrics.get_meter(_SCOPE, meter_provider=meter_provider)
        self._stored = self._meter.create_counter("supertokens_events.events", "{event}", "Events stored.")
        self._append = self._seconds("append", "From emit to the commit.")
        self._settled = self._meter.create_counter(
            "supertokens_events.attempts", "{attempt}", "Attempts at deliveries."
        )
        self._attempt = self._seconds("attempt", "How long an attempt took.")
        self._delivery = self._seconds("delivery", "From emit until the sink had it.")
        self._requests: OrderedDict[str, SpanContext] = OrderedDict()
        self._spans: OrderedDict[str, SpanContext] = OrderedDict()

    def _seconds(self, name: str, says: str) -> metrics.Histogram:
        return self._meter.create_histogram(
            f"supertokens_events.{name}.duration", "s", says, explicit_bucket_boundaries_advisory=BUCKETS
        )

    @hookimpl
    def enrich_event(self, event: Event) -> None:
        """Keep the request's span, which is only known here: this hook is called in the context of who emits. Adds nothing."""
        context = trace.get_current_span().get_span_context()
        if context.is_valid:
            _keep(self._requests, event.id, context)

    @hookimpl
    def events_stored(self, events: Sequence[Event], waits: Sequence[float]) -> None:
        """Count them, with a span each."""
        now = time.time()
        for event, waited in zip(events, waits, strict=True):
            self._stored.add(1, {"event.type": event.type})
            self._append.record(waited)
            request = self._requests.pop(event.id, None)
            span = self._tracer.start_span(
                f"store {event.type}",
                context=request and trace.set_span_in_context(trace.NonRecordingSpan(request)),
                kind=SpanKind.PRODUCER,
                attributes={"event.id": event.id, "event.type": event.type},
                start_time=_nanoseconds(now - waited),
            )
            span.end(_nanoseconds(now))
            _keep(self._spans, event.id, span.get_span_context())

    @hookimpl
    def delivery_settled(self, delivery: Delivery, outcome: Outcome, duration: float) -> None:
        """Count it, with a span."""
        now = time.time()
        about = {"sink": delivery.sink, "outcome": outcome_name(outcome)}
        self._settled.add(1, about)
        self._attempt.record(duration, {"sink": delivery.sink})
        stored = self._spans.get(delivery.event_id)
        span = self._tracer.start_span(
            f"deliver {delivery.sink}",
            kind=SpanKind.CONSUMER,
            attributes={
                **about,
                "event.id": delivery.event_id,
                "event.type": delivery.event_type,
                "attempt": delivery.attempt,
            },
            links=[Link(stored)] if stored else (),
            start_time=_nanoseconds(now - duration),
        )
        if isinstance(outcome, Delivered):
            if (seconds := latency(delivery, now)) is not None:
                self._delivery.record(seconds, {"sink": delivery.sink})
        else:
            span.set_status(Status(StatusCode.ERROR, outcome.reason))
        span.end(_nanoseconds(now))

    def watch(self, outbox: Outbox) -> None:
        """Tell how ``outbox`` stands, too: one process of those that share it is enough."""
        look = _Look(outbox)
        for name in _GAUGES:
            self._meter.create_observable_gauge(f"supertokens_events.{name}", [look.observer(name)])


_GAUGES = (
    "outbox_events",
    "outbox_bytes",
    "deliveries_pending",
    "deliveries_due",
    "deliveries_dead",
    "deliveries_blocked",
    "oldest_pending_seconds",
    "sink_away",
    "sink_disabled",
    "ledger_entries",
)


class _Look:
    """One look at the outbox for all gauges of one collection."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox
        self._figures: Mapping[str, Figure] = {}
        self._looked_at = -_FRESH

    def observer(self, name: str) -> Callable[[CallbackOptions], Iterable[Observation]]:
        """What is called for the gauge of this name."""

        def observe(_options: CallbackOptions) -> Iterable[Observation]:
            figure = self._now().get(name)
            if figure is None:
                return []
            return [Observation(value, {figure.label: of} if of else {}) for of, value in figure.values.items()]

        return observe

    def _now(self) -> Mapping[str, Figure]:
        if time.monotonic() - self._looked_at > _FRESH:
            try:
                self._figures = {figure.name: figure for figure in standing(self._outbox)}
            except OutboxError as error:
                self._figures = {}
                log.warning("The outbox cannot be asked how it stands.", error=str(error))
            self._looked_at = time.monotonic()
        return self._figures


def _keep(known: OrderedDict[str, SpanContext], event_id: str, context: SpanContext) -> None:
    known[event_id] = context
    while len(known) > _REMEMBERED:
        known.popitem(last=False)


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANOSECONDS)
