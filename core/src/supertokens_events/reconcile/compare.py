"""Compare one user of the core with what was told of its login methods."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from supertokens_events.catalog import EventData
from supertokens_events.catalog.account import AccountUnlinked
from supertokens_events.catalog.email import EmailUnverified, EmailVerified
from supertokens_events.catalog.mapping import UserIdMappingCreated
from supertokens_events.catalog.tenant import TenantUserAssociated, TenantUserDisassociated
from supertokens_events.catalog.user import UserEmailChanged, UserPhoneChanged
from supertokens_events.core_api import CoreLoginMethod, CoreUser, Fact, created, linked
from supertokens_events.outbox import Change, Grant, Told
from supertokens_events.reconcile.difference import Difference, Same
from supertokens_events.reconcile.mark import Mark

__all__ = ["Comparer", "Findings"]


Step = tuple[Fact, Callable[[Told], Told]]
"""A fact that was not told, and what it makes of the row."""


class Findings:
    """What a comparison found. ``noted``: rows of those who were never told of and are taken as found;
    ``filled``: rows in which something was not known, and is taken as found.

    ``only`` are differences that were seen before: with it no others are looked for.
    """

    def __init__(self, only: Collection[Same] | None = None) -> None:
        self.only = only
        self.differences: list[Difference] = []
        self.noted: list[Told] = []
        self.filled: list[Told] = []


class Comparer:
    """Compares by ``mark``. ``is_said`` tells which event types are stored at all: what nobody is ever told is no difference.
    ``tenants``: those of the core, when who is in which is to be compared; else ``None``.
    """

    def __init__(self, mark: Mark, is_said: Callable[[str], bool], *, tenants: Collection[str] | None) -> None:
        self.mark = mark
        self._is_said = is_said
        self._tenants = tenants

    def compare(
        self, user: CoreUser, rows: Iterable[Told], own: Mapping[str, str], only: Collection[Same] | None = None
    ) -> Findings:
        """``rows`` are those of its login methods, at least. ``own`` are the core's own ids of those that have a mapped one."""
        found = Findings(only)
        known = {row.recipe_user_id: row for row in rows}
        for one in user.login_methods:
            row = known.get(one.recipe_user_id)
            inner = own.get(one.recipe_user_id)
            if row is None and inner in known:
                row = self._mapped(found, one, known[inner])
            if row is None:
                self._unknown(found, user, one, inner)
            elif not row.facts.get("erased"):
                self._known(found, user, one, row)
        return found

    def noted(self, user: CoreUser, own: Mapping[str, str]) -> list[Told]:
        """The rows of a user who is taken as found."""
        return [
            Told(
                one.recipe_user_id, user.id, {**self._facts(one), "at": self.mark.through}, own.get(one.recipe_user_id)
            )
            for one in user.login_methods
        ]

    def _facts(self, one: CoreLoginMethod) -> dict[str, Any]:
        email = self.mark.fingerprint(one.email)
        return {
            "method": str(one.method),
            "email": email,
            "phone": self.mark.fingerprint(one.phone_number),
            "verified": [email] if one.email_verified else [],
            "tenants": sorted(one.tenant_ids),
            "joined": one.time_joined,
            "at": 0,
        }

    # A login method that nobody was told of -----------------------------------------------------------------------

    def _unknown(self, found: Findings, user: CoreUser, one: CoreLoginMethod, own_id: str | None) -> None:
        """It was there before us, or its event is missing."""
        facts = self._facts(one)
        if one.time_joined < self.mark.since * 1000 or not self._is_said("user.created"):
            found.noted.append(Told(one.recipe_user_id, user.id, facts, own_id))
            return
        home = min(one.tenant_ids, default=None)
        facts["tenants"] = [home] if home is not None else []
        row = Told(one.recipe_user_id, one.recipe_user_id, facts, own_id)
        if self._say(found, created(one, home), row):
            self._known(found, user, one, row)

    def _mapped(self, found: Findings, one: CoreLoginMethod, row: Told) -> Told | None:
        """It is known, by its own id."""
        after = row._replace(
            recipe_user_id=one.recipe_user_id,
            own_id=row.recipe_user_id,
            user_id=one.recipe_user_id if row.user_id == row.recipe_user_id else row.user_id,
        )
        if not self._is_said("user.id_mapping.created"):
            return after
        data = UserIdMappingCreated(supertokens_user_id=row.recipe_user_id, external_user_id=one.recipe_user_id)
        fact = Fact(data, one.recipe_user_id, None, one.time_joined)
        return after if self._say(found, fact, after, gone=(row.recipe_user_id,)) else None

    # One that is known ---------------------------------------------------------------------------------------------

    def _known(self, found: Findings, user: CoreUser, one: CoreLoginMethod, row: Told) -> None:
        before = row
        row = row._replace(facts={**self._facts(one), **row.facts})  # what nobody knew is taken as found
        if row.user_id is None:
            row = row._replace(user_id=user.id)
        taken = row
        for fact, changed in self._steps(user, one, row):
            after = changed(row)
            if self._say(found, fact, after, grants=_revoked(fact)):
                row = after
        if taken != before and row is taken:
            found.filled.append(taken)

    def _steps(self, user: CoreUser, one: CoreLoginMethod, row: Told) -> Iterator[Step]:
        """Each fact that was not told, in order."""
        yield from self._links(user, one, row)
        yield from self._contacts(user, one, row)
        yield from self._places(user, one, row)

    def _links(self, user: CoreUser, one: CoreLoginMethod, row: Told) -> Iterator[Step]:
        if row.user_id == user.id:
            return
        login = one.recipe_user_id
        if row.user_id != login:
            data = AccountUnlinked(recipe_user_id=login, primary_user_id=row.user_id, login_method_deleted=False)
            yield self._fact(one, data, row.user_id or login), lambda row: row._replace(user_id=login)
        if (link := linked(user, one)) is not None:
            yield link, lambda row: row._replace(user_id=user.id)

    def _contacts(self, user: CoreUser, one: CoreLoginMethod, row: Told) -> Iterator[Step]:
        login, told = one.recipe_user_id, row.facts
        email, phone = self.mark.fingerprint(one.email), self.mark.fingerprint(one.phone_number)
        if told["email"] != email:
            changed = UserEmailChanged(method=one.method, recipe_user_id=login, email=one.email)
            yield self._fact(one, changed, user.id), partial(_noting, email=email)
        if told["phone"] != phone:
            moved = UserPhoneChanged(method=one.method, recipe_user_id=login, phone_number=one.phone_number)
            yield self._fact(one, moved, user.id), partial(_noting, phone=phone)
        others = [address for address in told["verified"] if address != email]
        if email is not None and one.verified != (email in told["verified"]):
            kind = EmailVerified if one.verified else EmailUnverified
            now = [*others, email] if one.verified else others
            yield self._fact(one, kind(recipe_user_id=login, email=one.email), user.id), partial(_noting, verified=now)

    def _places(self, user: CoreUser, one: CoreLoginMethod, row: Told) -> Iterator[Step]:
        """Which tenants it is in. Of one that is gone, that says it."""
        if self._tenants is None:
            return
        login, told, now = one.recipe_user_id, set(row.facts["tenants"]), set(one.tenant_ids)
        for tenant in sorted(now - told):
            fact = Fact(TenantUserAssociated(recipe_user_id=login), user.id, tenant, one.time_joined)
            yield fact, partial(_into, tenant)
        for tenant in sorted((told - now) & set(self._tenants)):
            left = Fact(TenantUserDisassociated(recipe_user_id=login), user.id, tenant, one.time_joined)
            yield left, partial(_out_of, tenant)

    def _fact(self, one: CoreLoginMethod, data: EventData, user_id: str) -> Fact:
        tenant_id = one.tenant_ids[0] if len(one.tenant_ids) == 1 else None
        return Fact(data, user_id, tenant_id, one.time_joined)

    # ---------------------------------------------------------------------------------------------------------------

    def _say(
        self,
        found: Findings,
        fact: Fact,
        row: Told,
        *,
        gone: Collection[str] = (),
        grants: Collection[tuple[bool, Grant]] = (),
    ) -> bool:
        """Note a difference, unless its type is never said, or it is not one of those that are looked for."""
        difference = Difference(fact, int(row.facts.get("at", 0)), Change([row], gone, tuple(grants)))
        if not self._is_said(fact.event_type) or not (found.only is None or difference.same in found.only):
            return False
        found.differences.append(difference)
        return True


def _noting(row: Told, **facts: Any) -> Told:
    return row._replace(facts={**row.facts, **facts})


def _into(tenant: str, row: Told) -> Told:
    return _noting(row, tenants=sorted({*row.facts["tenants"], tenant}))


def _out_of(tenant: str, row: Told) -> Told:
    return _noting(row, tenants=[one for one in row.facts["tenants"] if one != tenant])


def _revoked(fact: Fact) -> list[tuple[bool, Grant]]:
    """Who leaves a tenant has no role there."""
    left = isinstance(fact.data, TenantUserDisassociated) and fact.user_id is not None
    return [(False, Grant(fact.tenant_id, None, fact.user_id))] if left else []
