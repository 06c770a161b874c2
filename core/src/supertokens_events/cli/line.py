"""``send`` and ``dispatch``: an event through the line, and the line's second half in a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.output import json_option, print_json, printable, time_in_words
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.config import Settings
    from supertokens_events.event import Event
    from supertokens_events.events import Events
    from supertokens_events.outbox import StoredDelivery

__all__ = ["dispatch", "send"]

_STORING = 10.0  # seconds; nobody signs in meanwhile, so a busy outbox gets more time than in an app


def _json_object(_context: click.Context, _parameter: click.Parameter, value: str | None) -> dict[str, Any] | None:
    if value is None:
        return None
    try:
        document = json.loads(value)
    except ValueError as error:
        raise click.BadParameter(f"is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise click.BadParameter('expected a JSON object, such as \'{"team": "blue"}\'')
    return document


# send ------------------------------------------------------------------------------------------------------------------


@click.command()
@click.argument("event_type", metavar="TYPE")
@click.option("--sink", metavar="NAME", help="Give it to this sink only; it must want the type.")
@click.option("--user-id", metavar="ID")
@click.option("--tenant-id", metavar="ID")
@click.option(
    "--data", metavar="JSON", callback=_json_object, help="The event's data; by default the example of its type."
)
@json_option
@pass_project
def send(
    project: Project,
    *,
    event_type: str,
    sink: str | None,
    user_id: str | None,
    tenant_id: str | None,
    data: Any,
    as_json: bool,
) -> None:
    """Emit one event through the whole line.

    A dispatcher delivers it: the app's own, or 'supertokens-events dispatch'.
    """
    settings = _storing_only(project.settings if sink is None else project.settings_with_stored)
    if sink is not None:
        settings = _one_sink(settings, sink, event_type, tenant_id)
    if data is None:
        data = _example(project, event_type)
    began = time.time()
    with project.events(settings, follow=sink is None) as events:
        event = _emit(events, event_type, user_id=user_id, tenant_id=tenant_id, data=data)
        events.stop()  # now it is stored, or never will be
        stored = events.outbox.event(event.id)
        if stored is None:
            raise Problem(f"{event_type!r} was not stored: {_why_not(events, event_type, began)}")
        deliveries = events.outbox.deliveries(event_id=event.id)
    if as_json:
        whither = [
            {"sink": delivery.sink, "state": delivery.state, "reason": delivery.reason} for delivery in deliveries
        ]
        print_json({"id": event.id, "type": event.type, "sequence": stored.sequence, "deliveries": whither})
    else:
        click.echo(f"{event.id} {event.type}")
        for line in [f"{delivery.sink}: {_state(delivery)}" for delivery in deliveries] or [_nobody(settings, sink)]:
            click.echo(printable(f"  {line}"))


def _emit(events: Events, event_type: str, **fields: Any) -> Event:
    try:
        return events.emit_sync(event_type, **fields)
    except ValueError as error:
        raise Mistake(str(error)) from None


def _why_not(events: Events, event_type: str, began: float) -> str:
    """Why an event was not stored, as the ledger has it."""
    if not events.emitter.captured.matches(event_type):
        return f"{events.settings.file}: capture.events: does not ask for it"
    for count in events.outbox.ledger():
        if count.event_type == event_type and count.last_at >= began:
            return count.reason + (f" by the plugin {count.subject!r}" if count.subject else "")
    return "the outbox did not take it in time"


def _state(delivery: StoredDelivery) -> str:
    state = f"due {time_in_words(delivery.due_at)}" if delivery.state == "pending" else str(delivery.state)
    return f"{state} ({delivery.reason})" if delivery.reason else state


def _nobody(settings: Settings, sink: str | None) -> str:
    if sink is not None and settings.sinks[sink].subscription.where is not None:
        return f"{sink} does not want it: {settings.file}: sinks.{sink}.where does not hold for it"
    return "no sink wants it"


def _storing_only(settings: Settings) -> Settings:
    """The same line without a dispatcher in this process, and with time to store."""
    return replace(
        settings,
        path=None,  # these settings are ours, and do not follow the file
        dispatcher=settings.dispatcher.model_copy(update={"run": "off"}),
        outbox=settings.outbox.model_copy(update={"append_timeout": _STORING}),
    )


def _one_sink(settings: Settings, name: str, event_type: str, tenant_id: str | None) -> Settings:
    """The same line to one sink, as its subscription says."""
    import difflib

    config = settings.sinks.get(name)
    if config is None:
        nearest = next(iter(difflib.get_close_matches(name, settings.sinks, n=1)), None)
        hint = f", did you mean {nearest!r}?" if nearest else f"; configured: {', '.join(settings.sinks) or 'none'}"
        raise Mistake(f"{settings.file}: sinks.{name}: there is no such sink{hint}")
    if not config.enabled:
        raise Problem(f"{settings.file}: sinks.{name}.enabled: the sink is turned off; nothing was sent")
    if not config.subscription.patterns.matches(event_type):
        raise Problem(f"{settings.file}: sinks.{name}.events: the sink does not want {event_type!r}; nothing was sent")
    if not config.subscription.matches(event_type, tenant_id):
        tenants = ", ".join(config.subscription.tenants)
        raise Problem(
            f"{settings.file}: sinks.{name}.tenants: the sink wants {tenants} only; nothing was sent (see --tenant-id)"
        )
    return replace(settings, sinks={name: config})


def _example(project: Project, event_type: str) -> Mapping[str, Any]:
    catalog = project.plugins.catalog
    data_model = catalog.get(event_type)
    if data_model is not None:
        return data_model.example
    nearest = catalog.nearest(event_type)
    hint = f", did you mean {nearest!r}?" if nearest else ""
    click.echo(f"The type {event_type!r} is not in the catalog{hint}; it is sent without data.", err=True)
    return {}


# dispatch --------------------------------------------------------------------------------------------------------------


@click.command()
@click.option("--until-empty", is_flag=True, help="End when nothing is due, instead of waiting for more.")
@click.option("--metrics", "address", metavar="HOST:PORT", help="Serve figures for Prometheus there.")
@click.option("--otel", is_flag=True, help="Tell OpenTelemetry: see opentelemetry-instrument.")
@json_option
@click.pass_context
@pass_project
def dispatch(
    project: Project, context: click.Context, *, until_empty: bool, address: str | None, otel: bool, as_json: bool
) -> None:
    """Deliver what is due, and wait for more.

    SIGINT and SIGTERM end it: what is in flight gets 10 s to finish, the rest goes back to the outbox. If a sink blocks it,
    the process ends 5 s later, with exit code 1. A second signal ends it at once. SIGHUP has it look at its configuration.
    """
    from supertokens_events.cli.dispatching import deliver, summary
    from supertokens_events.cli.logs import logging_to_stderr
    from supertokens_events.cli.measuring import measured

    with logging_to_stderr(), measured(project, address=address, otel=otel) as events:
        before = events.outbox.status()
        unavailable = deliver(events, until_empty=until_empty)
        if not until_empty:
            return
        result = summary(events.settings, before, events.outbox.status())
    if as_json:
        print_json({**result, "unavailable": unavailable})
    else:
        click.echo(
            f"{result['delivered']:,} delivered, {result['later']:,} will be tried later, {result['dead']:,} dead"
        )
    for name in unavailable:
        click.echo(f"{project.settings.file}: sinks.{name}: could not be opened; its deliveries wait", err=True)
    if result["dead"] or unavailable:
        context.exit(1)
