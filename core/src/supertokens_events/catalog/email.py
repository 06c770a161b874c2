"""E-mail addresses: asked to be verified, verified, and no longer so."""

from __future__ import annotations

from enum import StrEnum

from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.contact import Email

__all__ = [
    "EmailUnverified",
    "EmailVerificationFailed",
    "EmailVerificationFailure",
    "EmailVerificationRequested",
    "EmailVerificationTokensRevoked",
    "EmailVerified",
]

_EXAMPLE = {"recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1", "email": "ada@example.com"}


class EmailVerificationFailure(StrEnum):
    """Why an e-mail address was not verified."""

    INVALID_TOKEN = "invalid_token"
    """Unknown, expired, revoked or already used."""
    ERROR = "error"
    OTHER = "other"


class EmailVerificationRequested(EventData):
    """A token was made with which a user can verify an e-mail address.

    Source: ``emailverification.create_email_verification_token``, but not where the SDK uses the token itself.
    """

    event_type = "email.verification.requested"
    example = _EXAMPLE

    recipe_user_id: str
    email: Email = None


class EmailVerified(EventData):
    """An e-mail address is verified now.

    Source: ``emailverification.verify_email_using_token``; the core itself when a third-party provider or a passwordless
    code vouches for the address of a user who exists. For a new user ``user.created`` says it: ``email_verified``.
    """

    event_type = "email.verified"
    example = {**_EXAMPLE, "auto": False}

    recipe_user_id: str
    email: Email = None
    auto: bool = False
    """Nobody followed a link: it follows from something else, such as a password reset, a linked account that has it
    verified, or an admin's word.
    """


class EmailUnverified(EventData):
    """A verified e-mail address counts as unverified again. Source: ``emailverification.unverify_email``."""

    event_type = "email.unverified"
    example = _EXAMPLE

    recipe_user_id: str
    email: Email = None


class EmailVerificationFailed(EventData):
    """A verification link did not work. Source: ``emailverification.verify_email_using_token``."""

    event_type = "email.verification.failed"
    example = {"reason": "invalid_token"}

    reason: EmailVerificationFailure


class EmailVerificationTokensRevoked(EventData):
    """All links that would verify an address were made void, if there were any.

    Source: ``emailverification.revoke_email_verification_tokens``. Off by default: the core does not say whether there
    were any.
    """

    event_type = "email.verification.tokens_revoked"
    high_volume = True
    example = _EXAMPLE

    recipe_user_id: str
    email: Email = None
