"""Figures for Prometheus: a plugin that counts, and a collector that looks at the outbox."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from supertokens_events.event import Event
from supertokens_events.hookspecs import hookimpl
from supertokens_events.log import get_logger
from supertokens_events.metrics.figures import BUCKETS, PREFIX, latency, outcome_name, standing
from supertokens_events.outbox import Outbox, OutboxError
from supertokens_events.sink import Delivered, Delivery, Outcome

__all__ = ["PrometheusMetrics"]

log = get_logger(__name__)


class PrometheusMetrics:
    """A plugin: ``Events.from_toml(plugins=[PrometheusMetrics()])``. Its figures are in ``registry``, the default one unless
    said otherwise, from where the app's own ``/metrics`` serves them; or :meth:`serve` does.

    Raises ``ValueError`` when the registry has them already.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._stored = Counter(f"{PREFIX}events", "Events stored, by type.", ["type"], registry=registry)
        self._append = self._seconds("append_seconds", "From emit to the commit.", [])
        self._settled = Counter(
            f"{PREFIX}attempts", "Attempts at deliveries, by sink and outcome.", ["sink", "outcome"], registry=registry
        )
        self._attempt = self._seconds("attempt_seconds", "How long an attempt took.", ["sink"])
        self._delivery = self._seconds("delivery_seconds", "From emit until the sink had it.", ["sink"])

    def _seconds(self, name: str, says: str, labels: Sequence[str]) -> Histogram:
        return Histogram(PREFIX + name, says, labels, registry=self.registry, buckets=BUCKETS)

    @hookimpl
    def events_stored(self, events: Sequence[Event], waits: Sequence[float]) -> None:
        """Count them."""
        for event, waited in zip(events, waits, strict=True):
            self._stored.labels(event.type).inc()
            self._append.observe(waited)

    @hookimpl
    def delivery_settled(self, delivery: Delivery, outcome: Outcome, duration: float) -> None:
        """Count it."""
        self._settled.labels(delivery.sink, outcome_name(outcome)).inc()
        self._attempt.labels(delivery.sink).observe(duration)
        if isinstance(outcome, Delivered) and (seconds := latency(delivery, time.time())) is not None:
            self._delivery.labels(delivery.sink).observe(seconds)

    def watch(self, outbox: Outbox) -> None:
        """Tell how ``outbox`` stands, too: one process of those that share it is enough."""
        self.registry.register(_Standing(outbox))

    @contextmanager
    def serve(self, host: str, port: int) -> Iterator[int]:
        """Serve them over HTTP in a thread of their own; the port. Raises ``OSError`` when the address cannot be had."""
        server, thread = start_http_server(port, host, self.registry)
        try:
            yield int(server.server_port)
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


class _Standing(Collector):
    """Asks the outbox at each look. One that cannot be asked is a figure too."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    def describe(self) -> Iterable[Metric]:
        """Nothing beforehand: the outbox need not be there when it is registered."""
        return ()

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(f"{PREFIX}outbox_up", "1 when the outbox answers.", value=1)
        try:
            figures = list(standing(self._outbox))
        except OutboxError as error:
            log.warning("The outbox cannot be asked how it stands.", error=str(error))
            return [GaugeMetricFamily(up.name, up.documentation, value=0)]
        return [up, *(_family(name, says, label, values) for name, says, label, values in figures)]


def _family(name: str, says: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(PREFIX + name, says, labels=[label] if label else [])
    for of, value in values.items():
        family.add_metric([of] if label else [], value)
    return family
