"""A new key in a sink's table, where a program keeps it: what ``webhook rotate`` prints for a person with a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from supertokens_events.sink import Renewed
from supertokens_events_webhook.keys import SigningSecret
from supertokens_events_webhook.signing import new_key_pair, new_secret

__all__ = ["with_new_key"]


def with_new_key(table: Mapping[str, Any], keys: Sequence[SigningSecret], until: datetime | None) -> Renewed:
    """``table`` with a new key in front of those that it has, each as it is written there. They sign until ``until``, or until
    their own end if that is earlier; those that have ended are left out. ``keys`` are the same, read.

    Shown are the secret, or of an ed25519 key, as the first one may be, only the public one.
    """
    text, shown = _new(asymmetric=bool(keys) and keys[0].key.get_secret_value().startswith("whsk_"))
    written = table.get("secret", [])
    listed = written if isinstance(written, list) else [written]
    return Renewed({**table, "secret": [text, *_kept(listed, keys, until)] if keys else text}, shown)


def _new(*, asymmetric: bool) -> tuple[str, dict[str, str]]:
    if asymmetric:
        pair = new_key_pair()
        return pair.to_text(), {"public_key": str(pair.public)}
    secret = new_secret()
    return secret, {"secret": secret}


def _kept(written: Sequence[Any], keys: Sequence[SigningSecret], until: datetime | None) -> Iterator[dict[str, Any]]:
    for entry, key in zip(written, keys, strict=True):
        end = min((moment for moment in (key.until, until) if moment is not None), default=None)
        if end is not None and end > datetime.now(UTC):
            value = entry["key"] if isinstance(entry, Mapping) and "key" in entry else entry
            yield {"key": value, "until": end.astimezone(UTC).isoformat().replace("+00:00", "Z")}
