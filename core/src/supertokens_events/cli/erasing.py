"""``erase``: what is stored of a person goes."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from supertokens_events.cli.group import Mistake, Problem
from supertokens_events.cli.output import counted, json_option, print_json, print_table, printable
from supertokens_events.cli.project import Project, pass_project

if TYPE_CHECKING:
    from supertokens_events.events import Events
    from supertokens_events.operate.linked import Person
    from supertokens_events.outbox import Erased

__all__ = ["erase"]


@click.command()
@click.argument("user_id", metavar="USER_ID")
@click.option("--dry-run", is_flag=True, help="Only say who that is and what would go. Nothing changes.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--rewrite", is_flag=True, help="Write the outbox's files anew, however large they are.")
@json_option
@pass_project
def erase(project: Project, *, user_id: str, dry_run: bool, yes: bool, rewrite: bool, as_json: bool) -> None:
    """Erase what is stored of a user.

    Under every id that stored events link with USER_ID: the data of all events that name it, and what sinks said about them.
    That an event happened, and to whom it went, stays; what has not gone out does not go out any more. It cannot be undone.
    The event user.data_erased says so.
    """
    from supertokens_events.operate.linked import find

    _check(user_id)
    with project.events() as events:
        person = find(events.outbox, user_id)
        found = events.outbox.erasable(person.names)
        if not any(found):
            _tell_nothing(events, person, dry_run=dry_run, as_json=as_json)
        elif dry_run:
            _tell(person, found, None, dry_run=True, as_json=as_json)
        else:
            if not as_json:
                _tell_who(person)
            if not yes and not _confirmed(project, person, found):
                raise click.Abort
            _erase(events, person, as_json=as_json)
        left = [] if dry_run else _scrubbed(events, rewrite=rewrite)
    if left:
        raise Problem(*left)


def _check(user_id: str) -> None:
    if not user_id:
        raise Mistake("USER_ID is empty")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise Mistake("USER_ID is not text") from None


def _scrubbed(events: Events, *, rewrite: bool) -> list[str]:
    from supertokens_events.operate.erase import scrub

    return scrub(events.outbox, rewrite=rewrite)


def _erase(events: Events, person: Person, *, as_json: bool) -> None:
    from supertokens_events.operate.erase import erase

    erased, event = erase(events, person)
    _tell(person, erased, event.id if event else None, dry_run=False, as_json=as_json)


# What is said ----------------------------------------------------------------------------------------------------------


def _confirmed(project: Project, person: Person, found: Erased) -> bool:
    if not sys.stdin.isatty():
        raise Mistake("this cannot be undone, and there is no terminal to ask: confirm it with --yes")
    also = f" and {counted(len(person.links), 'other id')}" if person.links else ""
    return click.confirm(f"{project.settings.file}: {person.user_id!r}{also}: erase {_in_words(found)}?", err=True)


def _tell_nothing(events: Events, person: Person, *, dry_run: bool, as_json: bool) -> None:
    from supertokens_events.operate.erase import is_known
    from supertokens_events.outbox import Erased

    if not is_known(events.outbox, person.user_id):
        raise Problem(f"no stored event names {person.user_id!r}: there is nothing to erase")
    if as_json:
        print_json(_facts(person, Erased(), None, dry_run=dry_run))
    else:
        click.echo(f"nothing is left to erase of {person.user_id!r}")


def _tell_who(person: Person) -> None:
    if person.links:
        click.echo(printable(f"{person.user_id} is also"))
        rows = [(f"  {link.user_id}", link.source) for link in person.links]
        print_table(["", ""], rows, header=False)


def _tell(person: Person, erased: Erased, event_id: str | None, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json(_facts(person, erased, event_id, dry_run=dry_run))
        return
    if dry_run:
        _tell_who(person)
    click.echo(f"{'would erase' if dry_run else 'erased'}: {_in_words(erased)}")
    if event_id is not None:
        click.echo(f"{event_id} user.data_erased says so")


def _in_words(erased: Erased) -> str:
    return (
        f"the data of {counted(erased.events, 'event')} and what was said in {counted(erased.attempts, 'attempt')}; "
        f"{counted(erased.deliveries, 'delivery', 'deliveries')} will not go out"
    )


def _facts(person: Person, erased: Erased, event_id: str | None, *, dry_run: bool) -> dict[str, Any]:
    return {
        "user_id": person.user_id,
        "linked": [link._asdict() for link in person.links],
        **erased._asdict(),
        "event_id": event_id,
        "dry_run": dry_run,
    }
