"""What happens in the recipe ``emailpassword``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Recipe, failure, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.capture.users import login_method, refused, signed_in
from supertokens_events.catalog.password import (
    PasswordChanged,
    PasswordResetCompleted,
    PasswordResetFailed,
    PasswordResetFailure,
    PasswordResetRequested,
)
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

recipe = Recipe("emailpassword")
recipe.frame("generate_password_reset_token_post", "password_reset_post")
recipe.ignore("email_exists_get", because="a read")

METHOD = Method.EMAILPASSWORD
RESET = "password reset token consumed"

SIGN_IN_FAILED = refused(
    SignInFailure,
    {
        "WrongCredentialsError": SignInFailure.WRONG_CREDENTIALS,
        "SignInPostNotAllowedResponse": SignInFailure.NOT_ALLOWED,
    },
    ok=("SignInOkResult", "SignInPostOkResult"),
)

SIGN_UP_FAILED = refused(
    SignUpFailure,
    {
        "EmailAlreadyExistsError": SignUpFailure.EMAIL_ALREADY_EXISTS,
        "SignUpPostNotAllowedResponse": SignUpFailure.NOT_ALLOWED,
    },
    ok=("SignUpOkResult", "SignUpPostOkResult"),
)


@recipe.function("create_new_recipe_user", ok("SignUpOkResult"))
def user_created(user: Any, recipe_user_id: str, email: str, tenant_id: str, scope: Scope) -> Iterator[Fact]:
    """Also inside ``password_reset_post``, where a reset link gives a user of another method a password."""
    data = UserCreated(method=METHOD, recipe_user_id=recipe_user_id, email=email)
    yield Fact(data, user_id=user.id, tenant_id=tenant_id, by_subject=True)
    if (whom := scope.recall(RESET, about=recipe_user_id)) is not None:
        yield Fact(
            PasswordResetCompleted(recipe_user_id=recipe_user_id, email=email),
            user_id=whom,
            tenant_id=tenant_id,
            by_subject=True,
        )


@recipe.function("sign_in", ok("SignInOkResult"))
def user_signed_in(user: Any, recipe_user_id: str, email: str, tenant_id: str, scope: Scope) -> Fact:
    return signed_in(user, method=METHOD, recipe_user_id=recipe_user_id, tenant_id=tenant_id, scope=scope, email=email)


@recipe.function("verify_credentials", ok("SignInOkResult"))
def credentials_verified(user: Any, recipe_user_id: str, email: str, tenant_id: str, scope: Scope) -> Fact | None:
    """Where the SDK calls it, it is the first half of a sign-in."""
    if scope.inside(recipe.id):
        return None
    data = UserCredentialsVerified(method=METHOD, recipe_user_id=recipe_user_id, email=email)
    return Fact(data, user_id=user.id, tenant_id=tenant_id)


@recipe.api("sign_in_post", SIGN_IN_FAILED)
@recipe.function("sign_in", SIGN_IN_FAILED, outside_api=True)
def sign_in_failed(reason: SignInFailure, email: str | None, error_code: str | None, tenant_id: str) -> Fact:
    """From the API function: for an unknown e-mail the recipe function is never called."""
    return Fact(UserSignInFailed(method=METHOD, reason=reason, email=email, error_code=error_code), tenant_id=tenant_id)


@recipe.api("sign_up_post", SIGN_UP_FAILED)
@recipe.function("sign_up", SIGN_UP_FAILED, outside_api=True)
def sign_up_failed(reason: SignUpFailure, email: str | None, error_code: str | None, tenant_id: str) -> Fact:
    """The user may exist all the same when linking failed; then ``user.created`` was told too."""
    return Fact(UserSignUpFailed(method=METHOD, reason=reason, email=email, error_code=error_code), tenant_id=tenant_id)


@recipe.function("create_reset_password_token", ok("CreateResetPasswordOkResult"))
def password_reset_requested(user_id: str, email: str, tenant_id: str) -> Fact:
    return Fact(PasswordResetRequested(email=email), user_id=user_id, tenant_id=tenant_id)


@recipe.function("consume_password_reset_token", ok("ConsumePasswordResetTokenOkResult"))
def password_reset_token_consumed(user_id: str, scope: Scope) -> None:
    """No event: what follows decides whether it was a reset."""
    scope.remember(RESET, about=user_id)


@recipe.function(
    "consume_password_reset_token",
    failure(
        {"PasswordResetTokenInvalidError": PasswordResetFailure.INVALID_TOKEN},
        ok=["ConsumePasswordResetTokenOkResult"],
        other=PasswordResetFailure.OTHER,
        error=PasswordResetFailure.ERROR,
    ),
)
def password_reset_failed(reason: PasswordResetFailure, tenant_id: str) -> Fact:
    return Fact(PasswordResetFailed(reason=reason), tenant_id=tenant_id)


@recipe.read_before("update_email_or_password", UserEmailChanged)
async def user_before(recipe_user_id: str, email: str | None, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """Free: the SDK makes the same read with the same ``user_context``, which caches it."""
    return {"user_before": await reads.user(recipe_user_id, user_context) if email is not None else None}


@recipe.function("update_email_or_password", ok("UpdateEmailOrPasswordOkResult"))
def email_or_password_updated(
    *,
    recipe_user_id: str,
    email: str | None,
    has_password: bool,
    tenant_id_for_password_policy: str,
    scope: Scope,
    user_before: Any = None,
) -> Iterator[Fact]:
    user_id = user_before.id if user_before else recipe_user_id
    if has_password:
        whom = scope.recall(RESET, about=recipe_user_id)
        if whom is not None:
            completed = PasswordResetCompleted(recipe_user_id=recipe_user_id, email=email)
            yield Fact(completed, user_id=whom, tenant_id=tenant_id_for_password_policy, by_subject=True)
        else:
            yield Fact(
                PasswordChanged(recipe_user_id=recipe_user_id), user_id=user_id, tenant_id=tenant_id_for_password_policy
            )
    method = login_method(user_before, recipe_user_id)
    if email is not None and method is not None and not method.has_same_email_as(email):
        changed = UserEmailChanged(
            method=METHOD, recipe_user_id=recipe_user_id, email=email, previous_email=method.email
        )
        yield Fact(changed, user_id=user_id)
