"""Signatures of Standard Webhooks: keys, and the header made with them."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["HmacKey", "Key", "key_from", "signature_header"]

_PREFIX = "whsec_"
_LENGTHS = range(24, 65)
_EXPECTED = f"expected '{_PREFIX}' and the base64 of 24 to 64 bytes"


class Key(Protocol):
    """Signs in one version of the scheme."""

    def sign(self, content: bytes) -> str:
        """``version,base64`` over ``content``."""


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A ``v1`` key: HMAC-SHA256 with a secret of 24 to 64 bytes."""

    secret: bytes = field(repr=False)

    def sign(self, content: bytes) -> str:
        """``v1,`` and the base64 of the HMAC."""
        return "v1," + base64.b64encode(hmac.digest(self.secret, content, "sha256")).decode("ascii")


def key_from(text: str) -> Key:
    """The key that ``text``, such as ``whsec_…``, says. Raises ``ValueError``, which never repeats it."""
    if not text.startswith(_PREFIX):
        raise ValueError(f"{_EXPECTED}, got no '{_PREFIX}' in front")
    try:
        secret = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"{_EXPECTED}, got what is not base64") from None
    if len(secret) not in _LENGTHS:
        raise ValueError(f"{_EXPECTED}, got {len(secret)} bytes")
    return HmacKey(secret)


def signature_header(keys: Iterable[Key], event_id: str, timestamp: int, body: bytes) -> str:
    """``webhook-signature``: one signature per key over ``{event_id}.{timestamp}.{body}``, divided by spaces.

    ``timestamp`` is the attempt's, in seconds since the epoch. A receiver accepts any one of the signatures, which is
    how secrets are rotated (Standard Webhooks, "Signature scheme").
    """
    content = f"{event_id}.{timestamp}.".encode() + body
    return " ".join(key.sign(content) for key in keys)
