"""A dispatcher that is measured: for Prometheus over HTTP, by OpenTelemetry as the process has set it up."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from supertokens_events.cli.group import Mistake
from supertokens_events.log import get_logger
from supertokens_events.plugins import Plugins, add_plugin

if TYPE_CHECKING:
    from supertokens_events.cli.project import Project
    from supertokens_events.events import Events
    from supertokens_events.metrics.opentelemetry import OpenTelemetry
    from supertokens_events.metrics.prometheus import PrometheusMetrics

__all__ = ["measured"]

log = get_logger(__name__)

_HIGHEST_PORT = 65535


@contextmanager
def measured(project: Project, *, address: str | None, otel: bool) -> Iterator[Events]:
    """The project's line, with the figures of this process and of its outbox served at ``address``, or told to OpenTelemetry.

    Raises :class:`Mistake` for what is not installed, and for an address that is none or cannot be had.
    """
    place = None if address is None else _host_and_port(address)
    telemetry = _opentelemetry(project.plugins) if otel else None
    prometheus = None if place is None else _prometheus(project.plugins)
    with ExitStack() as stack:
        events = stack.enter_context(project.events())
        if telemetry is not None:
            telemetry.watch(events.outbox)
        if prometheus is not None and place is not None:
            prometheus.watch(events.outbox)
            try:
                port = stack.enter_context(prometheus.serve(*place))
            except OSError as error:
                why = error.strerror or error
                raise Mistake(f"--metrics {address}: nothing can be served there: {why}") from None
            log.info("Serving figures for Prometheus.", host=place[0], port=port)
        yield events


def _opentelemetry(plugins: Plugins) -> OpenTelemetry:
    try:
        from supertokens_events.metrics.opentelemetry import OpenTelemetry
    except ImportError:
        raise Mistake("--otel: OpenTelemetry is not installed; pip install 'supertokens-events[otel]'") from None
    plugin = OpenTelemetry()
    add_plugin(plugins, plugin, "metrics.opentelemetry")
    return plugin


def _prometheus(plugins: Plugins) -> PrometheusMetrics:
    """With a registry of its own: nothing else is served than what this process is about."""
    try:
        from prometheus_client import CollectorRegistry

        from supertokens_events.metrics.prometheus import PrometheusMetrics
    except ImportError:
        raise Mistake(
            "--metrics: Prometheus's client is not installed; pip install 'supertokens-events[prometheus]'"
        ) from None
    plugin = PrometheusMetrics(CollectorRegistry())
    add_plugin(plugins, plugin, "metrics.prometheus")
    return plugin


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > _HIGHEST_PORT:
        raise Mistake(f"--metrics {address}: expected HOST:PORT, such as 127.0.0.1:9464")
    return host.strip("[]"), int(port)
