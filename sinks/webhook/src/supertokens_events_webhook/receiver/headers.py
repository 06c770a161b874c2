"""The three headers of a webhook, found in whatever a framework calls headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from supertokens_events_webhook.receiver.errors import Reason, WebhookVerificationError

__all__ = ["Headers", "SignedHeaders", "signed_headers"]

Headers: TypeAlias = (
    Mapping[str, str] | Mapping[bytes, bytes] | Iterable[tuple[str, str]] | Iterable[tuple[bytes, bytes]]
)
"""Names and values: a mapping, or pairs; as text or as bytes; names in any case."""

_PREFIXES = ("webhook", "svix")  # the second is what Svix, and whoever sends with it, says beside the first or instead
_PARTS = ("id", "timestamp", "signature")
_NAMES = frozenset(f"{prefix}-{part}" for prefix in _PREFIXES for part in _PARTS)

# No full stop: with one in an id, `id.timestamp.body` could be cut at other places than the sender did, and a signature
# would hold for another body.
_ID = re.compile(r"[!-\-/-~]{1,255}")
_TIMESTAMP = re.compile(r"[0-9]{1,12}")
_LONGEST = 16384  # characters of signatures; more than any server lets through


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """What the headers say; nothing of it is verified. ``timestamp`` is the text that was signed."""

    id: str
    timestamp: str
    signature: str = field(repr=False)


def signed_headers(headers: Headers) -> SignedHeaders:
    """``webhook-…``, or where those are not complete ``svix-…``. Raises :class:`WebhookVerificationError`."""
    found = _found(headers)
    for prefix in _PREFIXES:
        values = [found.get(f"{prefix}-{part}") for part in _PARTS]
        if all(values):
            return _checked(prefix, *map(str, values))
    prefix = next((prefix for prefix in _PREFIXES if any(name.startswith(prefix) for name in found)), _PREFIXES[0])
    missing = next(name for name in (f"{prefix}-{part}" for part in _PARTS) if not found.get(name))
    raise WebhookVerificationError(Reason.MISSING_HEADER, f"The request has no header '{missing}'.")


def _found(headers: Any) -> dict[str, str]:
    """The headers that matter, by their names in small letters."""
    found: dict[str, str] = {}
    try:
        for key, value in headers.items() if hasattr(headers, "items") else headers:
            name = _text(key).lower()
            if name in _NAMES and found.setdefault(name, _text(value)) != _text(value):
                raise _malformed(f"The header '{name}' is there twice, and says two things.")
    except WebhookVerificationError:
        raise
    except Exception:  # whatever was given, it is no headers
        raise _malformed("The headers are neither a mapping nor pairs of names and values.") from None
    return found


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value).decode("latin-1")  # as HTTP has it; what is not ASCII is refused where it matters
    raise TypeError


def _checked(prefix: str, event_id: str, timestamp: str, signature: str) -> SignedHeaders:
    if not _ID.fullmatch(event_id):
        raise _malformed(f"The header '{prefix}-id' is not an id: expected visible ASCII characters without '.'.")
    if not _TIMESTAMP.fullmatch(timestamp):
        raise _malformed(f"The header '{prefix}-timestamp' is not a time: expected whole seconds since 1970.")
    if len(signature) > _LONGEST:
        raise _malformed(f"The header '{prefix}-signature' is longer than {_LONGEST} characters.")
    return SignedHeaders(event_id, timestamp, signature)


def _malformed(sentence: str) -> WebhookVerificationError:
    return WebhookVerificationError(Reason.MALFORMED_HEADER, sentence)
