"""Which calls an event type becomes: Segment's own names where its specification has one, else a name made of the type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

__all__ = ["RULES", "Call", "Rule", "rule_for", "track_name"]

Call = Literal["identify", "track", "group", "alias"]

_SPELLED = {
    "id": "ID",
    "jwt": "JWT",
    "mfa": "MFA",
    "oauth": "OAuth",
    "saml": "SAML",
    "totp": "TOTP",
    "webauthn": "WebAuthn",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """The calls that an event type becomes, in the order in which they are sent; none: it is not sent.

    ``name`` is what is tracked, ``own_name`` the same where users do it to themselves. ``properties`` are fields of ``data``;
    ``None``: those that are about nobody. ``group_id``, ``previous_id`` and ``user_id`` are the fields that hold those ids;
    without them a group is the tenant, and the user the event's.
    """

    calls: tuple[Call, ...] = ("track",)
    name: str = ""
    own_name: str | None = None
    properties: tuple[str, ...] | None = None
    group_id: str | None = None
    previous_id: str | None = None
    user_id: str | None = None


# The names are those of Segment's specification for B2B SaaS, where an account is what a tenant is here.
RULES: Mapping[str, Rule] = {
    "user.created": Rule(("identify", "track"), "Signed Up"),
    "user.signed_in": Rule(name="Signed In"),
    "session.revoked": Rule(name="Session Revoked", own_name="Signed Out"),
    "user.email.changed": Rule(("identify", "track"), "User Email Changed"),
    "user.phone.changed": Rule(("identify", "track"), "User Phone Changed"),
    "email.verified": Rule(("identify", "track"), "Email Verified"),
    "email.unverified": Rule(("identify", "track"), "Email Unverified"),
    "tenant.created": Rule(name="Account Created"),
    "tenant.deleted": Rule(name="Account Deleted"),
    "tenant.user.associated": Rule(("group", "track"), "Account Added User"),
    "tenant.user.disassociated": Rule(name="Account Removed User"),
    "account.linked": Rule(("alias", "track"), "Account Linked", previous_id="recipe_user_id"),
    "user.id_mapping.created": Rule(
        ("alias", "track"), "User ID Mapping Created", previous_id="supertokens_user_id", user_id="external_user_id"
    ),
}
"""The built-in types that are more than a track call, or have another name than their own."""


def rule_for(event_type: str) -> Rule:
    """The rule of a type, where nobody says otherwise."""
    return RULES.get(event_type) or Rule(name=track_name(event_type))


def track_name(event_type: str) -> str:
    """``Object Action`` in title case: ``"User Sign In Failed"`` of ``"user.sign_in.failed"``."""
    words = event_type.replace(".", " ").replace("_", " ").split()
    return " ".join(_SPELLED.get(word, word.capitalize()) for word in words)
