"""Users: that they exist, that they came in, that they were refused, that they changed or went."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.contact import Email

__all__ = [
    "DeletionExtent",
    "LoginMethod",
    "Method",
    "OAuthLoginStarted",
    "PasswordlessFactor",
    "SignInFailure",
    "SignUpFailure",
    "UserCreated",
    "UserCredentialsVerified",
    "UserDeleted",
    "UserEmailChanged",
    "UserPhoneChanged",
    "UserReauthenticated",
    "UserSignInFailed",
    "UserSignUpFailed",
    "UserSignedIn",
]

LOGIN_METHOD_EXAMPLE: dict[str, Any] = {
    "method": "emailpassword",
    "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
    "tenant_ids": ["public"],
    "email": "ada@example.com",
    "verified": True,
}


class Method(StrEnum):
    """How a user proves who they are: the recipe that did it."""

    EMAILPASSWORD = "emailpassword"
    PASSWORDLESS = "passwordless"
    THIRDPARTY = "thirdparty"
    SAML = "saml"
    """The recipe ``thirdparty`` with a SAML provider."""
    WEBAUTHN = "webauthn"
    OTHER = "other"
    """A recipe this version does not know."""


class PasswordlessFactor(StrEnum):
    """What was sent, and where: the SDK's ids of the four passwordless factors."""

    OTP_EMAIL = "otp-email"
    OTP_PHONE = "otp-phone"
    LINK_EMAIL = "link-email"
    LINK_PHONE = "link-phone"


class SignInFailure(StrEnum):
    """Why a sign-in was refused."""

    WRONG_CREDENTIALS = "wrong_credentials"
    """Wrong password, unknown e-mail, or a passkey that was not accepted; the SDK does not tell which, on purpose."""
    INCORRECT_CODE = "incorrect_code"
    """A one-time code that is not the one that was sent."""
    EXPIRED_CODE = "expired_code"
    """A one-time code that came too late."""
    RESTART_FLOW = "restart_flow"
    """A code or link that is unknown, used, revoked or expired, or one wrong code too many."""
    UNKNOWN_CREDENTIAL = "unknown_credential"
    """A passkey that is nobody's."""
    INVALID_OPTIONS = "invalid_options"
    """The options that a passkey was asked with are unknown or have expired."""
    INVALID_AUTHENTICATOR = "invalid_authenticator"
    """The authenticator is refused; its signature does not hold, for one."""
    NO_EMAIL = "no_email"
    """The provider gave no e-mail address."""
    NOT_ALLOWED = "not_allowed"
    """Refused by account linking or multi-factor rules (``error_code`` says which)."""
    LINKING_FAILED = "linking_failed"
    """The credentials were right; linking to the session's user was not possible."""
    GENERAL_ERROR = "general_error"
    """The app answered with a general error."""
    ERROR = "error"
    """Something raised, such as a core or a provider that could not be reached."""
    OTHER = "other"
    """An answer this version does not know."""


class SignUpFailure(StrEnum):
    """Why a sign-up was refused."""

    EMAIL_ALREADY_EXISTS = "email_already_exists"
    INVALID_CREDENTIAL = "invalid_credential"
    """The passkey could not be read."""
    INVALID_OPTIONS = "invalid_options"
    """The options that the passkey was made for are unknown or have expired."""
    INVALID_AUTHENTICATOR = "invalid_authenticator"
    """The authenticator is refused."""
    NOT_ALLOWED = "not_allowed"
    LINKING_FAILED = "linking_failed"
    """The user was created all the same; linking to the session's user was not possible."""
    GENERAL_ERROR = "general_error"
    ERROR = "error"
    OTHER = "other"


class DeletionExtent(StrEnum):
    """How much of a user went."""

    USER = "user"
    """All of it: no login method is left."""
    LOGIN_METHOD = "login_method"
    """One login method of several; the user lives on with the others."""


class LoginMethod(BaseModel):
    """One way into a user's account."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, hide_input_in_errors=True)

    method: Method
    recipe_user_id: str
    tenant_ids: Sequence[str]
    email: Email = None
    phone_number: str | None = None
    third_party_id: str | None = None
    third_party_user_id: str | None = None
    verified: bool = False


class UserCreated(EventData):
    """A user exists now that did not exist before.

    Source: ``emailpassword.create_new_recipe_user``, ``passwordless.consume_code``,
    ``thirdparty.manually_create_or_update_user``, ``webauthn.create_new_recipe_user``. It is told before any linking, so
    ``user_id`` is the new user's own.
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
    email: Email = None
    email_verified: bool = False
    phone_number: str | None = None
    third_party_id: str | None = None
    third_party_user_id: str | None = None
    factor_id: PasswordlessFactor | None = None
    credential_id: str | None = None
    """The public id of the passkey that the user came with."""


