"""The history of a user: the events that a sink would have had if it had been there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from supertokens_events.backfill.position import Include
from supertokens_events.catalog.metadata import UserMetadataUpdated
from supertokens_events.catalog.role import RoleAssigned
from supertokens_events.core_api import Core, CoreLoginMethod, CoreUser, Fact, created, linked, tenants_besides
from supertokens_events.event import Event
from supertokens_events.outbox import StoredEvent

__all__ = ["TYPES", "History", "Key", "identity", "key_of"]

Key = tuple[str, ...]
"""What tells a fact from others: the same for one that was told when it happened."""

TYPES: Mapping[Include | None, Sequence[str]] = {
    None: ("user.created", "account.linked", "tenant.user.associated"),
    "roles": ("role.assigned",),
    "metadata": ("user.metadata.updated",),
}
"""What a backfill says: always, and what more when it is asked for."""


class History:
    """Makes the facts of users. ``tenants`` are those that the sink wants; none: all."""

    def __init__(self, core: Core, include: Sequence[Include], tenants: Sequence[str]) -> None:
        self._core = core
        self._include = include
        self._tenants = tenants

    @property
    def types(self) -> list[str]:
        """The event types of what it makes."""
        return [*TYPES[None], *(name for what in self._include for name in TYPES[what])]

    def of(self, user: CoreUser) -> Iterator[Fact]:
        """All that there is to say of a user, in order."""
        for one in user.login_methods:
            home = self._home(one)
            yield created(one, home)
            yield from tenants_besides(user, one, home)
        for one in user.login_methods:
            if (link := linked(user, one)) is not None:
                yield link
        yield from self._roles(user)
        yield from self._metadata(user)

    def _home(self, one: CoreLoginMethod) -> str | None:
        """Where it was created nobody knows. The tenant to say: one that the sink wants, were there several."""
        wanted = [tenant for tenant in one.tenant_ids if tenant in self._tenants]
        return min(wanted or one.tenant_ids, default=None)

    def _roles(self, user: CoreUser) -> Iterator[Fact]:
        if "roles" in self._include:
            for tenant in sorted(user.tenant_ids):
                for role in self._core.roles_of(user.id, tenant):
                    yield Fact(RoleAssigned(role=role), user.id, tenant, user.time_joined)

    def _metadata(self, user: CoreUser) -> Iterator[Fact]:
        if "metadata" in self._include and (keys := self._core.metadata_keys(user.id)):
            yield Fact(UserMetadataUpdated(keys=keys), user.id, None, user.time_joined)


def identity(event: Event, own: Mapping[str, str]) -> Key:
    """Of an event that is to be stored. ``own`` are the core's own ids of those who have a mapped one: it was by that one that
    they were told of when they came.
    """
    return _key(event.type, event.user_id, event.tenant_id, event.data, own)


def key_of(stored: StoredEvent, own: Mapping[str, str]) -> Key:
    """Of an event that the sink has. Of one whose payload was erased only the user is known."""
    data = json.loads(stored.body) if stored.body else {}
    return _key(stored.type, stored.user_id, stored.tenant_id, data.get("data", {}), own)


def _key(
    event_type: str, user_id: str | None, tenant_id: str | None, data: Mapping[str, Any], own: Mapping[str, str]
) -> Key:
    login = str(data.get("recipe_user_id") or user_id)
    login = own.get(login, login)
    match event_type:
        case "account.linked":
            return event_type, login, own.get(user_id or "", user_id or "")
        case "tenant.user.associated":
            return event_type, login, tenant_id or ""
        case "role.assigned":
            return event_type, user_id or "", tenant_id or "", str(data.get("role"))
        case "user.metadata.updated":
            return event_type, user_id or ""
        case _:
            return event_type, login
