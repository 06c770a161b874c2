"""The keys of a sink, each with the time until which it signs: how a key is replaced without a pause."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    WithJsonSchema,
)

from supertokens_events_webhook.signing import Key, key_from

__all__ = ["KeyRing", "Secrets", "SigningSecret", "doubts"]

SOON = timedelta(days=7)
_PASSWORD = {"type": "string", "format": "password"}
_ENTRY = {
    "anyOf": [
        _PASSWORD,
        {
            "type": "object",
            "properties": {"key": _PASSWORD, "until": {"type": "string", "format": "date-time"}},
            "required": ["key"],
            "additionalProperties": False,
        },
    ]
}


def _checked(secret: SecretStr) -> SecretStr:
    key_from(secret.get_secret_value())
    return secret


class SigningSecret(BaseModel):
    """``whsec_…`` or ``whsk_…``, and until when events are signed with it; ``None``: for good."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    key: Annotated[SecretStr, AfterValidator(_checked)]
    until: AwareDatetime | None = None


def _entries(value: Any) -> Any:
    """One entry or a list of them, each a text or a table."""
    listed = value if isinstance(value, list | tuple) else [value]
    return [entry if isinstance(entry, dict | SigningSecret) else _alone(entry) for entry in listed]


def _alone(text: Any) -> SigningSecret:
    """A key that stands for itself: what is wrong with it is said at ``secret``, and no part of it."""
    if not isinstance(text, str | SecretStr):
        raise ValueError('expected a key, or a table such as { key = "whsec_…", until = 2026-12-01T00:00:00Z }')  # noqa: TRY004
    secret = text if isinstance(text, SecretStr) else SecretStr(text)
    return SigningSecret(key=_checked(secret))


def _one_for_good(secrets: tuple[SigningSecret, ...]) -> tuple[SigningSecret, ...]:
    if all(secret.until is not None for secret in secrets):
        raise ValueError("one key needs no 'until': nothing could be signed after the last of them")
    return secrets


Secrets = Annotated[
    tuple[SigningSecret, ...],
    BeforeValidator(_entries),
    Field(min_length=1),
    AfterValidator(_one_for_good),
    WithJsonSchema({"anyOf": [_PASSWORD, {"type": "array", "items": _ENTRY, "minItems": 1}]}),
]
"""``secret`` in TOML: a key, a table with ``key`` and ``until``, or a list of such."""


class KeyRing:
    """The keys to sign with at a moment."""

    def __init__(self, secrets: Sequence[SigningSecret]) -> None:
        self._keys = [(key_from(secret.key.get_secret_value()), _seconds(secret.until)) for secret in secrets]
        self._all = [key for key, _ in self._keys]
        self._first_end = min((end for _, end in self._keys if end is not None), default=None)

    def at(self, now: float) -> Sequence[Key]:
        """Those that have not ended at ``now`` (seconds since the epoch), in the order of the settings."""
        if self._first_end is None or now < self._first_end:
            return self._all
        return [key for key, end in self._keys if end is None or now < end]


def doubts(secrets: Sequence[SigningSecret], now: float) -> Iterator[str]:
    """Which keys have ended, and which end within a week; the number of a key is its place in the list."""
    for number, secret in enumerate(secrets, 1):
        if secret.until is None:
            continue
        until = secret.until.astimezone(UTC).isoformat().replace("+00:00", "Z")
        left = secret.until - datetime.fromtimestamp(now, UTC)
        if left <= timedelta(0):
            yield f"secret: key {number} has ended at {until}, events are not signed with it any more: take it out"
        elif left <= SOON:
            yield f"secret: key {number} ends at {until}: does the receiver have another one by then?"


def _seconds(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()
