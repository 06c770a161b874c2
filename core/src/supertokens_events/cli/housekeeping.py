"""``prune`` and ``erase``: what is older than its retention goes, and so do the payloads that name a user."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from supertokens_events.cli.group import Mistake
from supertokens_events.cli.output import counted, json_option, print_json
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.outbox import Outbox, Pruned, Retention

__all__ = ["erase", "prune"]


_PAUSE = 0.02  # seconds between two transactions, so that the app's come between


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go. Nothing changes.")
@json_option
@pass_project
def prune(project: Project, *, dry_run: bool, as_json: bool) -> None:
    """Delete what is older than [outbox.retention] says.

    A dispatcher does the same by itself, once a minute. What is pending stays, however old it is.
    """
    from supertokens_events.events import retention
    from supertokens_events.reconcile import follow

    kept = retention(project.settings)
    with project.outbox() as outbox:
        if not dry_run:
            follow(outbox)  # what goes is noted before
        total = outbox.prunable(kept) if dry_run else _prune(outbox, kept)
    if as_json:
        print_json({**total._asdict(), "dry_run": dry_run})
        return
    verb = "would delete" if dry_run else "deleted"
    click.echo(
        f"{verb}: {counted(total.events, 'event')}, {counted(total.deliveries, 'delivery', 'deliveries')}, "
        f"{counted(total.attempts, 'attempt')}, {counted(total.ledger, 'line')} of the ledger"
    )


def _prune(outbox: Outbox, kept: Retention) -> Pruned:
    """All that is old enough, in transactions that are short."""
    from supertokens_events.outbox import Pruned

    total = Pruned()
    while any(went := outbox.prune(kept)):
        total = Pruned(*map(sum, zip(total, went, strict=True)))
        time.sleep(_PAUSE)
    return total


@click.command()
@click.argument("user_id", metavar="USER_ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@json_option
@pass_project
def erase(project: Project, *, user_id: str, yes: bool, as_json: bool) -> None:
    """Erase the payloads of all events that name a user.

    As their user or anywhere in them. That an event happened, and to whom it went, stays; what has not gone out does not go
    out any more. It cannot be undone.
    """
    if not user_id:
        raise Mistake("USER_ID is empty")
    settings = project.settings
    if not yes and not _confirmed(f"{settings.file}: erase the payloads of all events that name {user_id!r}?"):
        raise click.Abort
    with project.outbox() as outbox:
        erased = outbox.erase(user_id)
    if as_json:
        print_json(erased._asdict())
        return
    events = counted(erased.events, "payload")
    deliveries = counted(erased.deliveries, "delivery", "deliveries")
    click.echo(f"erased: {events}; {deliveries} that had not gone out will not")


def _confirmed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise Mistake("this cannot be undone, and there is no terminal to ask: confirm it with --yes")
    return click.confirm(question, err=True)
