"""Authenticator apps: devices, codes (RFC 6238), and a limit on wrong ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
from itertools import takewhile

from core_double.state import State, TotpDevice, UsedTotp
from core_double.wire import OK, Json, Request, Routes

MAX_ATTEMPTS = 5
COOLDOWN = 15 * 60 * 1000


def code_at(secret: str, period: int, seconds: int) -> str:
    """The six digits a device shows at a time."""
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, (seconds // period).to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def _is_right(core: State, device: TotpDevice, code: str) -> bool:
    now = core.now() // 1000
    steps = range(-device.skew, device.skew + 1)
    return any(hmac.compare_digest(code_at(device.secret, device.period, now + n * device.period), code) for n in steps)


# --- codes --------------------------------------------------------------------------------------------------------


def _try(core: State, user_id: str, code: str, devices: list[TotpDevice]) -> Json | None:
    """``None`` when some device shows this code and it was not used before; the refusal otherwise."""
    now, used = core.now(), core.used_totps[user_id]
    failed = len(list(takewhile(lambda attempt: not attempt.was_right, reversed(used[-MAX_ATTEMPTS:]))))
    if failed == MAX_ATTEMPTS:
        wait = used[-1].created + COOLDOWN - now
        if wait > 0:
            return {"status": "LIMIT_REACHED_ERROR", "retryAfterMs": wait, **_counts(failed)}
        failed = 0
    matching = next((device for device in devices if _is_right(core, device, code)), None)
    replayed = any(attempt.was_right and attempt.code == code and attempt.expiry > now for attempt in used)
    if matching and not replayed:
        lifetime = matching.period * (2 * matching.skew + 1) * 1000
        used.append(UsedTotp(code, True, now, now + lifetime))
        return None
    used.append(UsedTotp(code, False, now, now + COOLDOWN))
    return {"status": "INVALID_TOTP_ERROR", **_counts(failed + 1)}


def _counts(failed: int) -> Json:
    return {"currentNumberOfFailedAttempts": failed, "maxNumberOfFailedAttempts": MAX_ATTEMPTS}


def verify_code(core: State, req: Request) -> Json:
    """POST T/recipe/totp/verify, against the verified devices"""
    user_id = req.text("userId")
    devices = core.totp_devices.get(user_id)
    if not devices:
        return {"status": "UNKNOWN_USER_ID_ERROR"}
    verified = [device for device in devices.values() if device.verified]
    return _try(core, user_id, req.text("totp"), verified) or OK


def verify_device(core: State, req: Request) -> Json:
    """POST T/recipe/totp/device/verify"""
    user_id = req.text("userId")
    device = core.totp_devices.get(user_id, {}).get(req.text("deviceName"))
    if device is None:
        return {"status": "UNKNOWN_DEVICE_ERROR"}
    if device.verified:
        return {**OK, "wasAlreadyVerified": True}
    refusal = _try(core, user_id, req.text("totp"), [device])
    if refusal:
        return refusal
    device.verified = True
    return {**OK, "wasAlreadyVerified": False}


# --- devices ------------------------------------------------------------------------------------------------------


def create_device(core: State, req: Request) -> Json:
    """POST /recipe/totp/device; a device that was never verified gives way to one of the same name"""
    devices = core.totp_devices[req.text("userId")]
    name = req.nullable_text("deviceName") or _free_name(devices)
    if name in devices and devices[name].verified:
        return {"status": "DEVICE_ALREADY_EXISTS_ERROR"}
    devices[name] = TotpDevice(name, core.secrets.totp_secret(), req.number("period"), req.number("skew"))
    return {**OK, "deviceName": name, "secret": devices[name].secret}


def _free_name(devices: dict[str, TotpDevice]) -> str:
    verified = {device.name for device in devices.values() if device.verified}
    number = len(verified)
    while f"TOTP Device {number}" in verified:
        number += 1
    return f"TOTP Device {number}"


def rename_device(core: State, req: Request) -> Json:
    """PUT /recipe/totp/device"""
    devices = core.totp_devices.get(req.text("userId"), {})
    old, new = req.text("existingDeviceName"), req.text("newDeviceName")
    if old not in devices:
        return {"status": "UNKNOWN_DEVICE_ERROR"}
    if new in devices and new != old:
        return {"status": "DEVICE_ALREADY_EXISTS_ERROR"}
    device = devices.pop(old)
    device.name = new
    devices[new] = device
    return OK


def list_devices(core: State, req: Request) -> Json:
    """GET /recipe/totp/device/list"""
    devices = core.totp_devices.get(req.text("userId"), {})
    return {**OK, "devices": [_device_json(device) for device in devices.values()]}


def _device_json(device: TotpDevice) -> Json:
    return {"name": device.name, "period": device.period, "skew": device.skew, "verified": device.verified}


def remove_device(core: State, req: Request) -> Json:
    """POST /recipe/totp/device/remove; the count of attempts goes with the last device"""
    user_id = req.text("userId")
    devices = core.totp_devices.get(user_id, {})
    existed = devices.pop(req.text("deviceName"), None) is not None
    if not devices:
        core.used_totps.pop(user_id, None)
    return {**OK, "didDeviceExist": existed}


ROUTES: Routes = {
    ("POST", "/recipe/totp/device"): create_device,
    ("PUT", "/recipe/totp/device"): rename_device,
    ("GET", "/recipe/totp/device/list"): list_devices,
    ("POST", "/recipe/totp/device/remove"): remove_device,
    ("POST", "/recipe/totp/device/verify"): verify_device,
    ("POST", "/recipe/totp/verify"): verify_code,
}
