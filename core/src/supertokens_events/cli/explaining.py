"""``why``: what became of an event, and why; or why there is none."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from supertokens_events.cli.asking import since_option
from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.output import json_option, print_json, printable, time_in_words
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.operate.missing import Missing
    from supertokens_events.operate.why import Explained
    from supertokens_events.outbox import StoredEvent

__all__ = ["why"]


@click.command()
@click.argument("event_id", metavar="[ID]", required=False)
@click.option("--sink", metavar="NAME", help="Only what concerns this sink.")
@click.option("--type", "event_type", metavar="TYPE", help="Instead of ID: why there is no event of this type.")
@click.option("--user-id", metavar="ID", help="With --type: about this user.")
@since_option
@json_option
@pass_project
def why(project: Project, /, *, event_id: str | None, event_type: str | None, as_json: bool, **asked: Any) -> None:
    """What became of an event at each sink, what will, and why.

    What a sink wants is told by the configuration of now, and said so where that is not how it was. With --type: which setting,
    filter or failure kept out what never became an event.
    """
    if (event_id is None) == (event_type is None):
        raise Mistake("say what to explain: the ID of an event, or with --type what never became one")
    if event_type is not None:
        _why_not(project, event_type, as_json=as_json, **asked)
    else:
        assert event_id is not None
        _why(project, event_id, asked, as_json=as_json)


# An event --------------------------------------------------------------------------------------------------------------


def _why(project: Project, event_id: str, asked: dict[str, Any], *, as_json: bool) -> None:
    from supertokens_events.events import retention
    from supertokens_events.operate.why import explain

    if asked["user_id"] is not None or asked["since"] is not None:
        raise Mistake("--user-id and --since go with --type")
    kept = retention(project.settings)
    with project.outbox() as outbox:
        event = outbox.event(event_id)
        if event is None:
            raise Problem(_unknown(event_id, kept.events))
        found = explain(outbox, project.settings_with_stored.sinks, kept, event)
    if asked["sink"] is not None:
        found = [one for one in found if one.sink == asked["sink"]] or _no_such_sink(project, asked["sink"])
    if as_json:
        for one in found:
            print_json({"event": event_id, "sink": one.sink, "state": one.state, "sentences": list(one.sentences)})
    else:
        _print(event, found)


def _no_such_sink(project: Project, name: str) -> list[Explained]:
    from supertokens_events.suggest import nearest

    sinks = project.settings_with_stored.sinks
    raise Mistake(f"{project.settings.file}: sinks.{name}: there is no such sink{nearest(name, sinks)}")


def _unknown(event_id: str, kept: float | None) -> str:
    from supertokens_events.operate.identity import made_at

    made = made_at(event_id)
    if made is None:
        return f"there is no event {event_id!r} in the outbox, and that is no id of one"
    return f"there is no event {event_id!r} in the outbox: by its id it was made {time_in_words(made)}, {_gone(made, kept)}"


def _gone(made: float, kept: float | None) -> str:
    from supertokens_events.operate.words import age_in_words

    if kept is not None and time.time() - made > kept:
        return f"and events are pruned after {age_in_words(kept)}"
    return "so it was never stored here, or another outbox has it"


def _print(event: StoredEvent, found: list[Explained]) -> None:
    about = [f"user {event.user_id}"] if event.user_id else []
    about += [f"tenant {event.tenant_id}"] if event.tenant_id else []
    click.echo(printable(", ".join([f"{event.id} {event.type}", *about, f"stored {time_in_words(event.stored_at)}"])))
    if event.body is None:
        click.echo("Its data was erased: what is told here is what is left.")
    if not found:
        click.echo("There is no sink: it is stored and goes nowhere.")
    for one in found:
        click.echo(printable(f"\n{one.sink}: {one.state or 'no delivery'}"))
        for sentence in one.sentences:
            click.echo(printable(f"  {sentence}"))


# No event --------------------------------------------------------------------------------------------------------------


def _why_not(
    project: Project, event_type: str, *, as_json: bool, sink: str | None, user_id: str | None, since: float | None
) -> None:
    from supertokens_events.event import event_type as checked
    from supertokens_events.operate.missing import explain_missing

    if sink is not None:
        raise Mistake("--sink goes with the ID of an event")
    try:
        checked(event_type)
    except ValueError as error:
        raise Mistake(str(error)) from None
    catalog = project.plugins.catalog
    with project.outbox() as outbox:
        found = explain_missing(outbox, project.settings, catalog, event_type, user_id=user_id, since=since)
    if as_json:
        stored = [event.id for event in found.stored]
        print_json(
            {"type": event_type, "stored": stored, "kept_out": found.kept_out, "sentences": list(found.sentences)}
        )
        return
    if catalog.get(event_type) is None and not found.stored:
        near = catalog.nearest(event_type)
        click.echo(f"{event_type} is not in the catalog{f', did you mean {near!r}?' if near else ''}")
    _print_missing(found)


def _print_missing(found: Missing) -> None:
    if found.stored:
        click.echo("There are such events; the latest, each with its own 'supertokens-events why ID':")
        for event in found.stored:
            about = f" user {event.user_id}" if event.user_id else ""
            click.echo(printable(f"  {event.id} {event.type}{about}, stored {time_in_words(event.stored_at)}"))
    for sentence in found.sentences:
        click.echo(printable(sentence))
    if found.stored and not found.kept_out:
        click.echo("Nothing is counted that kept others out.")
