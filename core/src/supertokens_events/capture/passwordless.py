"""What happens in the recipe ``passwordless``.

``consume_code`` creates and signs in. The core itself marks the address verified that the code was sent to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.capture.users import login_method, only, refused, signed_in
from supertokens_events.catalog.email import EmailVerified
from supertokens_events.catalog.passwordless import (
    PasswordlessCodeCreated,
    PasswordlessCodeResent,
    PasswordlessCodesRevoked,
)
from supertokens_events.catalog.user import (
    Method,
    PasswordlessFactor,
    SignInFailure,
    UserCreated,
    UserEmailChanged,
    UserPhoneChanged,
    UserSignInFailed,
)

recipe = Recipe("passwordless")
recipe.frame("resend_code_post")
recipe.ignore("check_code", because="the first half of a sign-in, whose API function tells how it ended")
recipe.ignore("email_exists_get", "phone_number_exists_get", because="a read")
recipe.ignore(
    "list_codes_by_device_id",
    "list_codes_by_email",
    "list_codes_by_phone_number",
    "list_codes_by_pre_auth_session_id",
    because="a read",
)

METHOD = Method.PASSWORDLESS
CONSUMED = ok("ConsumeCodeOkResult", "LinkingToSessionUserFailedError")

SIGN_IN_FAILED = refused(
    SignInFailure,
    {
        "ConsumeCodePostIncorrectUserInputCodeError": SignInFailure.INCORRECT_CODE,
        "ConsumeCodeIncorrectUserInputCodeError": SignInFailure.INCORRECT_CODE,
        "ConsumeCodePostExpiredUserInputCodeError": SignInFailure.EXPIRED_CODE,
        "ConsumeCodeExpiredUserInputCodeError": SignInFailure.EXPIRED_CODE,
        "ConsumeCodePostRestartFlowError": SignInFailure.RESTART_FLOW,
        "ConsumeCodeRestartFlowError": SignInFailure.RESTART_FLOW,
        "SignInUpPostNotAllowedResponse": SignInFailure.NOT_ALLOWED,
        "UnauthorisedError": SignInFailure.NOT_ALLOWED,
        "InvalidClaimsError": SignInFailure.NOT_ALLOWED,
    },
    ok=("CreateCodePostOkResult", "ConsumeCodeOkResult", "ConsumeCodePostOkResult"),
)


class Contact(NamedTuple):
    """Where a code was sent: one of the two."""

    email: str | None = None
    phone_number: str | None = None


NOWHERE = Contact()


@recipe.derive("contact")
def contact(arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> Contact:
    """From the code's device, which holds a secret, or from the arguments."""
    device = getattr(outcome.value, "consumed_device", None)
    if device is not None:
        return Contact(device.email, device.phone_number)
    return Contact(arguments.get("email"), arguments.get("phone_number"))


