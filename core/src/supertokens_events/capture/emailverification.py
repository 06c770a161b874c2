"""What happens in the recipe ``emailverification``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.context import current_context
from supertokens_events.capture.recipe import Fact, Recipe, failure, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.capture.users import login_method, only
from supertokens_events.catalog.email import (
    EmailUnverified,
    EmailVerificationFailed,
    EmailVerificationFailure,
    EmailVerificationRequested,
    EmailVerificationTokensRevoked,
    EmailVerified,
)

recipe = Recipe("emailverification")
recipe.frame("email_verify_post", "is_email_verified_get", "generate_email_verify_token_post")
recipe.ignore("is_email_verified", because="a read")

# Inside these the SDK makes a token and uses it itself: nobody asked for one, nobody followed a link.
AUTO = {
    "accountlinking": ("link_accounts",),
    "emailpassword": ("sign_in", "sign_up", "update_email_or_password", "password_reset_post"),
    "passwordless": ("consume_code", "consume_code_post", "update_user"),
    "thirdparty": ("manually_create_or_update_user",),
    "webauthn": ("complete_sign_in", "recover_account_post", "sign_in", "sign_up"),
}
DASHBOARD_PATH = "/dashboard/api/user/email/verify"


@recipe.derive("auto")
def auto(_arguments: Mapping[str, Any], _outcome: Any, scope: Scope) -> bool:
    """Whether it follows from something else: from a sign-in and the like, or from an admin's word on the dashboard."""
    request = current_context()
    by_admin = request.method == "PUT" and (request.path or "").endswith(DASHBOARD_PATH)
    return by_admin or any(scope.inside(name, *functions) for name, functions in AUTO.items())


@recipe.function("create_email_verification_token", ok("CreateEmailVerificationTokenOkResult"))
def email_verification_requested(
    recipe_user_id: str, email: str, tenant_id: str, auto: bool, scope: Scope
) -> Fact | None:
    if auto:
        return None
    data = EmailVerificationRequested(recipe_user_id=recipe_user_id, email=email)
    return Fact(data, user_id=_user_id(recipe_user_id, scope), tenant_id=tenant_id)


@recipe.derive("verified")
def verified(_arguments: Mapping[str, Any], outcome: Any, _scope: Scope) -> tuple[str, str]:
    """Whose address, and which."""
    user = outcome.value.user
    return user.recipe_user_id.get_as_string(), user.email


@recipe.read_after("verify_email_using_token", ok("VerifyEmailUsingTokenOkResult"), EmailVerified)
async def user_after(verified: tuple[str, str], user_context: dict[str, Any]) -> Mapping[str, Any]:
    """Whom a linked login method belongs to. Nearly always free: the SDK reads the same before or after."""
    user = await reads.user(verified[0], user_context)
    return {"user_id": user.id if user else None}


@recipe.function("verify_email_using_token", ok("VerifyEmailUsingTokenOkResult"), first=True)
def email_verified(verified: tuple[str, str], tenant_id: str, auto: bool, user_id: str | None = None) -> Fact:
    """Before the linking that it allows."""
    recipe_user_id, email = verified
    data = EmailVerified(recipe_user_id=recipe_user_id, email=email, auto=auto)
    return Fact(data, user_id=user_id or recipe_user_id, tenant_id=tenant_id, by_subject=True)


@recipe.function(
    "verify_email_using_token",
    failure(
        {"VerifyEmailUsingTokenInvalidTokenError": EmailVerificationFailure.INVALID_TOKEN},
        ok=["VerifyEmailUsingTokenOkResult"],
        other=EmailVerificationFailure.OTHER,
        error=EmailVerificationFailure.ERROR,
    ),
)
def email_verification_failed(reason: EmailVerificationFailure, tenant_id: str) -> Fact:
    return Fact(EmailVerificationFailed(reason=reason), tenant_id=tenant_id)


@recipe.function("revoke_email_verification_tokens", ok("RevokeEmailVerificationTokensOkResult"))
def email_verification_tokens_revoked(recipe_user_id: str, email: str, tenant_id: str, scope: Scope) -> Fact:
    data = EmailVerificationTokensRevoked(recipe_user_id=recipe_user_id, email=email)
    return Fact(data, user_id=_user_id(recipe_user_id, scope), tenant_id=tenant_id)


@recipe.read_before("unverify_email", EmailUnverified)
async def user_before(recipe_user_id: str, email: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """OK is the answer too when it was not verified. A user unknown to SuperTokens can have verified addresses."""
    user = await reads.user(recipe_user_id, user_context)
    method = login_method(user, recipe_user_id)
    if method is not None and method.has_same_email_as(email):
        return {"user_before": user, "was_verified": method.verified}
    return {"user_before": user, "was_verified": await reads.is_email_verified(recipe_user_id, email, user_context)}


@recipe.function("unverify_email", ok("UnverifyEmailOkResult"))
def email_unverified(
    recipe_user_id: str, email: str, was_verified: bool = True, user_before: Any = None
) -> Fact | None:
    if not was_verified:
        return None
    method = login_method(user_before, recipe_user_id)
    return Fact(
        EmailUnverified(recipe_user_id=recipe_user_id, email=email),
        user_id=user_before.id if user_before else recipe_user_id,
        tenant_id=only(method.tenant_ids) if method else None,
    )


def _user_id(recipe_user_id: str, scope: Scope) -> str:
    """Whom a login method belongs to, as far as the session around the call says it."""
    session = scope.session
    return session.user_id if session is not None and session.recipe_user_id == recipe_user_id else recipe_user_id
