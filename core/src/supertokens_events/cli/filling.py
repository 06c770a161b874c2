"""``backfill``: history for a sink that is new."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, cast, get_args

import click

from supertokens_events.cli.from_core import a_rate, a_time, core_of, patience_option
from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.output import counted, iso_time, json_option, print_json, printable
from supertokens_events.cli.progress import Progress
from supertokens_events.cli.project import Project, pass_project
from supertokens_events.suggest import nearest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from supertokens_events.backfill import Filling, Include, Position, Range, Tally
    from supertokens_events.config import Settings, SinkConfig
    from supertokens_events.events import Events

__all__ = ["backfill"]


def _included(_context: click.Context, _parameter: click.Parameter, value: str | None) -> tuple[Include, ...]:
    from supertokens_events.backfill import Include

    names = [name.strip() for name in (value or "").split(",") if name.strip()]
    for name in names:
        if name not in get_args(Include):
            known = get_args(Include)
            raise click.BadParameter(
                f"there is no {name!r} to include{nearest(name, known)}; known: {', '.join(known)}"
            )
    return cast("tuple[Include, ...]", tuple(sorted(set(names))))


@click.command()
@click.argument("sink", metavar="SINK")
@click.option(
    "--since", metavar="TIME", callback=a_time, help="Only who joined then or later: '30d' ago, or '2026-11-23'."
)
@click.option("--until", metavar="TIME", callback=a_time, help="Only who joined before; by default before now.")
@click.option(
    "--include", metavar="WHAT", callback=_included, help="What else to say: 'roles', 'metadata', or both with a comma."
)
@click.option("--rate", metavar="RATE", callback=a_rate, help="Events at most, such as '100/s' or '2000/m'.")
@click.option("--again", is_flag=True, help="Begin again, whatever an earlier one has sent.")
@click.option("--dry-run", is_flag=True, help="Only count what would be sent. Nothing is stored.")
@patience_option
@json_option
@click.pass_context
@pass_project
def backfill(
    project: Project,
    context: click.Context,
    *,
    sink: str,
    since: float | None,
    until: float | None,
    include: tuple[Include, ...],
    rate: float | None,
    again: bool,
    dry_run: bool,
    patience: float,
    as_json: bool,
) -> None:
    """Send a new sink what was before: the core's users, as events.

    For this sink alone: user.created with the time when each joined, account.linked, tenant.user.associated. What the sink has is
    left out; its subscription and the hooks apply. A dispatcher delivers. If it is interrupted, the same command goes on.
    """
    from supertokens_events.backfill import Filling, Range, Refused

    settings = project.settings if sink in project.settings.sinks else project.settings_with_stored
    config = _sink(settings, sink)
    given = since is not None or until is not None or bool(include)
    asked = Range(since=since, until=time.time() if until is None else until, include=include)
    if asked.first >= asked.until:
        raise Mistake(f"nobody joined from {iso_time(asked.first)} on and before {iso_time(asked.until)}")
    with core_of(settings, patience) as core, project.events(_undisturbed(settings), follow=False) as events:
        _must_be_on(events, settings, config)
        plan = replace(events.plan, routes=tuple(route for route in events.plan.routes if route.sink == sink))
        progress = Progress(f"backfill {sink}", "user")
        filling = Filling(
            events.outbox,
            events.plugins,
            core,
            plan,
            rate=rate,
            dry_run=dry_run,
            progress=lambda position: progress.reached(position.users),
        )
        position = _position(filling, asked, given=given, again=again)
        try:
            with progress.of(core.count()):
                tally = filling.run(position)
        except Refused as error:
            raise Problem(f"{settings.file}: sinks.{sink}: {error}") from None
        except KeyboardInterrupt:
            _say_how_to_go_on(filling, dry_run=dry_run)
            context.exit(130)
        except Exception:
            _say_how_to_go_on(filling, dry_run=dry_run)
            raise
    _report(filling, tally, position, dry_run=dry_run, as_json=as_json)


def _undisturbed(settings: Settings) -> Settings:
    """As they are now: what is told when the file changes is the next run's."""
    return replace(settings, path=None)


def _sink(settings: Settings, name: str) -> SinkConfig:
    config = settings.sinks.get(name)
    if config is None:
        hint = nearest(name, settings.sinks) or f"; configured: {', '.join(settings.sinks) or 'none'}"
        raise Mistake(f"{settings.file}: sinks.{name}: there is no such sink{hint}")
    return config


def _must_be_on(events: Events, settings: Settings, config: SinkConfig) -> None:
    if not config.enabled:
        raise Problem(f"{settings.file}: sinks.{config.name}.enabled: the sink is turned off; nothing was sent")
    for one in events.outbox.status():
        if one.sink == config.name and one.disabled is not None:
            raise Problem(
                f"{config.name} is disabled ({printable(one.disabled.reason)}): "
                f"'supertokens-events enable {config.name}' first; nothing was sent"
            )


def _position(filling: Filling, asked: Range, *, given: bool, again: bool) -> Position:
    from supertokens_events.backfill import next_position

    try:
        return next_position(None if again else filling.saved.position, asked, given=given)
    except ValueError as error:
        raise Mistake(f"the backfill of {filling.sink!r} {error}") from None


def _say_how_to_go_on(filling: Filling, *, dry_run: bool) -> None:
    if dry_run:
        return
    stored = counted(sum(filling.tally.stored.values()), "event")
    click.echo(f"{filling.sink}: interrupted; {stored} of this run are stored. The same command goes on.", err=True)


def _report(filling: Filling, tally: Tally, position: Position, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        since, until = iso_time(position.range.since), iso_time(position.range.until)
        print_json({"sink": filling.sink, "since": since, "until": until, "dry_run": dry_run, **tally.as_dict()})
        return
    stored = counted(sum(tally.stored.values()), "event")
    what = f"{stored} would be stored for it" if dry_run else f"{stored} stored for it"
    click.echo(f"{filling.sink}: {counted(tally.users, 'user')}, {what}")
    for name, n in sorted(tally.stored.items()):
        click.echo(f"  {n:,} {name}")
    _left_out(tally.had, "it has them already")
    _left_out(tally.unwanted, f"sinks.{filling.sink} does not want them")
    _left_out(tally.kept_back, "[capture] events or a plugin's filter keeps them back")
    if position.range.since is not None:
        click.echo(f"only who joined since {iso_time(position.range.since)}")


def _left_out(counts: Mapping[str, int], why: str) -> None:
    if counts:
        listed = ", ".join(f"{n:,} {name}" for name, n in sorted(counts.items()))
        click.echo(f"left out, {why}: {listed}")
