"""``prune``: what is older than its retention goes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from supertokens_events.cli.output import counted, json_option, print_json
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.outbox import Outbox, Pruned, Retention

__all__ = ["prune"]


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
