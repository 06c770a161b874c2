"""One-time codes and magic links: made, made again, made void. What they are is never said."""

from __future__ import annotations

from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.contact import Email

__all__ = ["PasswordlessCodeCreated", "PasswordlessCodeResent", "PasswordlessCodesRevoked"]

_EXAMPLE = {
    "email": "ada@example.com",
    "code_id": "1f0a3a6c-53c5-4f0f-8a43-0a2f8be5a2d7",
    "code_lifetime_ms": 900_000,
}


class PasswordlessCodeCreated(EventData):
    """A code and a link were made with which somebody can sign in. Source: ``passwordless.create_code``.

    Whether they were sent is not known here: an app may send them itself, and a user made by an admin needs none.
    """

    event_type = "passwordless.code.created"
    example = _EXAMPLE

    email: Email = None
    phone_number: str | None = None
    code_id: str
    """What the core calls it. Nobody can sign in with it."""
    code_lifetime_ms: int


class PasswordlessCodeResent(EventData):
    """One more code and link were made for a sign-in that had begun. Source: ``passwordless.create_new_code_for_device``.

    Whose address it is, is known in the frontend API only.
    """

    event_type = "passwordless.code.resent"
    example = _EXAMPLE

    email: Email = None
    phone_number: str | None = None
    code_id: str
    code_lifetime_ms: int


class PasswordlessCodesRevoked(EventData):
    """One code, or all for an address, were made void, if there were any.

    Source: ``passwordless.revoke_code``, ``revoke_all_codes``. Off by default: the core does not say whether there were
    any.
    """

    event_type = "passwordless.codes.revoked"
    high_volume = True
    example = {"email": "ada@example.com"}

    code_id: str | None = None
    email: Email = None
    phone_number: str | None = None
