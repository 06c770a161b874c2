"""What happens in the recipe ``webauthn``. Its functions take keywords only; of a credential only the public id is
taken.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.capture import reads, users
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, failure, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.user import (
    Method,
    SignInFailure,
    SignUpFailure,
    UserCreated,
    UserCredentialsVerified,
    UserEmailChanged,
    UserSignInFailed,
    UserSignUpFailed,
)
from supertokens_events.catalog.webauthn import (
    WebauthnCredentialRegistered,
    WebauthnCredentialRemoved,
    WebauthnRecoveryCompleted,
    WebauthnRecoveryFailed,
    WebauthnRecoveryFailure,
    WebauthnRecoveryRequested,
    WebauthnRecoveryTokenConsumed,
)

recipe = Recipe("webauthn")
recipe.frame("generate_recover_account_token_post", "register_credential_post", "remove_credential_post")
recipe.ignore(
    "get_credential",
    "get_user_from_recover_account_token",
    "list_credentials",
    "list_credentials_get",
    "email_exists_get",
    because="a read",
)
recipe.ignore(
    "register_options",
    "register_options_post",
    "sign_in_options",
    "sign_in_options_post",
    because="a question to the browser; its answer is what happens",
)
recipe.ignore("remove_generated_options", because="it tidies up after a question")

METHOD = Method.WEBAUTHN
OPTIONS_EMAIL = "e-mail of passkey options"

SIGN_IN_FAILED = users.refused(
    SignInFailure,
    {
        "InvalidCredentialsErrorResponse": SignInFailure.WRONG_CREDENTIALS,
        "CredentialNotFoundErrorResponse": SignInFailure.UNKNOWN_CREDENTIAL,
        "UnknownUserIdErrorResponse": SignInFailure.UNKNOWN_CREDENTIAL,
        "OptionsNotFoundErrorResponse": SignInFailure.INVALID_OPTIONS,
        "InvalidOptionsErrorResponse": SignInFailure.INVALID_OPTIONS,
        "InvalidAuthenticatorErrorResponse": SignInFailure.INVALID_AUTHENTICATOR,
        "SignInNotAllowedErrorResponse": SignInFailure.NOT_ALLOWED,
    },
    ok=("SignInResponse", "SignInPOSTResponse"),
)

SIGN_UP_FAILED = users.refused(
    SignUpFailure,
    {
        "EmailAlreadyExistsErrorResponse": SignUpFailure.EMAIL_ALREADY_EXISTS,
        "InvalidCredentialsErrorResponse": SignUpFailure.INVALID_CREDENTIAL,
        "OptionsNotFoundErrorResponse": SignUpFailure.INVALID_OPTIONS,
        "InvalidOptionsErrorResponse": SignUpFailure.INVALID_OPTIONS,
        "InvalidAuthenticatorErrorResponse": SignUpFailure.INVALID_AUTHENTICATOR,
        "SignUpNotAllowedErrorResponse": SignUpFailure.NOT_ALLOWED,
    },
    ok=("SignUpReponse", "SignUpPOSTResponse"),  # the SDK's spelling
)

RECOVERY_FAILED = failure(
    {
        "RecoverAccountTokenInvalidErrorResponse": WebauthnRecoveryFailure.INVALID_TOKEN,
        "InvalidCredentialsErrorResponse": WebauthnRecoveryFailure.INVALID_CREDENTIAL,
        "OptionsNotFoundErrorResponse": WebauthnRecoveryFailure.INVALID_OPTIONS,
        "InvalidOptionsErrorResponse": WebauthnRecoveryFailure.INVALID_OPTIONS,
        "InvalidAuthenticatorErrorResponse": WebauthnRecoveryFailure.INVALID_AUTHENTICATOR,
        "GeneralErrorResponse": WebauthnRecoveryFailure.GENERAL_ERROR,
    },
    ok=("RecoverAccountPOSTResponse", "ConsumeRecoverAccountTokenResponse"),
    other=WebauthnRecoveryFailure.OTHER,
    error=WebauthnRecoveryFailure.ERROR,
)


@recipe.derive("credential_id")
def credential_id(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> str:
    return str(arguments["credential"].id)


# Users


@recipe.function("create_new_recipe_user", ok("CreateNewRecipeUserResponse"))
def user_created(user: Any, recipe_user_id: str, credential_id: str, tenant_id: str) -> Fact:
    """Also inside ``recover_account_post``, where a recovery link gives a user of another method a passkey."""
    email = next(iter(user.emails), None)
    data = UserCreated(method=METHOD, recipe_user_id=recipe_user_id, email=email, credential_id=credential_id)
    return Fact(data, user_id=user.id, tenant_id=tenant_id, by_subject=True)


@recipe.function("complete_sign_in", ok("SignInResponse"), or_else="sign_in")
def user_signed_in(user: Any, recipe_user_id: str, tenant_id: str, scope: Scope) -> Fact:
    """Before 0.31.4 the frontend API calls ``sign_in``, which does it all."""
    method = users.login_method(user, recipe_user_id)
    email = method.email if method else None
    return users.signed_in(
        user, method=METHOD, recipe_user_id=recipe_user_id, tenant_id=tenant_id, scope=scope, email=email
    )


@recipe.function("verify_credentials", ok("VerifyCredentialsResponse"))
def credentials_verified(user: Any, recipe_user_id: str, tenant_id: str, scope: Scope) -> Fact | None:
    """Where the SDK calls it, it is the first half of a sign-in."""
    if scope.inside(recipe.id):
        return None
    method = users.login_method(user, recipe_user_id)
    data = UserCredentialsVerified(method=METHOD, recipe_user_id=recipe_user_id, email=method.email if method else None)
    return Fact(data, user_id=user.id, tenant_id=tenant_id)


@recipe.api("sign_in_post", SIGN_IN_FAILED)
@recipe.function("sign_in", SIGN_IN_FAILED, outside_api=True)
def sign_in_failed(reason: SignInFailure, error_code: str | None, tenant_id: str) -> Fact:
    """Who it was is not known: nobody types an e-mail address to sign in with a passkey."""
    return Fact(UserSignInFailed(method=METHOD, reason=reason, error_code=error_code), tenant_id=tenant_id)


@recipe.function("get_generated_options", ok("GetGeneratedOptionsResponse"))
def options_read(email: str | None, scope: Scope) -> None:
    """No event: for whom a sign-up is, in case it fails."""
    if email is not None:
        scope.remember(OPTIONS_EMAIL, about=email)


@recipe.api("sign_up_post", SIGN_UP_FAILED)
@recipe.function("sign_up", SIGN_UP_FAILED, outside_api=True)
def sign_up_failed(reason: SignUpFailure, error_code: str | None, tenant_id: str, scope: Scope) -> Fact:
    """The user may exist all the same when linking failed; then ``user.created`` was told too."""
    email = scope.recall(OPTIONS_EMAIL, about="")
    return Fact(UserSignUpFailed(method=METHOD, reason=reason, email=email, error_code=error_code), tenant_id=tenant_id)


@recipe.read_before("update_user_email", UserEmailChanged)
async def user_before(recipe_user_id: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    return {"user_before": await reads.user(recipe_user_id, user_context)}


@recipe.function("update_user_email", ok("OkResponseBaseModel"))
def email_updated(recipe_user_id: str, email: str, tenant_id: str, user_before: Any = None) -> Fact | None:
    """Told as a change too when the old address could not be read."""
    method = users.login_method(user_before, recipe_user_id)
    previous = method.email if method else None
    if email == previous:
        return None
    data = UserEmailChanged(method=METHOD, recipe_user_id=recipe_user_id, email=email, previous_email=previous)
    return Fact(data, user_id=user_before.id if user_before else recipe_user_id, tenant_id=tenant_id)


# Credentials


@recipe.function("register_credential", ok("OkResponseBaseModel"))
def credential_registered(recipe_user_id: str, credential_id: str, scope: Scope) -> Fact:
    data = WebauthnCredentialRegistered(recipe_user_id=recipe_user_id, credential_id=credential_id)
    return _of_owner(data, recipe_user_id, scope)


@recipe.function("remove_credential", ok("OkResponseBaseModel"))
def credential_removed(recipe_user_id: str, webauthn_credential_id: str, scope: Scope) -> Fact:
    data = WebauthnCredentialRemoved(recipe_user_id=recipe_user_id, credential_id=webauthn_credential_id)
    return _of_owner(data, recipe_user_id, scope)


def _of_owner(
    data: WebauthnCredentialRegistered | WebauthnCredentialRemoved, recipe_user_id: str, scope: Scope
) -> Fact:
    """In the frontend API the session's user; a backend names the recipe user only."""
    session = scope.session
    if session is None:
        return Fact(data, user_id=recipe_user_id, by_subject=True)
    return Fact(data, user_id=session.user_id, tenant_id=session.tenant_id)


