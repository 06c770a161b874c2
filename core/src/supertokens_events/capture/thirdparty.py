"""What happens in the recipe ``thirdparty``, SAML included.

One function creates, updates and signs in. The core itself marks an address verified when the provider vouches for it,
and takes over the provider's new address.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.capture.users import refused, signed_in, third_party_method
from supertokens_events.catalog.contact import real_email
from supertokens_events.catalog.email import EmailVerified
from supertokens_events.catalog.user import (
    OAuthLoginStarted,
    SignInFailure,
    UserCreated,
    UserEmailChanged,
    UserSignInFailed,
)

recipe = Recipe("thirdparty")
recipe.ignore("get_provider", because="a read, and its result holds a client secret")
recipe.ignore("apple_redirect_handler_post", because="it sends the browser on; `sign_in_up_post` comes next")

CREATED_OR_UPDATED = ok("ManuallyCreateOrUpdateUserOkResult", "LinkingToSessionUserFailedError")

SIGN_IN_FAILED = refused(
    SignInFailure,
    {
        "SignInUpPostNoEmailGivenByProviderResponse": SignInFailure.NO_EMAIL,
        "SignInUpNotAllowed": SignInFailure.NOT_ALLOWED,
        "UnauthorisedError": SignInFailure.NOT_ALLOWED,
        "InvalidClaimsError": SignInFailure.NOT_ALLOWED,
    },
    ok=("SignInUpOkResult", "SignInUpPostOkResult"),
)


@recipe.derive("third_party_id")
def third_party_id(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> str:
    """Of a provider object, which holds a client secret, only its id."""
    return str(arguments["third_party_id"] if "third_party_id" in arguments else arguments["provider"].id)


@recipe.derive("tenant_id")
def tenant_id(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> str | None:
    """The argument, or the tenant that the provider was looked up for."""
    found = arguments["tenant_id"] if "tenant_id" in arguments else getattr(arguments["provider"], "tenant_id", None)
    return str(found) if found else None


@recipe.read_before("manually_create_or_update_user", UserCreated, UserEmailChanged, EmailVerified)
async def account_before(
    third_party_id: str, third_party_user_id: str, tenant_id: str, user_context: dict[str, Any]
) -> Mapping[str, Any]:
    """Free: the SDK makes the same read with the same ``user_context``, which caches it."""
    user, method = await _account(tenant_id, third_party_id, third_party_user_id, user_context)
    return {"was_new": method is None, "user_before": user, "method_before": method}


@recipe.read_after("manually_create_or_update_user", ok("LinkingToSessionUserFailedError"), UserCreated)
async def account_after(
    *,
    third_party_id: str,
    third_party_user_id: str,
    tenant_id: str,
    user_context: dict[str, Any],
    was_new: bool = False,
) -> Mapping[str, Any]:
    """When linking to the session's user fails, the core has made the user all the same, and the SDK does not say so."""
    if not was_new:
        return {}
    _, method = await _account(tenant_id, third_party_id, third_party_user_id, user_context)
    return {"created_new_recipe_user": True, "recipe_user_id": method.recipe_user_id.get_as_string()} if method else {}


@recipe.function("manually_create_or_update_user", CREATED_OR_UPDATED, first=True)
def user_created(
    *,
    third_party_id: str,
    third_party_user_id: str,
    email: str,
    is_verified: bool,
    tenant_id: str,
    created_new_recipe_user: bool = False,
    recipe_user_id: str | None = None,
) -> Fact | None:
    if not created_new_recipe_user or recipe_user_id is None:
        return None
    data = UserCreated(
        method=third_party_method(third_party_id),
        recipe_user_id=recipe_user_id,
        email=email,
        email_verified=is_verified and real_email(email) is not None,
        third_party_id=third_party_id,
        third_party_user_id=third_party_user_id,
    )
    return Fact(data, user_id=recipe_user_id, tenant_id=tenant_id, by_subject=True)


@recipe.function("manually_create_or_update_user", CREATED_OR_UPDATED, first=True)
def email_verified_or_changed(
    *,
    third_party_id: str,
    email: str,
    is_verified: bool,
    tenant_id: str,
    user_before: Any = None,
    method_before: Any = None,
) -> Iterator[Fact]:
    """Of a user who was there before: what the core did without a word."""
    if method_before is None:
        return
    recipe_user_id = method_before.recipe_user_id.get_as_string()
    changed = not method_before.has_same_email_as(email)
    if is_verified and real_email(email) and (changed or not method_before.verified):
        verified = EmailVerified(recipe_user_id=recipe_user_id, email=email, auto=True)
        yield Fact(verified, user_id=user_before.id, tenant_id=tenant_id, by_subject=True)
    if changed and (real_email(email) or real_email(method_before.email)):
        data = UserEmailChanged(
            method=third_party_method(third_party_id),
            recipe_user_id=recipe_user_id,
            email=email,
            previous_email=method_before.email,
        )
        yield Fact(data, user_id=user_before.id, tenant_id=tenant_id, by_subject=True)


@recipe.function("sign_in_up", ok("SignInUpOkResult"))
def user_signed_in(
    *,
    user: Any,
    recipe_user_id: str,
    created_new_recipe_user: bool,
    third_party_id: str,
    email: str,
    tenant_id: str,
    scope: Scope,
) -> Fact | None:
    if created_new_recipe_user:
        return None
    return signed_in(
        user,
        method=third_party_method(third_party_id),
        recipe_user_id=recipe_user_id,
        tenant_id=tenant_id,
        scope=scope,
        email=email,
        third_party_id=third_party_id,
    )


@recipe.api("sign_in_up_post", SIGN_IN_FAILED)
@recipe.function("sign_in_up", SIGN_IN_FAILED, outside_api=True)
def sign_in_failed(
    reason: SignInFailure, third_party_id: str, tenant_id: str, email: str | None, error_code: str | None
) -> Fact:
    """From the API function: before it calls the recipe function, it asks the provider and the linking rules."""
    data = UserSignInFailed(
        method=third_party_method(third_party_id),
        reason=reason,
        third_party_id=third_party_id,
        email=email,
        error_code=error_code,
    )
    return Fact(data, tenant_id=tenant_id)


@recipe.api("authorisation_url_get", ok("AuthorisationUrlGetOkResult"))
def login_started(third_party_id: str, tenant_id: str | None) -> Fact:
    data = OAuthLoginStarted(method=third_party_method(third_party_id), third_party_id=third_party_id)
    return Fact(data, tenant_id=tenant_id)


async def _account(
    tenant_id: str, third_party_id: str, third_party_user_id: str, user_context: dict[str, Any]
) -> tuple[Any, Any]:
    """The user with this third-party account, and the login method that is it."""
    for user in await reads.users_by_third_party(tenant_id, third_party_id, third_party_user_id, user_context):
        for method in user.login_methods:
            if method.third_party and (method.third_party.id, method.third_party.user_id) == (
                third_party_id,
                third_party_user_id,
            ):
                return user, method
    return None, None
