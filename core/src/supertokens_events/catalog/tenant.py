"""Tenants: made, changed and gone; who is in them, and through which providers people come in."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.user import LOGIN_METHOD_EXAMPLE, LoginMethod

__all__ = [
    "TenantCreated",
    "TenantDeleted",
    "TenantProviderCreated",
    "TenantProviderDeleted",
    "TenantProviderUpdated",
    "TenantUpdated",
    "TenantUserAssociated",
    "TenantUserAssociationFailed",
    "TenantUserAssociationFailure",
    "TenantUserDisassociated",
]

_FACTORS = {"first_factors": ["emailpassword", "thirdparty"]}
_PROVIDER = {"third_party_id": "google", "name": "Google", "client_ids": ["1060725074195.apps.googleusercontent.com"]}
_RECIPE_USER = {"recipe_user_id": LOGIN_METHOD_EXAMPLE["recipe_user_id"]}


class TenantUserAssociationFailure(StrEnum):
    """Why a login method could not come into a tenant."""

    UNKNOWN_USER = "unknown_user"
    EMAIL_TAKEN = "email_taken"
    """Somebody in the tenant has the address, by the same method."""
    PHONE_NUMBER_TAKEN = "phone_number_taken"
    THIRD_PARTY_ACCOUNT_TAKEN = "third_party_account_taken"
    NOT_ALLOWED = "not_allowed"
    """Refused by account linking rules: another primary user of the tenant has the same contact data."""
    ERROR = "error"
    OTHER = "other"


class TenantCreated(EventData):
    """A tenant exists that did not exist before. Source: ``multitenancy.create_or_update_tenant``."""

    event_type = "tenant.created"
    example = _FACTORS

    first_factors: Sequence[str] | None = None
    """What people may sign in with, if that was said."""
    required_secondary_factors: Sequence[str] | None = None
    core_config_keys: Sequence[str] = ()
    """The settings of the core that were given; their values are not told."""


class TenantUpdated(EventData):
    """A tenant's settings were stored, whether they differ or not. Source: ``multitenancy.create_or_update_tenant``."""

    event_type = "tenant.updated"
    example = {**_FACTORS, "core_config_keys": ["password_reset_token_lifetime"]}

    first_factors: Sequence[str] | None = None
    """What people may sign in with, if that was stored."""
    required_secondary_factors: Sequence[str] | None = None
    core_config_keys: Sequence[str] = ()
    """The settings of the core that were stored; their values are not told."""


class TenantDeleted(EventData):
    """A tenant is gone. Source: ``multitenancy.delete_tenant``.

    No ``tenant.user.disassociated`` says who was in it.
    """

    event_type = "tenant.deleted"
    example = {}


class TenantProviderCreated(EventData):
    """People can sign in to a tenant through a provider. Source: ``multitenancy.create_or_update_third_party_config``."""

    event_type = "tenant.provider.created"
    example = _PROVIDER

    third_party_id: str
    name: str | None = None
    client_ids: Sequence[str] = ()
    """The app's public ids at the provider."""


class TenantProviderUpdated(EventData):
    """How people sign in to a tenant through a provider was stored, whether it differs or not.

    Source: ``multitenancy.create_or_update_third_party_config``.
    """

    event_type = "tenant.provider.updated"
    example = _PROVIDER

    third_party_id: str
    name: str | None = None
    client_ids: Sequence[str] = ()
    """The app's public ids at the provider."""


class TenantProviderDeleted(EventData):
    """A tenant has no settings of its own for a provider any more. Source: ``multitenancy.delete_third_party_config``."""

    event_type = "tenant.provider.deleted"
    example = {"third_party_id": "google"}

    third_party_id: str


class TenantUserAssociated(EventData):
    """A user can sign in to one more tenant, with one login method. Source: ``multitenancy.associate_user_to_tenant``.

    Also inside a sign-in, when a second factor is known in another tenant only.
    """

    event_type = "tenant.user.associated"
    example = _RECIPE_USER

    recipe_user_id: str


class TenantUserAssociationFailed(EventData):
    """A backend could not bring a user into a tenant. Source: ``multitenancy.associate_user_to_tenant`` called by an app.

    Inside a sign-in it is that which fails, and says so.
    """

    event_type = "tenant.user.association.failed"
    example = {"reason": "email_taken", **_RECIPE_USER}

    reason: TenantUserAssociationFailure
    recipe_user_id: str


class TenantUserDisassociated(EventData):
    """A user can no longer sign in to a tenant with one login method. What it was is said as it was.

    Source: ``multitenancy.disassociate_user_from_tenant``. The core ends the login method's sessions and takes its
    roles in that tenant; no other event says so.
    """

    event_type = "tenant.user.disassociated"
    example = {**_RECIPE_USER, "login_methods": [LOGIN_METHOD_EXAMPLE], "tenant_ids": ["public"]}

    recipe_user_id: str
    login_methods: Sequence[LoginMethod] = ()
    """All that the user had, each with its tenants until now."""
    tenant_ids: Sequence[str] = ()
    """All tenants of the user until now."""
