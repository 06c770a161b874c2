"""The traits of an identify call: what an event says of its user."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from supertokens_events_segment.fields import Trait

__all__ = ["traits_of"]

_UNSAID: Any = object()  # the event does not say; null says that there is none any more
_VERIFIED = {"email.verified": True, "email.unverified": False}

Json = Mapping[str, Any]


def traits_of(event_type: str, data: Json, timestamp: str | None, allowed: Collection[Trait]) -> dict[str, Any]:
    """Those of the ``allowed`` traits that such an event says. A trait that was taken away is ``None``."""
    said: dict[str, Any] = {}
    for name in allowed:
        if (say := _SAID.get(name)) and (value := say(event_type, data, timestamp)) is not _UNSAID:
            said[name] = value
    return said


def _created_at(event_type: str, _data: Json, timestamp: str | None) -> Any:
    return timestamp if event_type == "user.created" and timestamp else _UNSAID


def _method(event_type: str, data: Json, _timestamp: str | None) -> Any:
    """How they signed up; a later sign-in with another method does not change that."""
    return data.get("method", _UNSAID) if event_type == "user.created" else _UNSAID


def _email(event_type: str, data: Json, _timestamp: str | None) -> Any:
    return data.get("email") if event_type == "user.email.changed" else _unless_absent(data.get("email"))


def _email_verified(event_type: str, data: Json, _timestamp: str | None) -> Any:
    return _VERIFIED.get(event_type, _unless_absent(data.get("email_verified")))


def _phone(event_type: str, data: Json, _timestamp: str | None) -> Any:
    number = data.get("phone_number")
    return number if event_type == "user.phone.changed" else _unless_absent(number)


def _third_party_user_id(_event_type: str, data: Json, _timestamp: str | None) -> Any:
    return _unless_absent(data.get("third_party_user_id"))


def _unless_absent(value: Any) -> Any:
    return _UNSAID if value is None else value


_SAID: Mapping[Trait, Callable[[str, Json, str | None], Any]] = {
    "createdAt": _created_at,
    "email": _email,
    "email_verified": _email_verified,
    "method": _method,
    "phone": _phone,
    "third_party_user_id": _third_party_user_id,
}
