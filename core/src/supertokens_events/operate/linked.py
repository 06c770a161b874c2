"""Who somebody is: the ids that stored events say are one user's, however many steps apart, and the addresses they know."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from supertokens_events.catalog import builtin_types
from supertokens_events.catalog.names import TYPES
from supertokens_events.outbox import Names, Outbox, StoredEvent, Told

__all__ = ["Link", "Person", "find"]

_PAGE = 500  # events that are read at once
_ABOUT_ADMINS = frozenset(TYPES["dashboard"].split())
_ABOUT_TWO = frozenset({"account.link.failed"})  # and just not about one
_TYPES = frozenset(name for names in TYPES.values() for name in names.split()) - _ABOUT_ADMINS - _ABOUT_TWO
_ADDRESSES = ("email", "previous_email", "phone_number", "previous_phone_number")


class Link(NamedTuple):
    """An id of the same user: the id through which it was found, and what says so: an event's type and id."""

    user_id: str
    through: str
    source: str


class Person(NamedTuple):
    """A user by all ids, the one that was asked for first, and by the addresses that stored events say are that user's."""

    user_id: str
    links: tuple[Link, ...] = ()
    addresses: tuple[str, ...] = ()

    @property
    def names(self) -> Names:
        """What to look for in events."""
        return Names((self.user_id, *(link.user_id for link in self.links)), self.addresses)


class _Owner(NamedTuple):
    """Whose a login method is, by its id: its own, or another user's. Or of an id, how the app calls it."""

    id: str
    owner: str
    mapped: bool = False


class _Said(NamedTuple):
    owner: _Owner
    sequence: int
    source: str


def find(outbox: Outbox, user_id: str) -> Person:
    """The ids that are linked with ``user_id`` by now: of login methods, by the last that was said of each, and mapped ones.
    It reads every stored payload as often as there are steps. Raises :class:`OutboxError`.
    """
    said: dict[tuple[str, bool], _Said] = {}
    addresses: defaultdict[str, set[str]] = defaultdict(set)
    links: dict[str, Link] = {}
    asked: set[str] = set()
    while fresh := {user_id, *links} - asked:
        for row in outbox.records.told(fresh):
            for owner in _owners(*_of_record(row)):
                _keep(said, _Said(owner, 0, "kept to compare with the core"))
        for event in _naming(outbox, Names(tuple(fresh))):
            for owner in _owners(*_of_event(event)):
                _keep(said, _Said(owner, event.sequence, f"{event.type} {event.id}"))
            if event.user_id is not None:
                addresses[event.user_id].update(_addresses(event))
        asked |= fresh
        links = _reached(user_id, said)
    theirs = set[str]().union(*(addresses[id_] for id_ in (user_id, *links)))
    return Person(user_id, tuple(links.values()), tuple(sorted(theirs)))


def _naming(outbox: Outbox, names: Names) -> Iterator[StoredEvent]:
    after = 0
    while page := outbox.naming(names, after=after, limit=_PAGE):
        yield from page
        after = page[-1].sequence


def _keep(said: dict[tuple[str, bool], _Said], new: _Said) -> None:
    """The last word counts; of those that say the same, the first is the one to be shown."""
    key = new.owner.id, new.owner.mapped
    old = said.get(key)
    if old is None or (new.owner != old.owner and new.sequence > old.sequence):
        said[key] = new


def _reached(user_id: str, said: Mapping[tuple[str, bool], _Said]) -> dict[str, Link]:
    links: dict[str, Link] = {}
    reached = [user_id]
    for through in reached:  # which grows meanwhile
        for (id_, owner, _), _, source in said.values():
            other = {id_: owner, owner: id_}.get(through)
            if other is not None and other != user_id and other not in links:
                links[other] = Link(other, through, source)
                reached.append(other)
    return links


# What an event says ------------------------------------------------------------------------------------------------------

_Ids = tuple[str | None, str | None, bool]


def _owners(*found: _Ids) -> Iterator[_Owner]:
    for id_, owner, mapped in found:
        if id_ and owner and not {id_, owner} & _examples():
            yield _Owner(id_, owner, mapped)


def _of_record(row: Told) -> Iterator[_Ids]:
    yield row.recipe_user_id, row.user_id, False
    yield row.own_id, row.recipe_user_id, True


def _of_event(event: StoredEvent) -> Iterator[_Ids]:
    data = _data(event)
    login, primary = _text(data, "recipe_user_id"), _text(data, "primary_user_id")
    match event.type:
        case "account.linked":
            yield login, primary, False
        case "account.unlinked":
            yield login, login, False
        case "user.id_mapping.created":
            yield _text(data, "supertokens_user_id"), _text(data, "external_user_id"), True
        case _:
            yield login, event.user_id, False
    yield from _of_methods(data, "primary_login_methods", primary)
    yield from _of_methods(data, "login_methods", event.user_id)


def _of_methods(data: Mapping[str, Any], field: str, owner: str | None) -> Iterator[_Ids]:
    for method in _list(data, field):
        yield _text(method, "recipe_user_id"), owner, False


def _addresses(event: StoredEvent) -> Iterator[str]:
    """The addresses in it. What looks like none may be a value of anything else."""
    data = _data(event)
    methods = [
        data.get("linked"),
        *_list(data, "primary_login_methods"),
        *_list(data, "login_methods"),
    ]
    for part in (data, *methods):
        for field in _ADDRESSES:
            address = _text(part, field)
            if address and ("@" in address or address.startswith("+")) and address not in _examples():
                yield address


def _list(data: Mapping[str, Any], field: str) -> list[Any]:
    value = data.get(field)
    return value if isinstance(value, list) else []


def _data(event: StoredEvent) -> Mapping[str, Any]:
    """The data of a type of ours: what an app says in its own means what the app says."""
    if event.type not in _TYPES or event.body is None:
        return {}
    document: Mapping[str, Any] = json.loads(event.body, parse_int=float)
    data = document["data"]
    return data if isinstance(data, dict) else {}


def _text(document: object, key: str) -> str | None:
    value = document.get(key) if isinstance(document, dict) else None
    return value if isinstance(value, str) and value else None


@cache
def _examples() -> frozenset[str]:
    """The ids and addresses that the catalog makes up, and ``send`` says: they are nobody's, and link nobody."""
    return frozenset(value for data_model in builtin_types() for value in _texts(data_model.example))


def _texts(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        yield document
    elif isinstance(document, Mapping):
        for item in document.values():
            yield from _texts(item)
    elif isinstance(document, Sequence):
        for item in document:
            yield from _texts(item)