class UserSignedIn(EventData):
    """An existing user's credentials were accepted.

    Source: ``emailpassword.sign_in``, ``passwordless.consume_code``, ``thirdparty.sign_in_up``,
    ``webauthn.complete_sign_in``.
    """

    event_type = "user.signed_in"
    example = {
        "method": "emailpassword",
        "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "email": "ada@example.com",
    }

    method: Method
    recipe_user_id: str
    email: Email = None
    phone_number: str | None = None
    third_party_id: str | None = None
    factor_id: PasswordlessFactor | None = None


class UserReauthenticated(EventData):
    """A user who already had a session proved who they are again. Source: as for ``user.signed_in``, with a session."""

    event_type = "user.reauthenticated"
    example = UserSignedIn.example

    method: Method
    recipe_user_id: str
    email: Email = None
    phone_number: str | None = None
    third_party_id: str | None = None
    factor_id: PasswordlessFactor | None = None


class UserCredentialsVerified(EventData):
    """A user's credentials were looked at outside of any sign-in, and were right: an app asked again, to be sure.

    Source: ``emailpassword.verify_credentials`` and ``webauthn.verify_credentials`` called by a backend.
    """

    event_type = "user.credentials.verified"
    high_volume = True
    example = {
        "method": "emailpassword",
        "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "email": "ada@example.com",
    }

    method: Method
    recipe_user_id: str
    email: Email = None


class OAuthLoginStarted(EventData):
    """A browser asked where to go to sign in with a provider. Source: ``thirdparty.authorisation_url_get``."""

    event_type = "oauth_login.started"
    high_volume = True
    example = {"method": "thirdparty", "third_party_id": "google"}

    method: Method
    third_party_id: str


class UserSignInFailed(EventData):
    """Somebody tried to sign in and was refused.

    Source: ``emailpassword.sign_in_post``, ``passwordless.create_code_post`` and ``consume_code_post``,
    ``thirdparty.sign_in_up_post``, ``webauthn.sign_in_post``, or their recipe functions called by a backend.
    """

    event_type = "user.sign_in.failed"
    example = {"method": "emailpassword", "reason": "wrong_credentials", "email": "ada@example.com"}

    method: Method
    reason: SignInFailure
    email: Email = None
    phone_number: str | None = None
    third_party_id: str | None = None
    factor_id: PasswordlessFactor | None = None
    error_code: str | None = None
    """The SDK's support code, ``ERR_CODE_008`` and the like."""
    failed_attempts: int | None = None
    """How many wrong codes there were so far, of ``max_attempts``."""
    max_attempts: int | None = None


class UserSignUpFailed(EventData):
    """Somebody tried to sign up and was refused. Source: ``emailpassword.sign_up_post``, ``webauthn.sign_up_post``, or
    ``sign_up`` called by a backend.
    """

    event_type = "user.sign_up.failed"
    example = {"method": "emailpassword", "reason": "email_already_exists", "email": "ada@example.com"}

    method: Method
    reason: SignUpFailure
    email: Email = None
    error_code: str | None = None
    """The SDK's support code, ``ERR_CODE_007`` and the like."""


class UserEmailChanged(EventData):
    """A user's e-mail address was replaced by another, or taken away: then there is no ``email``.

    Source: ``emailpassword.update_email_or_password``, ``passwordless.update_user`` and ``delete_email_for_user``,
    ``webauthn.update_user_email``, ``thirdparty.manually_create_or_update_user`` when the provider says another address.
    """

    event_type = "user.email.changed"
    example = {
        "method": "emailpassword",
        "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "email": "ada.lovelace@example.com",
        "previous_email": "ada@example.com",
    }

    method: Method
    recipe_user_id: str
    email: Email = None
    previous_email: Email = None


class UserPhoneChanged(EventData):
    """A user's phone number was replaced by another, or taken away: then there is no ``phone_number``.

    Source: ``passwordless.update_user`` and ``delete_phone_number_for_user``.
    """

    event_type = "user.phone.changed"
    example = {
        "method": "passwordless",
        "recipe_user_id": "7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1",
        "phone_number": "+36301234567",
        "previous_phone_number": "+36307654321",
    }

    method: Method
    recipe_user_id: str
    phone_number: str | None = None
    previous_phone_number: str | None = None


class UserDeleted(EventData):
    """A user, or one login method of a user, was deleted. What it was is said as it was.

    Source: ``accountlinking.delete_user``. Without ``extent`` the user could not be read before, and may never have
    been there.
    """

    event_type = "user.deleted"
    example = {
        "extent": "user",
        "login_methods": [LOGIN_METHOD_EXAMPLE],
        "remaining_login_methods": 0,
        "tenant_ids": ["public"],
        "was_primary": False,
    }

    extent: DeletionExtent | None = None
    recipe_user_id: str | None = None
    """The login method that went, when others are left."""
    login_methods: Sequence[LoginMethod] = ()
    """What went."""
    remaining_login_methods: int | None = None
    tenant_ids: Sequence[str] = ()
    """The tenants of what went."""
    was_primary: bool | None = None
