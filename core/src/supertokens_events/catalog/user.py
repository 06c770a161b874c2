"""Users: that they exist, that they came in, that they were refused."""

from __future__ import annotations

from enum import StrEnum

from supertokens_events.catalog.base import EventData

__all__ = [
    "Method",
    "SignInFailure",
    "SignUpFailure",
    "UserCreated",
    "UserEmailChanged",
    "UserReauthenticated",
    "UserSignInFailed",
    "UserSignUpFailed",
    "UserSignedIn",
]


class Method(StrEnum):
    """How a user proves who they are: the recipe that did it."""

    EMAILPASSWORD = "emailpassword"


class SignInFailure(StrEnum):
    """Why a sign-in was refused."""

    WRONG_CREDENTIALS = "wrong_credentials"
    """Wrong password or unknown e-mail; the SDK does not tell which, on purpose."""
    NOT_ALLOWED = "not_allowed"
    """Refused by account linking or multi-factor rules (``error_code`` says which)."""
    LINKING_FAILED = "linking_failed"
    """The credentials were right; linking to the session's user was not possible."""
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    """Something raised, such as a core that could not be reached."""
    OTHER = "other"
    """An answer this version does not know."""


class SignUpFailure(StrEnum):
    """Why a sign-up was refused."""

    EMAIL_ALREADY_EXISTS = "email_already_exists"
    NOT_ALLOWED = "not_allowed"
    LINKING_FAILED = "linking_failed"
    """The user was created all the same; linking to the session's user was not possible."""
    GENERAL_ERROR = "general_error"
    ERROR = "error"
    OTHER = "other"


class UserCreated(EventData):
    """A user exists now that did not exist before.

    Source: ``emailpassword.create_new_recipe_user``. It is told before any linking, so ``user_id`` is the new user's
    own.
    """

    event_type = "user.created"
    example = {
        "method": "emailpassword",
        "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "email": "ada@example.com",
        "email_verified": False,
    }

    method: Method
    recipe_user_id: str
    email: str | None = None
    email_verified: bool = False


class UserSignedIn(EventData):
    """An existing user's credentials were accepted. Source: ``emailpassword.sign_in``."""

    event_type = "user.signed_in"
    example = {
        "method": "emailpassword",
        "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "email": "ada@example.com",
    }

    method: Method
    recipe_user_id: str
    email: str | None = None


class UserReauthenticated(EventData):
    """A user who already had a session proved who they are again. Source: ``emailpassword.sign_in`` with a session."""

    event_type = "user.reauthenticated"
    example = UserSignedIn.example

    method: Method
    recipe_user_id: str
    email: str | None = None


class UserSignInFailed(EventData):
    """Somebody tried to sign in and was refused. Source: ``emailpassword.sign_in_post``, or ``sign_in`` called by a
    backend.
    """

    event_type = "user.sign_in.failed"
    example = {"method": "emailpassword", "reason": "wrong_credentials", "email": "ada@example.com"}

    method: Method
    reason: SignInFailure
    email: str | None = None
    error_code: str | None = None
    """The SDK's support code, ``ERR_CODE_008`` and the like."""


class UserSignUpFailed(EventData):
    """Somebody tried to sign up and was refused. Source: ``emailpassword.sign_up_post``, or ``sign_up`` called by a
    backend.
    """

    event_type = "user.sign_up.failed"
    example = {"method": "emailpassword", "reason": "email_already_exists", "email": "ada@example.com"}

    method: Method
    reason: SignUpFailure
    email: str | None = None
    error_code: str | None = None
    """The SDK's support code, ``ERR_CODE_007`` and the like."""


class UserEmailChanged(EventData):
    """A user's e-mail address was replaced by another. Source: ``emailpassword.update_email_or_password``."""

    event_type = "user.email.changed"
    example = {
        "method": "emailpassword",
        "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "email": "ada.lovelace@example.com",
        "previous_email": "ada@example.com",
    }

    method: Method
    recipe_user_id: str
    email: str
    previous_email: str | None = None
