"""``reconcile``: what the outbox has told, compared with the core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from supertokens_events.cli.from_core import a_duration, core_of, patience_option
from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.output import counted, json_option, print_json, printable
from supertokens_events.cli.progress import Progress
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.reconcile.report import Report

__all__ = ["reconcile"]

_SHOWN = 20  # differences that are listed for a person


@click.command()
@click.option("--fix", is_flag=True, help="Say what is missing, to every sink that wants it.")
@click.option("--many-gone", is_flag=True, help="With --fix: say also that more than a tenth of all users are gone.")
@click.option("--tenants", is_flag=True, help="Also compare the tenants, and who is in which.")
@click.option("--roles", is_flag=True, help="Also compare the roles, and who has them.")
@click.option(
    "--baseline", is_flag=True, help="Take everything as it is now; only what changes from here on is a difference."
)
@click.option(
    "--grace",
    metavar="DURATION",
    default="5s",
    show_default=True,
    callback=a_duration,
    help="How long a difference must last: an event may be on its way.",
)
@patience_option
@json_option
@click.pass_context
@pass_project
def reconcile(
    project: Project,
    context: click.Context,
    *,
    fix: bool,
    tenants: bool,
    roles: bool,
    baseline: bool,
    many_gone: bool,
    grace: float,
    patience: float,
    as_json: bool,
) -> None:
    """Compare what was told with the users that the core has.

    Users that were never told of or are gone, e-mail addresses, phone numbers, verifications and links that differ: what changed
    without us, or was lost on its way. Exit code 1 when something differs and --fix is not given.
    """
    from supertokens_events.reconcile.run import Reconciling, Wanted

    if baseline and (fix or tenants or roles):
        raise Mistake("--baseline takes everything as it is, and goes with no other option but --json")
    progress = Progress("reconcile", "user")
    with core_of(project.settings, patience) as core, project.events() as events:
        run = Reconciling(
            events.outbox,
            events.plugins,
            core,
            lambda: events.plan,
            Wanted(tenants, roles),
            grace=grace,
            progress=progress.reached,
        )
        with progress.of(core.count()):
            if baseline:
                _report_baseline(run.baseline(), as_json=as_json)
                return
            report = run.run(fix=fix, many_gone=many_gone)
    _print_json(report) if as_json else _print(report)
    if report.withheld:
        raise Problem(
            f"that {counted(report.withheld, 'user')} are gone was not said: so many at once may mean that [core] names another "
            "core, or that it was emptied or restored; --many-gone says it all the same"
        )
    if report.found and not fix:
        context.exit(1)


def _report_baseline(users: int, *, as_json: bool) -> None:
    if as_json:
        print_json({"kind": "baseline", "users": users})
    else:
        click.echo(f"{counted(users, 'user')} taken as found; from now on a change that is not told is a difference")


def _print_json(report: Report) -> None:
    for one in report.found:
        print_json({"kind": "difference", **one._asdict()})
    print_json(
        {
            "kind": "summary",
            "users": report.users,
            "noted": report.noted,
            "differences": dict(sorted(report.by_type.items())),
            "fixed": report.fixed,
            "withheld": report.withheld,
        }
    )


def _print(report: Report) -> None:
    if report.noted:
        why = "joined before the outbox began, or before it was last compared"
        click.echo(f"{counted(report.noted, 'user')} taken as found: they {why}" if report.noted else "")
    compared = f"{counted(report.users, 'user')} compared"
    if not report.found:
        click.echo(f"{compared}: no difference")
        return
    what = f"{report.fixed:,} said now" if report.fixed else "not said; --fix says what is missing"
    click.echo(f"{compared}: {counted(len(report.found), 'difference')}, {what}")
    for event_type, n in sorted(report.by_type.items()):
        click.echo(f"  {n:,} {event_type}")
    for one in report.found[:_SHOWN]:
        about = " ".join(filter(None, (one.user_id, one.tenant_id and f"in {one.tenant_id}", one.event_id)))
        click.echo(printable(f"{one.event_type} {about}"))
    if len(report.found) > _SHOWN:
        click.echo(f"and {len(report.found) - _SHOWN:,} more; --json lists them all")