# Recovery


@recipe.function("generate_recover_account_token", ok("GenerateRecoverAccountTokenResponse"))
def recovery_requested(user_id: str, email: str, tenant_id: str) -> Fact:
    return Fact(WebauthnRecoveryRequested(email=email), user_id=user_id, tenant_id=tenant_id)


@recipe.function("consume_recover_account_token", ok("ConsumeRecoverAccountTokenResponse"))
def recovery_token_consumed(user_id: str, email: str, tenant_id: str) -> Fact:
    return Fact(WebauthnRecoveryTokenConsumed(email=email), user_id=user_id, tenant_id=tenant_id, by_subject=True)


@recipe.api("recover_account_post", ok("RecoverAccountPOSTResponse"))
def recovery_completed(user: Any, email: str, credential_id: str, tenant_id: str) -> Fact:
    """From the API function: no recipe function stands for the whole of it."""
    data = WebauthnRecoveryCompleted(email=email, credential_id=credential_id)
    return Fact(data, user_id=user.id, tenant_id=tenant_id, by_subject=True)


@recipe.api("recover_account_post", RECOVERY_FAILED)
@recipe.function("consume_recover_account_token", RECOVERY_FAILED, outside_api=True)
def recovery_failed(reason: WebauthnRecoveryFailure, tenant_id: str) -> Fact:
    return Fact(WebauthnRecoveryFailed(reason=reason), tenant_id=tenant_id)
