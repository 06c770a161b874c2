"""``enable``: deliveries go out again to a sink whose place wanted no more events."""

from __future__ import annotations

import click

from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.output import counted, json_option, print_json, printable, time_in_words
from supertokens_events.cli.project import Project, pass_project
from supertokens_events.suggest import nearest

__all__ = ["enable"]


@click.command()
@click.argument("sink", metavar="SINK")
@json_option
@pass_project
def enable(project: Project, *, sink: str, as_json: bool) -> None:
    """Let deliveries go out to a sink that is disabled.

    A place disables its sink when it answers that it wants no more events. What waited goes out then.
    """
    configured = project.settings_with_stored.sinks
    with project.outbox() as outbox:
        statuses = {one.sink: one for one in outbox.status()}
        if sink not in {*statuses, *configured}:
            raise Mistake(f"{project.settings.file}: sinks.{sink}: there is no such sink{nearest(sink, configured)}")
        over = outbox.enable(sink)
    waiting = statuses[sink].pending if sink in statuses else 0
    if as_json:
        print_json({"sink": sink, "was_disabled": over is not None, "pending": waiting})
    elif over is None:
        click.echo(f"{sink} is not disabled; nothing has changed")
    else:
        click.echo(
            printable(
                f"{sink} is enabled; it was disabled {time_in_words(over.since)}: {over.reason}\n"
                f"{counted(waiting, 'delivery waits', 'deliveries wait')}"
            )
        )
    if sink in configured and not configured[sink].enabled:
        where = f"{project.settings.file}: sinks.{sink}.enabled: it is turned off there"
        stored = f"the sink {sink!r} is turned off through the API"
        raise Problem(f"{where if sink in project.settings.sinks else stored}, so nothing goes out")
