"""What is true of a user in the core, as facts that an event can say: the same ones that capture takes when they happen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from supertokens_events.catalog import EventData
from supertokens_events.catalog.account import AccountLinked
from supertokens_events.catalog.tenant import TenantUserAssociated
from supertokens_events.catalog.user import UserCreated
from supertokens_events.core_api.model import CoreLoginMethod, CoreUser, described
from supertokens_events.event import Actor, Context, Event, derived_event_id

__all__ = ["Fact", "created", "event_of", "linked", "moment", "tenants_besides"]


class Fact(NamedTuple):
    """What an event says. ``joined``: when the user joined, in milliseconds since the epoch; its id begins with that time, so
    that the same fact has the same id. ``timestamp``: when it became true, ``None`` where only the core knew.
    """

    data: EventData
    user_id: str | None
    tenant_id: str | None
    joined: int
    timestamp: datetime | None = None

    @property
    def event_type(self) -> str:
        """Its event type."""
        return self.data.event_type


def moment(milliseconds: int) -> datetime:
    """Milliseconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def created(one: CoreLoginMethod, tenant_id: str | None) -> Fact:
    """That a login method exists. As capture says it: before any linking, so the user is its own."""
    data = UserCreated(
        method=one.method,
        recipe_user_id=one.recipe_user_id,
        email=one.email,
        email_verified=one.email_verified,
        phone_number=one.phone_number,
        third_party_id=one.third_party_id,
        third_party_user_id=one.third_party_user_id,
    )
    return Fact(data, one.recipe_user_id, tenant_id, one.time_joined, moment(one.time_joined))


def linked(user: CoreUser, one: CoreLoginMethod) -> Fact | None:
    """That a login method belongs to a user who is another than itself. When that came, nobody knows: not before both joined."""
    if one.recipe_user_id == user.id:
        return None
    others = [other for other in user.login_methods if other is not one]
    data = AccountLinked(
        recipe_user_id=one.recipe_user_id,
        primary_user_id=user.id,
        linked=described(one),
        primary_login_methods=[described(other) for other in others],
        primary_tenant_ids=sorted({tenant for other in others for tenant in other.tenant_ids}),
    )
    tenant_id = one.tenant_ids[0] if len(one.tenant_ids) == 1 else None
    return Fact(data, user.id, tenant_id, one.time_joined, moment(max(one.time_joined, user.time_joined)))


def tenants_besides(user: CoreUser, one: CoreLoginMethod, tenant_id: str | None) -> Iterator[Fact]:
    """That a login method is in more tenants than this one."""
    for other in sorted(set(one.tenant_ids) - {tenant_id}):
        data = TenantUserAssociated(recipe_user_id=one.recipe_user_id)
        yield Fact(data, user.id, other, one.time_joined, moment(one.time_joined))


def event_of(fact: Fact, key: Sequence[str], *, origin: str, purpose: str, source: str | None) -> Event:
    """The event that says it, for the first time or again. ``key`` tells it from others of its type and user; ``origin`` is where
    it comes from instead of a request, ``purpose`` what all of them have in common.
    """
    identity = (purpose, fact.event_type, fact.user_id or "", fact.tenant_id or "", *key)
    return Event(
        id=derived_event_id(fact.joined, *identity),
        type=fact.event_type,
        timestamp=fact.timestamp or datetime.now(UTC),
        schema_version=fact.data.schema_version,
        source=source,
        tenant_id=fact.tenant_id,
        user_id=fact.user_id,
        correlation_id=purpose,
        actor=Actor(type="system"),
        context=Context(origin=origin),
        data=fact.data.model_dump(mode="json", exclude_none=True),
    )
