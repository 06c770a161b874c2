"""Passkeys: registered, removed, and accounts recovered with a new one. Of a credential only its public id is told."""

from __future__ import annotations

from enum import StrEnum

from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.contact import Email

__all__ = [
    "WebauthnCredentialRegistered",
    "WebauthnCredentialRemoved",
    "WebauthnRecoveryCompleted",
    "WebauthnRecoveryFailed",
    "WebauthnRecoveryFailure",
    "WebauthnRecoveryRequested",
    "WebauthnRecoveryTokenConsumed",
]

_CREDENTIAL = {
    "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
    "credential_id": "4ZbqX9cCkYt0l2r1Qw7uVg",
}


class WebauthnRecoveryFailure(StrEnum):
    """Why an account could not be recovered."""

    INVALID_TOKEN = "invalid_token"
    """Unknown, expired or already used, or its user is gone."""
    INVALID_CREDENTIAL = "invalid_credential"
    """The new passkey could not be read. The token is used up all the same."""
    INVALID_OPTIONS = "invalid_options"
    """The options that the new passkey was made for are unknown, expired or another address's."""
    INVALID_AUTHENTICATOR = "invalid_authenticator"
    """The authenticator is refused; its signature does not hold, for one."""
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    OTHER = "other"


class WebauthnCredentialRegistered(EventData):
    """A user got one more passkey. Source: ``webauthn.register_credential``.

    A new user's first passkey comes with ``user.created``, which has its id too.
    """

    event_type = "webauthn.credential.registered"
    example = _CREDENTIAL

    recipe_user_id: str
    credential_id: str


class WebauthnCredentialRemoved(EventData):
    """A passkey was taken from a user. Source: ``webauthn.remove_credential``.

    Not told: those that go with their user.
    """

    event_type = "webauthn.credential.removed"
    example = _CREDENTIAL

    recipe_user_id: str
    credential_id: str


class WebauthnRecoveryRequested(EventData):
    """A token was made with which a user can register a new passkey instead of a lost one.

    Source: ``webauthn.generate_recover_account_token``.
    """

    event_type = "webauthn.recovery.requested"
    example = {"email": "ada@example.com"}

    email: Email = None


class WebauthnRecoveryTokenConsumed(EventData):
    """A recovery token was used up; what it was used for may still fail. Source:
    ``webauthn.consume_recover_account_token``.
    """

    event_type = "webauthn.recovery.token_consumed"
    example = {"email": "ada@example.com"}

    email: Email = None


class WebauthnRecoveryCompleted(EventData):
    """A user got back into their account with a new passkey. Source: ``webauthn.recover_account_post``.

    If the address was not verified before, their sessions and their other passkeys have ended: ``session.revoked`` and
    ``webauthn.credential.removed`` say so one by one.
    """

    event_type = "webauthn.recovery.completed"
    example = {"email": "ada@example.com", "credential_id": _CREDENTIAL["credential_id"]}

    email: Email = None
    credential_id: str


class WebauthnRecoveryFailed(EventData):
    """Somebody tried to recover an account and was refused. Source: ``webauthn.recover_account_post``, or
    ``consume_recover_account_token`` called by a backend.
    """

    event_type = "webauthn.recovery.failed"
    example = {"reason": "invalid_token"}

    reason: WebauthnRecoveryFailure
