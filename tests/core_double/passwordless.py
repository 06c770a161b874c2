"""One-time codes and magic links.

A device is one attempt to sign in: an e-mail or phone number, the codes sent to it, and how often a code was wrong.
"""

from __future__ import annotations

import base64
import hashlib

from core_double.state import Code, Device, LoginMethod, State
from core_double.users import (
    add_user,
    change_account_info,
    find_method,
    methods_with,
    normalise_email,
    obstacle_to_change,
    user_json,
)
from core_double.wire import OK, CoreError, Json, Request, Routes

CODE_LIFETIME = 15 * 60 * 1000
MAX_ATTEMPTS = 5
RESTART: Json = {"status": "RESTART_FLOW_ERROR"}


def _pre_auth_session_id(device_id: str) -> str:
    digest = hashlib.sha256(base64.b64decode(device_id)).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")


# --- codes --------------------------------------------------------------------------------------------------------


def create_code(core: State, req: Request) -> Json:
    """POST T/recipe/signinup/code: for a new device, or one more for a known one"""
    if req.has("deviceId"):
        device = core.devices.get(_pre_auth_session_id(req.text("deviceId")))
        if device is None or device.tenant_id != req.tenant:
            return RESTART
    else:
        device = _new_device(core, req)
    wanted = req.nullable_text("userInputCode")
    if wanted is not None and any(code.user_input_code == wanted for code in device.codes):
        return {"status": "USER_INPUT_CODE_ALREADY_USED_ERROR"}
    code = Code(
        id=core.secrets.uuid(),
        user_input_code=wanted or core.secrets.user_input_code(),
        link_code=core.secrets.opaque(32).rstrip("="),
        created=core.now(),
    )
    device.codes.append(code)
    return {
        **OK,
        "preAuthSessionId": device.pre_auth_session_id,
        "codeId": code.id,
        "deviceId": device.id,
        "userInputCode": code.user_input_code,
        "linkCode": code.link_code,
        "timeCreated": code.created,
        "codeLifetime": CODE_LIFETIME,
    }


def _new_device(core: State, req: Request) -> Device:
    email, phone_number = req.nullable_text("email"), req.nullable_text("phoneNumber")
    if (email is None) == (phone_number is None):
        raise CoreError("Please provide exactly one of email or phoneNumber")
    device_id = base64.b64encode(core.secrets.bytes(32)).decode()
    normalised = normalise_email(email) if email is not None else None
    device = Device(device_id, _pre_auth_session_id(device_id), req.tenant, normalised, phone_number)
    core.devices[device.pre_auth_session_id] = device
    return device


def list_codes(core: State, req: Request) -> Json:
    """GET T/recipe/signinup/codes"""
    return {**OK, "devices": [_device_json(device) for device in _asked_devices(core, req)]}


def _asked_devices(core: State, req: Request) -> list[Device]:
    here = [device for device in core.devices.values() if device.tenant_id == req.tenant]
    if req.has("deviceId"):
        return [device for device in here if device.id == req.text("deviceId")]
    if req.has("preAuthSessionId"):
        return [device for device in here if device.pre_auth_session_id == req.text("preAuthSessionId")]
    return _devices_of(here, req.maybe_text("email"), req.maybe_text("phoneNumber"))


def _devices_of(devices: list[Device], email: str | None, phone_number: str | None) -> list[Device]:
    if email is not None:
        return [device for device in devices if device.email == normalise_email(email)]
    return [device for device in devices if phone_number is not None and device.phone_number == phone_number]


def _device_json(device: Device) -> Json:
    codes = [{"codeId": code.id, "timeCreated": code.created, "codeLifetime": CODE_LIFETIME} for code in device.codes]
    return {**_consumed_json(device), "codes": codes}


def _consumed_json(device: Device) -> Json:
    result: Json = {
        "preAuthSessionId": device.pre_auth_session_id,
        "failedCodeInputAttemptCount": device.failed_attempts,
    }
    if device.email is not None:
        result["email"] = device.email
    if device.phone_number is not None:
        result["phoneNumber"] = device.phone_number
    return result


def remove_code(core: State, req: Request) -> Json:
    """POST T/recipe/signinup/code/remove; a device goes with its last code"""
    code_id = req.text("codeId")
    for device in list(core.devices.values()):
        device.codes = [code for code in device.codes if code.id != code_id]
        if not device.codes:
            del core.devices[device.pre_auth_session_id]
    return OK


def remove_codes(core: State, req: Request) -> Json:
    """POST T/recipe/signinup/codes/remove: all for an e-mail or phone number"""
    _forget_devices(core, req.tenant, req.nullable_text("email"), req.nullable_text("phoneNumber"))
    return OK


