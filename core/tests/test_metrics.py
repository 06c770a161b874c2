"""Metrics and traces: what Prometheus and OpenTelemetry are told, through the public hooks."""

import threading
import time
import urllib.request

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from supertokens_events import Events, hookimpl
from supertokens_events.event import Context, made_at, new_event_id
from supertokens_events.metrics.figures import latency
from supertokens_events.metrics.opentelemetry import OpenTelemetry
from supertokens_events.metrics.prometheus import PrometheusMetrics
from supertokens_events.outbox import OutboxUnavailable, SqliteOutbox
from supertokens_events.plugins import DISABLE_VARIABLE
from supertokens_events.sink import Delivered, Delivery, Rejected, Retry, Sink
from supertokens_events.testing import sample_event

PATIENCE = 10.0
OUTCOMES = [Delivered(), Retry("the place is full", after=3600), Rejected("the place wants none of it")]


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch):
    monkeypatch.setenv(DISABLE_VARIABLE, "*")


class Place:
    """A plugin that brings a sink type; what becomes of a delivery is in its event."""

    class PlaceSink(Sink):
        type = "place"

        async def deliver(self, deliveries):
            return [OUTCOMES[delivery.event.data["outcome"]] for delivery in deliveries]

    @hookimpl
    def register_sink_types(self):
        return [self.PlaceSink]


@pytest.fixture
def make_events(tmp_path):
    made = []

    def make(*plugins):
        sinks = {"crm": {"type": "place", "events": ["app.*"]}}
        outbox = {"url": f"sqlite://{tmp_path}/events.db", "append_timeout": "20s"}
        made.append(Events.from_dict({"outbox": outbox, "sinks": sinks}, plugins=[Place(), *plugins]))
        return made[-1]

    yield make
    for events in made:
        events.stop()


def emit_each(events):
    """An event for each outcome; returns when all are settled, and told."""
    for outcome in range(len(OUTCOMES)):
        events.emit_sync("app.said", data={"outcome": outcome})
    deadline = time.monotonic() + PATIENCE
    while not all(one.attempts for one in events.outbox.deliveries()):
        assert time.monotonic() < deadline
        time.sleep(0.005)
    events.stop()  # whatever is still to be told is told


def samples(text):
    """The figures of a page, by name and the values of their labels, in the order of the labels' names."""
    families = text_string_to_metric_families(text)
    found = [one for family in families for one in family.samples]
    return {(one.name, *(value for _, value in sorted(one.labels.items()))): one.value for one in found}


class TestPrometheus:
    @pytest.fixture
    def metrics(self):
        return PrometheusMetrics(CollectorRegistry())

    def test_counted(self, make_events, metrics):
        """Events by type, attempts by sink and outcome, and how long each step took."""
        emit_each(make_events(metrics))

        found = samples(generate_latest(metrics.registry).decode())
        prefix = "supertokens_events_"
        assert found[prefix + "events_total", "app.said"] == 3
        assert [found[prefix + "attempts_total", name, "crm"] for name in ("delivered", "retry", "rejected")] == [
            1,
            1,
            1,
        ]
        assert found[prefix + "append_seconds_count",] == 3
        assert found[prefix + "attempt_seconds_count", "crm"] == 3
        assert found[prefix + "delivery_seconds_count", "crm"] == 1
        for name in ("append", "attempt", "delivery"):
            took = next(value for key, value in found.items() if key[0] == f"{prefix}{name}_seconds_sum")
            assert 0 < took < PATIENCE

    def test_how_the_outbox_stands(self, make_events, metrics):
        """The outbox is asked when somebody looks: what waits, what is dead, how old it is, and the ledger by reason."""
        events = make_events(metrics)
        emit_each(events)
        events.emitter.takes("session.refreshed")
        events.stop()
        metrics.watch(events.outbox)

        found = samples(generate_latest(metrics.registry).decode())

        prefix = "supertokens_events_"
        assert found[prefix + "outbox_up",] == 1
        assert found[prefix + "outbox_events",] == 3
        assert found[prefix + "outbox_bytes",] > 0
        assert [found[f"{prefix}deliveries_{name}", "crm"] for name in ("pending", "due", "dead", "blocked")] == [
            1,
            0,
            1,
            0,
        ]
        assert 0 < found[prefix + "oldest_pending_seconds", "crm"] < PATIENCE
        assert (found[prefix + "sink_away", "crm"], found[prefix + "sink_disabled", "crm"]) == (0, 0)
        assert found[prefix + "ledger_entries", "capture_off"] == 1

    def test_outbox_that_does_not_answer(self, metrics, tmp_path):
        """Then that is the figure, and the others of the page are there."""

        class Gone(SqliteOutbox):
            def status(self):
                raise OutboxUnavailable("its disk is away")

        metrics.watch(Gone(tmp_path / "events.db"))

        page = generate_latest(metrics.registry).decode()
        assert "supertokens_events_outbox_up 0.0" in page
        assert "supertokens_events_append_seconds_count 0.0" in page

    def test_served(self, metrics):
        """Over HTTP, on a port of one's own; then the port is free again."""
        with metrics.serve("127.0.0.1", 0) as port:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
                assert "supertokens_events_append_seconds_count" in answer.read().decode()
            with pytest.raises(OSError, match="in use"), metrics.serve("127.0.0.1", port):
                pass
        with metrics.serve("127.0.0.1", port) as again:
            assert again == port

    def test_costs_no_read(self, make_events, metrics):
        """Measuring makes nobody ask the core for more."""
        assert not make_events(metrics).emitter.wants("user.created")