@recipe.derive("by_link")
def by_link(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> bool:
    """Which of the two was used; never what it is."""
    return arguments.get("link_code") is not None


@recipe.derive("by_admin")
def by_admin(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> bool:
    """``signinup()`` and the dashboard make a user by using up a code of their own: nobody signs in."""
    return all(arguments.get(name) is not None for name in ("link_code", "device_id", "user_input_code"))


@recipe.function("create_code", ok("CreateCodeOkResult"))
def code_created(contact: Contact, code_id: str, code_life_time: int, tenant_id: str, scope: Scope) -> Fact:
    data = PasswordlessCodeCreated(
        email=contact.email, phone_number=contact.phone_number, code_id=code_id, code_lifetime_ms=code_life_time
    )
    return Fact(data, user_id=scope.session.user_id if scope.session else None, tenant_id=tenant_id)


@recipe.read_before("create_new_code_for_device", PasswordlessCodeResent, needs=["device_id"])
async def device_before(
    device_id: str, tenant_id: str, user_context: dict[str, Any], scope: Scope
) -> Mapping[str, Any]:
    """Free in the frontend API, which makes the same read with the same ``user_context``. Elsewhere it is left out."""
    if not scope.inside_api("passwordless"):
        return {}
    device = await reads.passwordless_device(tenant_id, device_id, user_context)
    return {"sent_to": Contact(device.email, device.phone_number) if device else NOWHERE}


@recipe.function("create_new_code_for_device", ok("CreateNewCodeForDeviceOkResult"))
def code_resent(code_id: str, code_life_time: int, tenant_id: str, scope: Scope, sent_to: Contact = NOWHERE) -> Fact:
    data = PasswordlessCodeResent(
        email=sent_to.email, phone_number=sent_to.phone_number, code_id=code_id, code_lifetime_ms=code_life_time
    )
    return Fact(data, user_id=scope.session.user_id if scope.session else None, tenant_id=tenant_id)


@recipe.function("revoke_code", ok("RevokeCodeOkResult"))
def code_revoked(code_id: str, tenant_id: str) -> Fact:
    return Fact(PasswordlessCodesRevoked(code_id=code_id), tenant_id=tenant_id)


@recipe.function("revoke_all_codes", ok("RevokeAllCodesOkResult"))
def codes_revoked(contact: Contact, tenant_id: str) -> Fact:
    return Fact(PasswordlessCodesRevoked(email=contact.email, phone_number=contact.phone_number), tenant_id=tenant_id)


@recipe.read_before("consume_code", UserCreated, EmailVerified, needs=["pre_auth_session_id"])
async def account_before(
    pre_auth_session_id: str, tenant_id: str, user_context: dict[str, Any], scope: Scope
) -> Mapping[str, Any]:
    """Free in the frontend API, which makes the same reads with the same ``user_context``. Elsewhere only with a session:
    linking to its user can fail.
    """
    if not scope.inside_api("passwordless") and scope.session is None:
        return {}
    flow = await reads.passwordless_flow(tenant_id, pre_auth_session_id, user_context)
    if flow is None:
        return {}
    sent_to = Contact(flow.email, flow.phone_number)
    user, method = await _account(tenant_id, sent_to, user_context)
    return {"sent_to": sent_to, "was_new": method is None, "user_before": user, "method_before": method}


@recipe.read_after("consume_code", ok("LinkingToSessionUserFailedError"), UserCreated)
async def account_after(
    tenant_id: str, user_context: dict[str, Any], sent_to: Contact = NOWHERE, *, was_new: bool = False
) -> Mapping[str, Any]:
    """When linking to the session's user fails, the core has made the user all the same, and the SDK does not say so."""
    if not was_new:
        return {}
    _, method = await _account(tenant_id, sent_to, user_context)
    return {"created_new_recipe_user": True, "recipe_user_id": method.recipe_user_id.get_as_string()} if method else {}


@recipe.function("consume_code", CONSUMED, first=True)
def user_created(
    *,
    contact: Contact,
    by_link: bool,
    by_admin: bool,
    tenant_id: str,
    created_new_recipe_user: bool = False,
    recipe_user_id: str | None = None,
    sent_to: Contact = NOWHERE,
) -> Fact | None:
    if not created_new_recipe_user or recipe_user_id is None:
        return None
    known = contact if any(contact) else sent_to
    data = UserCreated(
        method=METHOD,
        recipe_user_id=recipe_user_id,
        email=known.email,
        email_verified=known.email is not None,
        phone_number=known.phone_number,
        factor_id=None if by_admin else _factor(known, by_link=by_link),
    )
    return Fact(data, user_id=recipe_user_id, tenant_id=tenant_id, by_subject=not by_admin)


@recipe.function("consume_code", CONSUMED, first=True)
def email_verified(tenant_id: str, user_before: Any = None, method_before: Any = None) -> Fact | None:
    """Of a user who was there before."""
    if method_before is None or method_before.verified or method_before.email is None:
        return None
    recipe_user_id = method_before.recipe_user_id.get_as_string()
    data = EmailVerified(recipe_user_id=recipe_user_id, email=method_before.email, auto=True)
    return Fact(data, user_id=user_before.id, tenant_id=tenant_id, by_subject=True)


@recipe.function("consume_code", ok("ConsumeCodeOkResult"))
def user_signed_in(
    *,
    user: Any,
    recipe_user_id: str,
    created_new_recipe_user: bool,
    contact: Contact,
    by_link: bool,
    by_admin: bool,
    tenant_id: str,
    scope: Scope,
) -> Fact | None:
    if created_new_recipe_user or by_admin:
        return None
    return signed_in(
        user,
        method=METHOD,
        recipe_user_id=recipe_user_id,
        tenant_id=tenant_id,
        scope=scope,
        email=contact.email,
        phone_number=contact.phone_number,
        factor_id=_factor(contact, by_link=by_link),
    )


@recipe.read_before("consume_code_post", UserSignInFailed, needs=["pre_auth_session_id"])
async def sign_in_before(pre_auth_session_id: str, tenant_id: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """Whose sign-in it is that may fail. Free: the SDK begins with the same read."""
    flow = await reads.passwordless_flow(tenant_id, pre_auth_session_id, user_context)
    return {"sent_to": Contact(flow.email, flow.phone_number) if flow else NOWHERE}


@recipe.api("create_code_post", SIGN_IN_FAILED)
@recipe.api("consume_code_post", SIGN_IN_FAILED)
@recipe.function("consume_code", SIGN_IN_FAILED, outside_api=True)
def sign_in_failed(
    *,
    reason: SignInFailure,
    contact: Contact,
    by_link: bool,
    error_code: str | None,
    tenant_id: str,
    failed_code_input_attempt_count: int | None = None,
    maximum_code_input_attempts: int | None = None,
    sent_to: Contact = NOWHERE,
) -> Fact:
    """From the API function: when the flow is over, or linking is not allowed, the recipe function is never called."""
    known = contact if any(contact) else sent_to
    data = UserSignInFailed(
        method=METHOD,
        reason=reason,
        email=known.email,
        phone_number=known.phone_number,
        factor_id=_factor(sent_to, by_link=by_link),
        error_code=error_code,
        failed_attempts=failed_code_input_attempt_count,
        max_attempts=maximum_code_input_attempts,
    )
    return Fact(data, tenant_id=tenant_id)


@recipe.read_before("update_user", UserEmailChanged, UserPhoneChanged)
@recipe.read_before("delete_email_for_user", UserEmailChanged)
@recipe.read_before("delete_phone_number_for_user", UserPhoneChanged)
async def user_before(recipe_user_id: str, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """What it was. Free for an update of the e-mail, before which the SDK makes the same read."""
    return {"user_before": await reads.user(recipe_user_id, user_context)}


@recipe.function("update_user", ok("UpdateUserOkResult"))
def contact_changed(recipe_user_id: str, contact: Contact, user_before: Any = None) -> Iterator[Fact]:
    method = login_method(user_before, recipe_user_id)
    if method is None:
        return
    if contact.email and not method.has_same_email_as(contact.email):
        yield _email_changed(user_before, method, contact.email)
    if contact.phone_number and not method.has_same_phone_number_as(contact.phone_number):
        yield _phone_changed(user_before, method, contact.phone_number)


@recipe.function("delete_email_for_user", ok("UpdateUserOkResult"))
def email_taken_away(recipe_user_id: str, user_before: Any = None) -> Fact | None:
    method = login_method(user_before, recipe_user_id)
    return _email_changed(user_before, method, None) if method and method.email else None


@recipe.function("delete_phone_number_for_user", ok("UpdateUserOkResult"))
def phone_number_taken_away(recipe_user_id: str, user_before: Any = None) -> Fact | None:
    method = login_method(user_before, recipe_user_id)
    return _phone_changed(user_before, method, None) if method and method.phone_number else None


def _email_changed(user: Any, method: Any, email: str | None) -> Fact:
    recipe_user_id = method.recipe_user_id.get_as_string()
    data = UserEmailChanged(method=METHOD, recipe_user_id=recipe_user_id, email=email, previous_email=method.email)
    return Fact(data, user_id=user.id, tenant_id=only(method.tenant_ids))


def _phone_changed(user: Any, method: Any, phone_number: str | None) -> Fact:
    data = UserPhoneChanged(
        method=METHOD,
        recipe_user_id=method.recipe_user_id.get_as_string(),
        phone_number=phone_number,
        previous_phone_number=method.phone_number,
    )
    return Fact(data, user_id=user.id, tenant_id=only(method.tenant_ids))


def _factor(sent_to: Contact, *, by_link: bool) -> PasswordlessFactor | None:
    if sent_to.email is not None:
        return PasswordlessFactor.LINK_EMAIL if by_link else PasswordlessFactor.OTP_EMAIL
    if sent_to.phone_number is not None:
        return PasswordlessFactor.LINK_PHONE if by_link else PasswordlessFactor.OTP_PHONE
    return None


async def _account(tenant_id: str, sent_to: Contact, user_context: dict[str, Any]) -> tuple[Any, Any]:
    """The user whom a code for this address signs in, and the login method that it is for."""
    for user in await reads.users_by_contact(tenant_id, *sent_to, user_context):
        for method in user.login_methods:
            if method.recipe_id == "passwordless" and (
                method.has_same_email_as(sent_to.email) or method.has_same_phone_number_as(sent_to.phone_number)
            ):
                return user, method
    return None, None
