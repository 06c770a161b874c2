"""``replay`` and ``dead``: what was given up, and a person's decision to send again."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from supertokens_events.cli.asking import Moment, limit_option, rate, since_option, type_option, until_option
from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.look import delivery_facts
from supertokens_events.cli.output import counted, json_option, print_json, print_table, printable, time_in_words
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.operate.replay import Asked, Replay
    from supertokens_events.outbox import Replayed, StoredDelivery

__all__ = ["dead", "replay"]


class Interrupted(Problem):
    """Somebody pressed Ctrl-C, and something is done already."""

    exit_code = 130


_ASKED = ("event_ids", "sink", "state", "types", "since", "until", "to", "held", "again", "everything")


@click.command()
@click.argument("event_ids", metavar="[ID]...", nargs=-1)
@click.option(
    "--sink", metavar="NAME", help="The deliveries to this sink: all in --state, or those of the events with ID."
)
@click.option("--state", type=click.Choice(["dead", "done", "skipped"]), default="dead", show_default=True)
@since_option
@until_option
@type_option
@click.option("--to", metavar="NAME", help="To this sink instead, whatever it subscribes to; not what it has.")
@click.option("--rate", metavar="RATE", callback=rate, help="So many at most: '10/s', '600/m'. Else all at once.")
@click.option("--dry-run", is_flag=True, help="Only count. Nothing changes.")
@click.option("--by", metavar="WHO", help="Who decided it, for the record.  [default: the user who runs this]")
@click.option("--held", is_flag=True, help="Also what a filter that failed has held back.")
@click.option("--again", is_flag=True, help="Also what --to has, or what was replayed within the last minute.")
@click.option("--all", "everything", is_flag=True, help="With --state done: everything that the sink has ever got.")
@click.option("--anew", is_flag=True, help="Begin anew instead of going on with the same replay, interrupted.")
@json_option
@pass_project
def replay(project: Project, /, **options: Any) -> None:
    """Make deliveries due again: the same events, with the same ids.

    Of the events with ID, or of a range: a sink, a state, types, times. What is pending is left alone. An interrupted replay goes
    on where it was when the same command runs again.
    """
    from supertokens_events.operate.replay import Asked, Replay, ReplayRefused, operator, select
    from supertokens_events.outbox import DeliveryState

    asked = Asked(**{name: options[name] for name in _ASKED} | {"state": DeliveryState(options["state"])})
    with project.outbox() as outbox:
        unknown = [id_ for id_ in asked.event_ids if outbox.event(id_) is None]
        try:
            selection = select(outbox, project.settings_with_stored.sinks, asked)
            by = operator() if options["by"] is None else options["by"]
            made = Replay(outbox, selection, by=by, words=_words(), rate=options["rate"], anew=options["anew"])
        except ReplayRefused as refused:
            raise Mistake(str(refused)) from None
        found = made.count() if options["dry_run"] else _run(made, quiet=options["as_json"])
    _tell(found, asked, made, options)
    if unknown:
        raise Problem(*(f"there is no event {id_!r} in the outbox" for id_ in unknown))
    if asked.event_ids and (not found.due or found.found > found.due):
        raise click.exceptions.Exit(1)


def _words() -> str:
    """The command as it was given, for the same one to go on with it. How fast, and by whom, is no part of that."""
    given = {name: value for name, value in click.get_current_context().params.items() if name in _ASKED and value}
    given |= {name: moment.said for name, moment in given.items() if isinstance(moment, Moment)}
    return json.dumps(given, sort_keys=True)


def _run(made: Replay, *, quiet: bool) -> Replayed:
    """All of its steps, with a bar where somebody watches."""
    from supertokens_events.outbox import Replayed

    total = made.count()
    found = Replayed()
    try:
        with _bar(total.due, quiet=quiet) as shown:
            for found in made.steps():
                shown(found.due)
    except KeyboardInterrupt:
        raise Interrupted(
            f"interrupted: {counted(found.due, 'delivery', 'deliveries')} of {total.due:,} became due; "
            "the same command goes on from there"
        ) from None
    return found


@contextmanager
def _bar(total: int, *, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Shows how many are done, on stderr, if that is a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("replay", total=total)
        yield lambda done: progress.update(task, completed=done, total=max(total, done))


def _tell(found: Replayed, asked: Asked, made: Replay, options: dict[str, Any]) -> None:
    resumed = made.run is not None and made.run.resumed
    if options["as_json"]:
        counts = {name: count for name, count in found._asdict().items() if name not in ("due", "last")}
        facts = {"due": found.due, "left_alone": counts, "dry_run": options["dry_run"], "resumed": resumed}
        print_json({**facts, "sink": asked.sink, "to": asked.to})
        return
    if resumed and made.run is not None:
        began = time_in_words(made.run.began_at)
        click.echo(printable(f"goes on with what {made.run.by} began {began}; --anew would begin anew"))
    for line in _sentences(found, asked, dry_run=options["dry_run"]):
        click.echo(printable(line))


def _sentences(found: Replayed, asked: Asked, *, dry_run: bool) -> Iterator[str]:
    whither = f" to {asked.to or asked.sink}" if asked.to or asked.sink else ""
    if not found.found:
        about = (
            f"{asked.state} deliveries to {asked.sink} in that range" if asked.sink else "deliveries of these events"
        )
        yield f"nothing to replay: there are no {about}"
        return
    deliveries = counted(found.due, "delivery", "deliveries") + whither
    if dry_run:
        yield f"would be due again: {deliveries}"
    else:
        yield f"due again: {deliveries}"
    for count, why in _left_alone(found, asked):
        if count:
            yield f"left alone: {count:,} {why}"


def _left_alone(found: Replayed, asked: Asked) -> Iterator[tuple[int, str]]:
    yield found.pending, "pending, which go out anyway"
    yield found.done, f"that {asked.to} has already (--again)" if asked.to else "done (--state done)"
    yield found.dead, "dead (--state dead)"
    yield found.skipped, "skipped (--state skipped)"
    yield found.erased, "whose event was erased: there is nothing left to send"
    yield found.held, "held back since a filter failed on them: they may be meant to stay (--held)"
    yield (
        found.replayed,
        "replayed by this replay before, by another one under way, or within the last minute (--again)",
    )


# dead ------------------------------------------------------------------------------------------------------------------


@click.group()
def dead() -> None:
    """Dead letters: what was given up, and why."""


@dead.command("list")
@click.option("--sink", metavar="NAME", help="Only deliveries to this sink.")
@type_option
@since_option
@until_option
@limit_option
@json_option
@pass_project
def dead_list(project: Project, /, *, types: Sequence[str], limit: int, as_json: bool, **asked: Any) -> None:
    """The latest dead letters, oldest first, each with its reason."""
    from supertokens_events.operate.types import stored_types
    from supertokens_events.outbox import DeliveryState, Wanted

    with project.outbox() as outbox:
        of_types = stored_types(outbox, types)
        found = outbox.deliveries(wanted=Wanted(types=of_types, state=DeliveryState.DEAD, **asked), limit=limit)
    if as_json:
        for one in found:
            print_json(delivery_facts(one))
    else:
        print_table(["event", "sink", "why"], map(_dead_row, found))


def _dead_row(one: StoredDelivery) -> tuple[str, str, str]:
    last = one.attempts[-1] if one.attempts else None
    tries = sum(attempt.outcome != "replayed" for attempt in one.attempts)
    after = f"{counted(tries, 'attempt')}, the last {time_in_words(last.started_at)}" if last else "not tried"
    return f"{one.event_id}\n{one.event_type}", one.sink, f"{one.reason}\n{after}"
