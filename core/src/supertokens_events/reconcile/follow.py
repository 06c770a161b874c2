"""Keep the record of what was told up to date: read the events that came since, and note what they said."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from supertokens_events.log import get_logger
from supertokens_events.outbox import Grant, Outbox, StoredEvent, Told
from supertokens_events.reconcile.mark import Book, Mark
from supertokens_events.reconcile.sheet import Sheet

__all__ = ["follow"]

log = get_logger(__name__)

_STRETCH = 2000  # sequences that are read at once
_ELSEWHERE = "backfill:"  # events with such a correlation id went to one sink; all others were told nothing

Data = Mapping[str, Any]


class Said(NamedTuple):
    """An event, what it says, and the mark by which it is noted."""

    event: StoredEvent
    data: Data
    mark: Mark

    @property
    def login(self) -> str:
        """The login method that it is about."""
        return str(self.data.get("recipe_user_id") or self.event.user_id)

    @property
    def email(self) -> str | None:
        """The fingerprint of its address."""
        return self.mark.fingerprint(self.data.get("email"))

    @property
    def phone(self) -> str | None:
        """The fingerprint of its number."""
        return self.mark.fingerprint(self.data.get("phone_number"))

    @property
    def role(self) -> str:
        """The role that it is about."""
        return str(self.data.get("role"))

    @property
    def tenant(self) -> str:
        """The tenant that it is about."""
        return self.event.tenant_id or ""


Note = Callable[[Sheet, Said], None]


def follow(outbox: Outbox) -> Book | None:
    """Note everything that was stored since; returns where the record is now, ``None`` when nobody has ever compared.

    Events go at the end of their retention: whoever prunes calls this before. Raises ``OutboxError``.
    """
    book = Book.opened(outbox)
    while book is not None:
        stretch = outbox.records.stretch(book.mark.through, _STRETCH, _NOTES)
        if stretch.through <= book.mark.through:
            break
        mark = book.mark.model_copy(update={"through": stretch.through, "lost": book.mark.lost + stretch.missing})
        if stretch.missing:
            log.warning("Events went before the comparison with the core has read them.", events=stretch.missing)
        events = [event for event in stretch.events if not (event.correlation_id or "").startswith(_ELSEWHERE)]
        book = book.moved(mark, _noted(outbox, events, mark).change()) or Book.opened(outbox)
    return book


def _noted(outbox: Outbox, events: list[StoredEvent], mark: Mark) -> Sheet:
    said = [(event, _data(event)) for event in events]
    ids = {id_ for event, data in said for id_ in _ids(event, data)}
    sheet = Sheet(outbox.records.told(ids) if ids else ())
    for event, data in said:
        if data is None:
            _erased(sheet, event)
        else:
            _NOTES[event.type](sheet, Said(event, data, mark))
    return sheet


def _data(event: StoredEvent) -> Data | None:
    """Its data; ``None`` when it was erased."""
    if event.body is None:
        return None
    data = json.loads(event.body).get("data")
    return data if isinstance(data, dict) else {}


def _ids(event: StoredEvent, data: Data | None) -> set[str]:
    names = ("recipe_user_id", "primary_user_id", "supertokens_user_id", "external_user_id")
    found = {event.user_id, *((data or {}).get(name) for name in names)}
    return {id_ for id_ in found if isinstance(id_, str)}


def _erased(sheet: Sheet, event: StoredEvent) -> None:
    """Only that it was, and about whom, is known."""
    user = event.user_id
    if user is None:
        return
    if event.type == "user.deleted":
        _drop_user(sheet, user)
    elif event.type == "user.created" or sheet.row(user) is not None:
        row = sheet.row(user)
        sheet.put(Told(user, row.user_id if row else user, {"erased": True}, row.own_id if row else None))


# Users -----------------------------------------------------------------------------------------------------------------


def _created(sheet: Sheet, said: Said) -> None:
    email = said.email
    facts = {
        "method": said.data.get("method"),
        "email": email,
        "phone": said.phone,
        "verified": [email] if said.data.get("email_verified") and email else [],
        "at": said.event.sequence,
    }
    if said.event.tenant_id is not None:
        facts["tenants"] = [said.event.tenant_id]
    row = sheet.row(said.login)
    joined = row.facts.get("joined") if row else None
    sheet.put(Told(said.login, said.event.user_id, {**facts, **({"joined": joined} if joined else {})}))


def _deleted(sheet: Sheet, said: Said) -> None:
    if said.data.get("extent") == "login_method":
        for login in {said.login, *(one["recipe_user_id"] for one in said.data.get("login_methods", ()))}:
            sheet.drop(login)
    elif said.event.user_id is not None:
        _drop_user(sheet, said.event.user_id)


def _drop_user(sheet: Sheet, user: str) -> None:
    for row in sheet.rows(lambda row: user in (row.user_id, row.recipe_user_id)):
        sheet.drop(row.recipe_user_id)
        sheet.revoke(Grant(None, None, row.recipe_user_id))
    sheet.revoke(Grant(None, None, user))


def _email_changed(sheet: Sheet, said: Said) -> None:
    sheet.note(said.login, {"email": said.email, "at": said.event.sequence})


def _phone_changed(sheet: Sheet, said: Said) -> None:
    sheet.note(said.login, {"phone": said.phone, "at": said.event.sequence})


def _verified(sheet: Sheet, said: Said) -> None:
    row, address = sheet.row(said.login), said.email
    if row is None or address is None:
        return
    others = [one for one in row.facts.get("verified", ()) if one != address]
    now = [*others, address] if said.event.type == "email.verified" else others
    sheet.note(said.login, {"verified": now, "at": said.event.sequence})


def _linked(sheet: Sheet, said: Said) -> None:
    login = said.login
    sheet.note(login, {"at": said.event.sequence})
    if (row := sheet.row(login)) is not None:
        sheet.put(row._replace(user_id=said.data.get("primary_user_id")))


def _unlinked(sheet: Sheet, said: Said) -> None:
    login = said.login
    if said.data.get("login_method_deleted"):
        sheet.drop(login)
        return
    sheet.note(login, {"at": said.event.sequence})
    if (row := sheet.row(login)) is not None:
        sheet.put(row._replace(user_id=login))


def _mapped(sheet: Sheet, said: Said) -> None:
    _rename(sheet, str(said.data.get("supertokens_user_id")), str(said.data.get("external_user_id")), mapped=True)


def _unmapped(sheet: Sheet, said: Said) -> None:
    for row in sheet.rows(lambda row: said.event.user_id in (row.recipe_user_id, row.own_id)):
        if row.own_id is not None:
            _rename(sheet, row.recipe_user_id, row.own_id, mapped=False)


def _rename(sheet: Sheet, before: str, after: str, *, mapped: bool) -> None:
    for row in sheet.rows(lambda row: before in (row.user_id, row.recipe_user_id)):
        renamed = row._replace(user_id=after) if row.user_id == before else row
        if row.recipe_user_id == before:
            sheet.drop(before)
            renamed = renamed._replace(recipe_user_id=after, own_id=before if mapped else None)
        sheet.put(renamed)


# Tenants and roles -----------------------------------------------------------------------------------------------------


def _associated(sheet: Sheet, said: Said) -> None:
    login = said.login
    row = sheet.row(login)
    before = row.facts.get("tenants") if row else None
    if before is not None:
        sheet.note(login, {"tenants": sorted({*before, said.event.tenant_id}), "at": said.event.sequence})


def _disassociated(sheet: Sheet, said: Said) -> None:
    login = said.login
    row = sheet.row(login)
    before = row.facts.get("tenants") if row else None
    if before is not None:
        sheet.note(
            login, {"tenants": [one for one in before if one != said.event.tenant_id], "at": said.event.sequence}
        )
    sheet.revoke(Grant(said.tenant, None, login))


def _tenant_created(sheet: Sheet, said: Said) -> None:
    sheet.grant(Grant(tenant_id=said.tenant))


def _tenant_deleted(sheet: Sheet, said: Said) -> None:
    sheet.revoke(Grant(said.tenant, None, None))


def _role_created(sheet: Sheet, said: Said) -> None:
    sheet.grant(Grant(role=said.role))


def _role_deleted(sheet: Sheet, said: Said) -> None:
    sheet.revoke(Grant(None, said.role, None))


def _assigned(sheet: Sheet, said: Said) -> None:
    grant = Grant(said.tenant, said.role, said.event.user_id or "")
    (sheet.grant if said.event.type == "role.assigned" else sheet.revoke)(grant)


_NOTES: Mapping[str, Note] = {
    "user.created": _created,
    "user.deleted": _deleted,
    "user.email.changed": _email_changed,
    "user.phone.changed": _phone_changed,
    "email.verified": _verified,
    "email.unverified": _verified,
    "account.linked": _linked,
    "account.unlinked": _unlinked,
    "user.id_mapping.created": _mapped,
    "user.id_mapping.deleted": _unmapped,
    "tenant.user.associated": _associated,
    "tenant.user.disassociated": _disassociated,
    "tenant.created": _tenant_created,
    "tenant.deleted": _tenant_deleted,
    "role.created": _role_created,
    "role.deleted": _role_deleted,
    "role.assigned": _assigned,
    "role.unassigned": _assigned,
}
"""What each event type says of the state of things."""
