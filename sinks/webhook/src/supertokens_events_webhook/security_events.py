"""Which of our event types is which event of OpenID's CAEP and RISC, and what a receiver of those is told of it.

One of ours is said in their words only where theirs say no more than what happened: a session that was revoked is one
session of the user's, not all of them. Everything else goes out under a URI of ours, with the event as it was stored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

__all__ = ["OWN", "SecurityEvent", "security_event"]

_CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
_RISC = "https://schemas.openid.net/secevent/risc/event-type/"
OWN = "urn:supertokens-events:event-type:"
"""In front of the type's name, for types that have no event there."""

_ENTITIES = frozenset({"user", "admin", "system"})  # CAEP, `initiating_entity`


class SecurityEvent(NamedTuple):
    """The URI of an event, its claims, and whom it is about where that is not simply the user (RFC 9493)."""

    uri: str
    claims: Mapping[str, Any]
    subject: Mapping[str, Any] | None = None


def security_event(event: Mapping[str, Any], moment: int) -> SecurityEvent:
    """What ``event``, a stored event's JSON, is in a security event token; ``moment`` is its time in seconds."""
    say = _SAID.get(event["type"]) if event.get("user_id") else None
    said = say(event) if say else None
    if said is None:
        return SecurityEvent(f"{OWN}{event['type']}", event)
    return said._replace(claims={**said.claims, **_common(event, moment)}) if said.uri.startswith(_CAEP) else said


def _common(event: Mapping[str, Any], moment: int) -> dict[str, Any]:
    """What every CAEP event may say."""
    entity = event.get("actor", {}).get("type")
    return {"event_timestamp": moment} | ({"initiating_entity": entity} if entity in _ENTITIES else {})


Say = Callable[[Mapping[str, Any]], SecurityEvent | None]


def _session_revoked(_event: Mapping[str, Any]) -> SecurityEvent:
    return SecurityEvent(f"{_CAEP}session-revoked", {})


def _credential(change: str, kind: str) -> Say:
    claims = {"change_type": change, "credential_type": kind}
    return lambda _event: SecurityEvent(f"{_CAEP}credential-change", claims)


def _identifier(field: str, format_: str) -> Say:
    """RISC, "Identifier Changed": the subject is the old value, so an event without one is not said like this."""

    def say(event: Mapping[str, Any]) -> SecurityEvent | None:
        before, after = event["data"].get(f"previous_{field}"), event["data"].get(field)
        if before is None:
            return None
        claims = {} if after is None else {"new-value": after}
        return SecurityEvent(f"{_RISC}identifier-changed", claims, {"format": format_, format_: before})

    return say


def _user_deleted(event: Mapping[str, Any]) -> SecurityEvent | None:
    return SecurityEvent(f"{_RISC}account-purged", {}) if event["data"].get("extent") == "user" else None


def _token_theft(_event: Mapping[str, Any]) -> SecurityEvent:
    return SecurityEvent(f"{_RISC}credential-compromise", {"credential_type": "session"})


_SAID: Mapping[str, Say] = {
    "session.revoked": _session_revoked,
    "session.token_theft_detected": _token_theft,
    "password.changed": _credential("update", "password"),
    "password.reset.completed": _credential("update", "password"),
    "webauthn.credential.registered": _credential("create", "passkey"),
    "webauthn.credential.removed": _credential("delete", "passkey"),
    "mfa.totp_device.created": _credential("create", "app"),
    "mfa.totp_device.removed": _credential("delete", "app"),
    "user.email.changed": _identifier("email", "email"),
    "user.phone.changed": _identifier("phone_number", "phone_number"),
    "user.deleted": _user_deleted,
}
