"""Passwords: changed, and the three stages of a reset."""

from __future__ import annotations

from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = [
    "PasswordChanged",
    "PasswordResetCompleted",
    "PasswordResetFailed",
    "PasswordResetFailure",
    "PasswordResetRequested",
]

_RECIPE_USER = {"recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1"}


class PasswordResetFailure(StrEnum):
    """Why a password reset was refused."""

    INVALID_TOKEN = "invalid_token"
    """Unknown, expired or already used."""
    ERROR = "error"
    OTHER = "other"


class PasswordChanged(EventData):
    """A password was replaced other than through a reset link. Source: ``emailpassword.update_email_or_password``."""

    event_type = "password.changed"
    example = _RECIPE_USER

    recipe_user_id: str


class PasswordResetRequested(EventData):
    """A password reset token was made for a user. Source: ``emailpassword.create_reset_password_token``."""

    event_type = "password.reset.requested"
    example = {"email": "ada@example.com"}

    email: str


class PasswordResetCompleted(EventData):
    """A password was replaced through a reset link.

    Source: ``emailpassword.update_email_or_password`` or ``create_new_recipe_user`` after
    ``consume_password_reset_token``.
    """

    event_type = "password.reset.completed"
    example = {**_RECIPE_USER, "email": "ada@example.com"}

    recipe_user_id: str
    email: str | None = None


class PasswordResetFailed(EventData):
    """A reset link did not work. Source: ``emailpassword.consume_password_reset_token``."""

    event_type = "password.reset.failed"
    example = {"reason": "invalid_token"}

    reason: PasswordResetFailure
