"""The objects that an OCSF event is made of. Each takes out of what is ``left`` of our event what it says; ``None`` is left out.

A user who is not known, as in a failed sign-in, has the e-mail address or phone number that was typed as ``name``, or else
the name ``unknown``: OCSF has no Authentication and no Account Change without a user.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple

__all__ = [
    "actor",
    "auth_factors",
    "auth_protocol",
    "auth_protocol_id",
    "entity",
    "http_request",
    "is_mfa",
    "known",
    "privileges",
    "service",
    "session",
    "source_endpoint",
    "tenant",
    "text",
    "user",
]

Left = dict[str, Any]

UNKNOWN = "unknown"
_USER, _ADMIN, _NOBODY = (
    {"type_id": 1, "type": "User"},
    {"type_id": 2, "type": "Admin"},
    {"type_id": 0, "type": "Unknown"},
)
_EMAIL = re.compile(r"[a-zA-Z0-9!#$%&'*+-/=?^_`{|}~.]+@[a-zA-Z0-9-]+\.[a-zA-Z0-9-.]+")  # OCSF, `email_t`
_HTTP_METHODS = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"})

_OTHER = 99
_SAML, _OAUTH = (5, "SAML"), (6, "OAUTH 2.0")
_FACTORS: Mapping[str, tuple[int, str]] = {  # by our method or factor id
    "emailpassword": (11, "Password"),
    "webauthn": (10, "WebAuthn"),
    "otp-email": (8, "Email"),
    "link-email": (8, "Email"),
    "otp-phone": (1, "SMS"),
    "link-phone": (1, "SMS"),
    "totp": (7, "OTP"),
}


def known(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value is not None and value not in ({}, [])}


def text(where: Left, name: str) -> str | None:
    """A text, taken out of where it is; ``None`` when it is not there, is empty, or is no text, and then it stays."""
    value = where.get(name)
    return where.pop(name) if isinstance(value, str) and value else None


def user(event_type: str, left: Left) -> dict[str, Any]:
    """Whom it is about."""
    data = left["data"]
    email, phone_number = text(data, "email"), text(data, "phone_number")
    user_id, recipe_user_id = text(left, "user_id"), text(data, "recipe_user_id")
    uid = user_id or recipe_user_id
    kind = _ADMIN if event_type.startswith("dashboard.") else _USER if uid else _NOBODY
    return known(
        uid=uid,
        uid_alt=recipe_user_id if recipe_user_id != uid else None,
        name=email or phone_number or (None if uid else UNKNOWN),
        email_addr=_address(email),
        phone_number=phone_number,
        **kind,
    )


def actor(_event_type: str, left: Left) -> dict[str, Any] | None:
    """Who did it, if that is known."""
    who = left.pop("actor")
    match who["type"]:
        case "user":
            uid, handle = who.get("user_id"), who.get("session_handle")
            return known(user=uid and {"uid": uid, **_USER}, session=handle and {"uid": handle})
        case "admin":
            uid, email = who.get("user_id"), who.get("email")
            name = email or (None if uid else UNKNOWN)
            return {"user": known(uid=uid, name=name, email_addr=_address(email), **_ADMIN)}
        case "system":
            return {"app_name": _app(left)}
        case _:
            return None


def source_endpoint(_event_type: str, left: Left) -> dict[str, Any]:
    """Where it came from."""
    context = left["context"]
    return known(ip=text(context, "ip") if _is_address(context.get("ip")) else None)


def http_request(_event_type: str, left: Left) -> dict[str, Any]:
    """The request that did it."""
    context = left["context"]
    method = text(context, "method") if context.get("method") in _HTTP_METHODS else None
    return known(
        http_method=method,
        url=known(path=text(context, "path")),
        user_agent=text(context, "user_agent"),
        uid=text(context, "request_id"),
    )


def session(_event_type: str, left: Left) -> dict[str, Any]:
    """The session that it is about."""
    return known(uid=text(left["data"], "session_handle"))


def service(_event_type: str, left: Left) -> dict[str, Any]:
    """What somebody signed in to: the app, or the client of it that got a token."""
    client = text(left["data"], "client_id")
    return {"uid": client} if client else {"name": _app(left)}


def auth_protocol_id(event_type: str, left: Left) -> int | None:
    """How somebody proved who they are."""
    protocol = _protocol(event_type, left)
    return protocol and protocol[0]


def auth_protocol(event_type: str, left: Left) -> str | None:
    """The same in words; for what OCSF has no number, ours."""
    protocol = _protocol(event_type, left)
    return protocol and protocol[1]


def auth_factors(event_type: str, left: Left) -> list[dict[str, Any]]:
    """What somebody proved it with, if that is one of what OCSF knows."""
    domain, data = event_type.split(".", maxsplit=1)[0], left["data"]
    name = (
        "totp" if event_type.startswith("mfa.totp_device.") else data.get("factor_id") or data.get("method") or domain
    )
    if not (factor := _FACTORS.get(str(name))):
        return []
    return [known(factor_type_id=factor[0], factor_type=factor[1], is_totp=name == "totp" or None)]


def is_mfa(event_type: str, _left: Left) -> bool | None:
    """Whether it is about a further factor."""
    return event_type.startswith("mfa.") or None


def privileges(_event_type: str, left: Left) -> list[str]:
    """The role that somebody got or lost."""
    return [text(left["data"], "role") or UNKNOWN]


def tenant(_event_type: str, left: Left) -> dict[str, Any]:
    """The tenant that somebody came into or left."""
    return {"type": "tenant", **_named(left.get("tenant_id"), None)}


class _Entity(NamedTuple):
    """What the types that begin like this are about, and which of their fields says which one it is."""

    beginning: str
    type: str
    uid: str | None
    name: str | None


_ENTITIES = (
    _Entity("role.", "role", None, "role"),
    _Entity("oauth.client.", "oauth client", "client_id", "client_name"),
    _Entity("saml.client.", "saml client", "client_id", None),
    _Entity("tenant.provider.", "identity provider", "third_party_id", "name"),
)


def entity(event_type: str, left: Left) -> dict[str, Any]:
    """What was made, changed or deleted."""
    for one in _ENTITIES:
        if event_type.startswith(one.beginning):
            uid, name = (field and text(left["data"], field) for field in (one.uid, one.name))
            return {"type": one.type, **_named(uid, name)}
    return tenant(event_type, left)


def _app(left: Left) -> str:
    return left.get("source") or "SuperTokens"


def _named(uid: str | None, name: str | None) -> dict[str, Any]:
    return known(uid=uid, name=name or (None if uid else UNKNOWN))


def _protocol(event_type: str, left: Left) -> tuple[int, str] | None:
    method = left["data"].get("method")
    if method == "saml" or event_type.startswith("saml."):
        return _SAML
    if method == "thirdparty" or event_type.startswith("oauth"):
        return _OAUTH
    return (_OTHER, method) if isinstance(method, str) else None


def _address(email: str | None) -> str | None:
    return email if email and _EMAIL.fullmatch(email) else None


def _is_address(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(ip_address(value))
    except ValueError:
        return False
