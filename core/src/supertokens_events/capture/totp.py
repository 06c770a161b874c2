"""What happens in the recipe ``totp``. Secrets and codes are never taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.capture.recipe import Fact, Outcome, Recipe, failure, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.mfa import (
    MfaChallengeFailed,
    MfaChallengeFailure,
    MfaChallengePassed,
    MfaEnrolled,
    MfaEnrollmentFailed,
    MfaEnrollmentFailure,
    MfaTotpDeviceCreated,
    MfaTotpDeviceRemoved,
    MfaTotpDeviceRenamed,
)

recipe = Recipe("totp")
recipe.frame("create_device_post", "remove_device_post", "verify_device_post", "verify_totp_post")
recipe.ignore("list_devices", "list_devices_get", "get_user_identifier_info_for_user_id", because="a read")

FACTOR = "totp"


@recipe.derive("device_name")
def device_name(arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> str:
    """The core makes one up for a device that was given none."""
    return str(arguments["device_name"] or outcome.value.device_name)


@recipe.function("create_device", ok("CreateDeviceOkResult"))
def device_created(user_id: str, device_name: str, scope: Scope) -> Fact:
    """Not yet a factor: the user has to show that it works."""
    return Fact(MfaTotpDeviceCreated(device_name=device_name), user_id=user_id, tenant_id=_tenant(scope))


@recipe.function("update_device", ok("UpdateDeviceOkResult"))
def device_renamed(user_id: str, existing_device_name: str, new_device_name: str, scope: Scope) -> Fact | None:
    if new_device_name == existing_device_name:
        return None
    data = MfaTotpDeviceRenamed(device_name=new_device_name, previous_device_name=existing_device_name)
    return Fact(data, user_id=user_id, tenant_id=_tenant(scope))


@recipe.function("remove_device", ok("RemoveDeviceOkResult"))
def device_removed(user_id: str, device_name: str, did_device_exist: bool, scope: Scope) -> Fact | None:
    if not did_device_exist:
        return None
    return Fact(MfaTotpDeviceRemoved(device_name=device_name), user_id=user_id, tenant_id=_tenant(scope))


@recipe.function("verify_device", ok("VerifyDeviceOkResult"))
def enrolled(user_id: str, device_name: str, was_already_verified: bool, tenant_id: str) -> Fact | None:
    if was_already_verified:
        return None
    return Fact(MfaEnrolled(factor_id=FACTOR, device_name=device_name), user_id=user_id, tenant_id=tenant_id)


@recipe.function(
    "verify_device",
    failure(
        {
            "InvalidTOTPError": MfaEnrollmentFailure.INVALID_CODE,
            "LimitReachedError": MfaEnrollmentFailure.LIMIT_REACHED,
            "UnknownDeviceError": MfaEnrollmentFailure.NO_DEVICE,
        },
        ok=["VerifyDeviceOkResult"],
        other=MfaEnrollmentFailure.OTHER,
        error=MfaEnrollmentFailure.ERROR,
    ),
)
def enrollment_failed(
    *,
    reason: MfaEnrollmentFailure,
    user_id: str,
    device_name: str,
    tenant_id: str,
    current_number_of_failed_attempts: int | None = None,
    max_number_of_failed_attempts: int | None = None,
    retry_after_ms: int | None = None,
) -> Fact:
    data = MfaEnrollmentFailed(
        factor_id=FACTOR,
        reason=reason,
        device_name=device_name,
        failed_attempts=current_number_of_failed_attempts,
        max_attempts=max_number_of_failed_attempts,
        retry_after_ms=retry_after_ms,
    )
    return Fact(data, user_id=user_id, tenant_id=tenant_id)


@recipe.function("verify_totp", ok("VerifyTOTPOkResult"), outside_api=True)
def challenge_passed(user_id: str, tenant_id: str) -> Fact:
    return Fact(MfaChallengePassed(factor_id=FACTOR), user_id=user_id, tenant_id=tenant_id)


@recipe.function(
    "verify_totp",
    failure(
        {
            "InvalidTOTPError": MfaChallengeFailure.INVALID_CODE,
            "LimitReachedError": MfaChallengeFailure.LIMIT_REACHED,
            "UnknownUserIdError": MfaChallengeFailure.NO_DEVICE,
        },
        ok=["VerifyTOTPOkResult"],
        other=MfaChallengeFailure.OTHER,
        error=MfaChallengeFailure.ERROR,
    ),
)
def challenge_failed(
    *,
    reason: MfaChallengeFailure,
    user_id: str,
    tenant_id: str,
    current_number_of_failed_attempts: int | None = None,
    max_number_of_failed_attempts: int | None = None,
    retry_after_ms: int | None = None,
) -> Fact:
    data = MfaChallengeFailed(
        factor_id=FACTOR,
        reason=reason,
        failed_attempts=current_number_of_failed_attempts,
        max_attempts=max_number_of_failed_attempts,
        retry_after_ms=retry_after_ms,
    )
    return Fact(data, user_id=user_id, tenant_id=tenant_id)


def _tenant(scope: Scope) -> str | None:
    """Devices are in no tenant; who has a session is."""
    return scope.session.tenant_id if scope.session else None
