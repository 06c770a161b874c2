"""Accounts: login methods that become one user, and part again."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.user import LOGIN_METHOD_EXAMPLE, LoginMethod

__all__ = ["AccountLinkFailed", "AccountLinkFailure", "AccountLinked", "AccountUnlinked", "UserBecamePrimary"]

_PRIMARY = "5d2f7c14-3b8e-4f0a-8e21-9a6c0d4b7e35"
_LINKED = {
    "method": "thirdparty",
    "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
    "tenant_ids": ["public"],
    "email": "ada@example.com",
    "third_party_id": "google",
    "third_party_user_id": "108346577713519348253",
    "verified": True,
}


class AccountLinkFailure(StrEnum):
    """Why two accounts could not be linked."""

    ALREADY_LINKED = "already_linked"
    """The login method belongs to another primary user."""
    ACCOUNT_INFO_TAKEN = "account_info_taken"
    """Another primary user has the same e-mail, phone number, third-party account or passkey."""
    NOT_PRIMARY = "not_primary"
    """The user to link to is not a primary user."""
    ERROR = "error"
    OTHER = "other"


class UserBecamePrimary(EventData):
    """A user became a primary user: others can be linked to it now. Source: ``accountlinking.create_primary_user``."""

    event_type = "user.became_primary"
    example = {"recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1", "tenant_ids": ["public"]}

    recipe_user_id: str
    tenant_ids: Sequence[str]


class AccountLinked(EventData):
    """A login method became part of a primary user, whose id it has from now on. Both sides are said as they were.

    Source: ``accountlinking.link_accounts``. The core ends all sessions of the linked login method; no
    ``session.revoked`` says so.
    """

    event_type = "account.linked"
    example = {
        "recipe_user_id": _LINKED["recipe_user_id"],
        "primary_user_id": _PRIMARY,
        "linked": _LINKED,
        "primary_login_methods": [{**LOGIN_METHOD_EXAMPLE, "recipe_user_id": _PRIMARY}],
        "primary_tenant_ids": ["public"],
    }

    recipe_user_id: str
    """Until now the user's own id."""
    primary_user_id: str
    linked: LoginMethod | None = None
    primary_login_methods: Sequence[LoginMethod] = ()
    """What the primary user had already."""
    primary_tenant_ids: Sequence[str] = ()


class AccountUnlinked(EventData):
    """A login method left its primary user. Both sides are said as they were.

    Source: ``accountlinking.unlink_account``. The core ends all sessions of the login method; no ``session.revoked``
    says so.
    """

    event_type = "account.unlinked"
    example = {
        "recipe_user_id": _LINKED["recipe_user_id"],
        "primary_user_id": _PRIMARY,
        "login_method_deleted": False,
        "unlinked": _LINKED,
        "primary_login_methods": [{**LOGIN_METHOD_EXAMPLE, "recipe_user_id": _PRIMARY}],
        "primary_tenant_ids": ["public"],
    }

    recipe_user_id: str
    """From now on the user's own id, unless it was deleted."""
    primary_user_id: str | None = None
    login_method_deleted: bool
    """The login method that gave the primary user its id cannot leave with it, so the core deletes it."""
    unlinked: LoginMethod | None = None
    primary_login_methods: Sequence[LoginMethod] = ()
    """What the primary user keeps."""
    primary_tenant_ids: Sequence[str] = ()
    """Its tenants until now."""


class AccountLinkFailed(EventData):
    """A backend tried to link two accounts and was refused. Source: ``accountlinking.link_accounts`` called by an app.

    Inside a sign-in or sign-up it is that which fails, and says so.
    """

    event_type = "account.link.failed"
    example = {
        "reason": "account_info_taken",
        "recipe_user_id": _LINKED["recipe_user_id"],
        "primary_user_id": _PRIMARY,
    }

    reason: AccountLinkFailure
    recipe_user_id: str
    primary_user_id: str