class TestOpenTelemetry:
    @pytest.fixture
    def spans(self):
        return InMemorySpanExporter()

    @pytest.fixture
    def tracers(self, spans):
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(spans))
        yield provider
        provider.shutdown()

    @pytest.fixture
    def reader(self):
        return InMemoryMetricReader()

    @pytest.fixture
    def plugin(self, tracers, reader):
        provider = MeterProvider([reader], shutdown_on_exit=False)
        yield OpenTelemetry(provider, tracers)
        provider.shutdown()

    def test_figures(self, make_events, plugin, reader):
        """The same figures as for Prometheus, by the same names."""
        events = make_events(plugin)
        emit_each(events)
        plugin.watch(events.outbox)

        (resource,) = reader.get_metrics_data().resource_metrics
        found = {
            (metric.name.removeprefix("supertokens_events."), *point.attributes.values()): point
            for metric in resource.scope_metrics[0].metrics
            for point in metric.data.data_points
        }
        assert found["events", "app.said"].value == 3
        assert [found["attempts", "crm", name].value for name in ("delivered", "retry", "rejected")] == [1, 1, 1]
        assert found["append.duration",].count == found["attempt.duration", "crm"].count == 3
        assert 0 < found["delivery.duration", "crm"].sum < PATIENCE
        assert [found[f"deliveries_{name}", "crm"].value for name in ("pending", "due", "dead")] == [1, 0, 1]
        assert found["outbox_events",].value == 3

    def test_traces(self, make_events, plugin, tracers, spans):
        """Storing is a step of the request that emits; a delivery is a trace of its own that leads back to it."""
        with tracers.get_tracer("app").start_as_current_span("POST /signup"):
            emit_each(make_events(plugin))

        named = {}
        for span in spans.get_finished_spans():
            named.setdefault(span.name, []).append(span)
        (request,) = named["POST /signup"]
        assert [span.parent.span_id for span in named["store app.said"]] == [request.context.span_id] * 3
        stored = {span.attributes["event.id"]: span for span in named["store app.said"]}
        assert len(named["deliver crm"]) == 3
        for span in named["deliver crm"]:
            assert span.parent is None
            (link,) = span.links
            assert link.context.span_id == stored[span.attributes["event.id"]].context.span_id
            assert span.end_time > span.start_time
            says = span.status.description
            assert says == {"delivered": None, "retry": OUTCOMES[1].reason}.get(
                span.attributes["outcome"], OUTCOMES[2].reason
            )

    def test_no_request(self, make_events, plugin, spans):
        """An event that no request is behind begins a trace."""
        events = make_events(plugin)
        thread = threading.Thread(target=emit_each, args=(events,))
        thread.start()
        thread.join()

        assert {span.parent for span in spans.get_finished_spans()} == {None}
        assert trace.get_current_span().get_span_context().is_valid is False


class TestHook:
    def test_events_stored(self, make_events):
        """Each commit is told once, with all that it stored and how long that took."""
        told = []

        class Told:
            @hookimpl
            def events_stored(self, events, waits):
                told.extend(zip(events, waits, strict=True))

        events = make_events(Told())
        stored = [events.emit_sync("app.said", data={"outcome": 0}) for _ in range(3)]
        events.stop()

        assert [event for event, _ in told] == stored
        assert all(0 < waited < PATIENCE for _, waited in told)

    def test_one_that_raises(self, make_events):
        """Its failure is counted, and costs nobody anything."""

        class Broken:
            @hookimpl
            def events_stored(self, events, waits):
                raise KeyError("p4ssw0rd")

        events = make_events(Broken())

        assert events.emit_sync("app.said", data={"outcome": 0}).sequence == 1
        events.stop()
        assert [(line.reason, line.event_type) for line in events.outbox.ledger()] == [("listener_failed", "app.said")]


@pytest.mark.parametrize(("origin", "is_told"), [(None, True), ("backfill", False), ("reconcile", False)])
def test_latency_of_history(origin, is_told):
    """How long an event was on its way is not told of history: its id begins with the time when it happened."""
    event = sample_event(context=Context(origin=origin), data={"origin": "backfill"})
    delivery = Delivery("crm", event.id, event.type, 1, event.tenant_id, event.user_id, event.to_bytes())

    assert (latency(delivery, time.time()) is not None) is is_told


def test_made_at():
    """An id says when it was made, to the millisecond."""
    assert made_at(new_event_id(1_800_000_000.1239)) == 1_800_000_000.123