def _forget_devices(core: State, tenant_id: str, email: str | None, phone_number: str | None) -> None:
    here = [device for device in core.devices.values() if device.tenant_id == tenant_id]
    for device in _devices_of(here, email, phone_number):
        del core.devices[device.pre_auth_session_id]


# --- signing in ---------------------------------------------------------------------------------------------------


def _check(core: State, req: Request) -> Device | Json:
    """The device whose code was right, or the refusal; a wrong or expired code typed in counts as an attempt."""
    device = core.devices.get(req.text("preAuthSessionId"))
    if device is None or device.tenant_id != req.tenant:
        return RESTART
    if req.has("linkCode"):
        matching = [code for code in device.codes if code.link_code == req.text("linkCode")]
        return device if matching and not _expired(core, matching[0]) else RESTART
    if device.id != req.text("deviceId"):
        raise CoreError("preAuthSessionId and deviceId doesn't match")
    matching = [code for code in device.codes if code.user_input_code == req.text("userInputCode")]
    if matching and not _expired(core, matching[0]):
        return device
    device.failed_attempts += 1
    if device.failed_attempts >= MAX_ATTEMPTS:
        del core.devices[device.pre_auth_session_id]
        return RESTART
    return {
        "status": "EXPIRED_USER_INPUT_CODE_ERROR" if matching else "INCORRECT_USER_INPUT_CODE_ERROR",
        "failedCodeInputAttemptCount": device.failed_attempts,
        "maximumCodeInputAttempts": MAX_ATTEMPTS,
    }


def _expired(core: State, code: Code) -> bool:
    return code.created + CODE_LIFETIME < core.now()


def check(core: State, req: Request) -> Json:
    """POST T/recipe/signinup/code/check"""
    device = _check(core, req)
    return {**OK, "consumedDevice": _consumed_json(device)} if isinstance(device, Device) else device


def consume(core: State, req: Request) -> Json:
    """POST T/recipe/signinup/code/consume; a right code ends all devices of that e-mail or phone number"""
    device = _check(core, req)
    if not isinstance(device, Device):
        return device
    _forget_devices(core, req.tenant, device.email, device.phone_number)
    info = ("email", device.email) if device.email is not None else ("phone", device.phone_number or "")
    found = [method for method in methods_with(core, info, req.tenant) if method.recipe_id == "passwordless"]
    method = found[0] if found else _sign_up(core, device)
    if device.email is not None:
        core.verified.add((method.id, device.email))
    return {
        **OK,
        "createdNewUser": not found,
        "user": user_json(core, req, core.user_of[method.id]),
        "recipeUserId": core.outer(method.id),
        "consumedDevice": _consumed_json(device),
    }


def _sign_up(core: State, device: Device) -> LoginMethod:
    tenants = [device.tenant_id]
    method = LoginMethod("passwordless", core.secrets.uuid(), core.now(), tenants, device.email, device.phone_number)
    add_user(core, method)
    return method


# --- changing -----------------------------------------------------------------------------------------------------


def update(core: State, req: Request) -> Json:
    """PUT /recipe/user (rid passwordless); null takes the e-mail or phone number away"""
    method = find_method(core, req.text("recipeUserId"), "passwordless")
    if method is None:
        return {"status": "UNKNOWN_USER_ID_ERROR"}
    email = req.nullable_text("email") if req.has("email") else method.email
    phone_number = req.nullable_text("phoneNumber") if req.has("phoneNumber") else method.phone_number
    if email is None and phone_number is None:
        raise CoreError("You cannot clear both email and phone number of a user")
    email = None if email is None else normalise_email(email)
    refusal = _obstacle(core, method, email, phone_number)
    if refusal:
        return refusal
    change_account_info(core, method, email, phone_number)
    return OK


def _obstacle(core: State, method: LoginMethod, email: str | None, phone_number: str | None) -> Json | None:
    """Why the login method may not move to this e-mail or phone number."""
    if email is not None and email != method.email:
        refusal = obstacle_to_change(core, method, ("email", email))
        if refusal:
            return refusal
    if phone_number is not None and phone_number != method.phone_number:
        return obstacle_to_change(core, method, ("phone", phone_number))
    return None


ROUTES: Routes = {
    ("POST", "/recipe/signinup/code"): create_code,
    ("GET", "/recipe/signinup/codes"): list_codes,
    ("POST", "/recipe/signinup/code/check"): check,
    ("POST", "/recipe/signinup/code/consume"): consume,
    ("POST", "/recipe/signinup/code/remove"): remove_code,
    ("POST", "/recipe/signinup/codes/remove"): remove_codes,
}
