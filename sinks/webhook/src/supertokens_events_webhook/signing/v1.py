"""``v1``: HMAC-SHA256, with a secret that sender and receiver have."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import ClassVar

from supertokens_events_webhook.signing.encoding import decoded_key, in_base64

__all__ = ["EXPECTED", "PREFIX", "HmacKey"]

PREFIX = "whsec_"
EXPECTED = f"expected '{PREFIX}' and the base64 of 24 to 64 bytes"


@dataclass(frozen=True, slots=True)
class HmacKey:
    """A ``v1`` key: a secret of 24 to 64 bytes. It signs, and it verifies."""

    version: ClassVar[str] = "v1"

    secret: bytes = field(repr=False)

    @classmethod
    def from_text(cls, text: str) -> HmacKey:
        """From ``whsec_…``. Raises :class:`InvalidKey`."""
        return cls(decoded_key(text, PREFIX, range(24, 65), EXPECTED))

    def sign(self, content: bytes) -> str:
        """``v1,`` and the base64 of the HMAC."""
        return f"{self.version},{self._mac(content)}"

    def verifies(self, content: bytes, signature: str) -> bool:
        """Whether ``signature``, the part after the comma, is of ``content``. In constant time."""
        return hmac.compare_digest(self._mac(content).encode(), signature.encode("utf-8", "replace"))

    def _mac(self, content: bytes) -> str:
        return in_base64(hmac.digest(self.secret, content, "sha256"))
