"""Compare the tenants and roles of the core, and who has which, with what was told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from supertokens_events.catalog.role import RoleAssigned, RoleCreated, RoleDeleted, RoleUnassigned
from supertokens_events.catalog.tenant import TenantCreated, TenantDeleted
from supertokens_events.core_api import Core, Fact
from supertokens_events.outbox import Change, Grant, Records
from supertokens_events.reconcile.difference import Difference
from supertokens_events.reconcile.mark import Mark

__all__ = ["GrantComparer"]

_PUBLIC = "public"  # the tenant that every core has


class GrantComparer:
    """Compares by ``mark``. ``is_said`` tells which event types are stored at all."""

    def __init__(self, core: Core, records: Records, mark: Mark, is_said: Callable[[str], bool]) -> None:
        self._core = core
        self._records = records
        self._mark = mark
        self._is_said = is_said

    def compare(self, *, tenants: bool, roles: bool) -> list[Difference]:
        """What is missing."""
        found = [*(self._tenants() if tenants else ()), *(self._roles(tenants=tenants) if roles else ())]
        return [one for one in found if self._is_said(one.fact.event_type)]

    def as_found(self, *, tenants: bool, roles: bool) -> Iterator[tuple[bool, Grant]]:
        """All there is in the core, to be noted."""
        names = self._core.tenants()
        if tenants:
            yield from ((True, Grant(tenant_id=tenant)) for tenant in names)
        for role in self._core.roles() if roles else ():
            yield True, Grant(role=role)
            for tenant in names:
                yield from ((True, Grant(tenant, role, user)) for user in self._core.users_with(role, tenant))

    def _tenants(self) -> Iterator[Difference]:
        there = set(self._core.tenants()) - {_PUBLIC}
        told = {tenant for tenant, role in self._records.grants() if tenant and not role} - {_PUBLIC}
        for tenant in sorted(there - told):
            yield self._difference(TenantCreated(), None, tenant, (True, Grant(tenant_id=tenant)))
        for tenant in sorted(told - there):
            yield self._difference(TenantDeleted(), None, tenant, (False, Grant(tenant, None, None)))

    def _roles(self, *, tenants: bool) -> Iterator[Difference]:
        there = self._core.roles()
        told = {role for tenant, role in self._records.grants() if role and not tenant}
        for role in sorted(set(there) - told):
            data = RoleCreated(role=role, permissions=self._core.permissions_of(role))
            yield self._difference(data, None, None, (True, Grant(role=role)))
        for role in sorted(told - set(there)):
            yield self._difference(RoleDeleted(role=role), None, None, (False, Grant(None, role, None)))
        for tenant in self._core.tenants():
            for role in there:
                yield from self._holders(tenant, role, tenants=tenants)

    def _holders(self, tenant: str, role: str, *, tenants: bool) -> Iterator[Difference]:
        have, told = set(self._core.users_with(role, tenant)), self._records.holders(tenant, role)
        for user in self._not_erased(have - told):
            yield self._difference(RoleAssigned(role=role), user, tenant, (True, Grant(tenant, role, user)))
        for user in sorted(told - have):
            if self._is_there(user, tenant if tenants else None):
                yield self._difference(RoleUnassigned(role=role), user, tenant, (False, Grant(tenant, role, user)))

    def _not_erased(self, users: Iterable[str]) -> list[str]:
        """Without those of whom nothing is known any more."""
        wanted = sorted(users)
        rows = self._records.told(wanted) if wanted else []
        erased = {id_ for row in rows if row.facts.get("erased") for id_ in (row.recipe_user_id, row.user_id)}
        return [user for user in wanted if user not in erased]

    def _is_there(self, user_id: str, tenant: str | None) -> bool:
        """Who is gone, or has left the tenant, has no role there: that says it."""
        user = self._core.user(user_id)
        return user is not None and (tenant is None or tenant in user.tenant_ids)

    def _difference(
        self,
        data: TenantCreated | TenantDeleted | RoleCreated | RoleDeleted | RoleAssigned | RoleUnassigned,
        user_id: str | None,
        tenant_id: str | None,
        grant: tuple[bool, Grant],
    ) -> Difference:
        fact = Fact(data, user_id, tenant_id, int(self._mark.since * 1000))
        return Difference(fact, self._mark.through, Change(grants=[grant]))
