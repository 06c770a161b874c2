"""``v1a``: ed25519. The sender signs with a secret key; the receiver has a public one, with which nobody can sign."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from supertokens_events_webhook.signing.encoding import InvalidKey, decoded_key, decoded_signature, in_base64

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ed25519

__all__ = ["EXPECTED", "EXPECTED_PUBLIC", "PREFIX", "PUBLIC_PREFIX", "Ed25519Key", "Ed25519PublicKey"]

PREFIX = "whsk_"
PUBLIC_PREFIX = "whpk_"
EXPECTED = f"expected '{PREFIX}' and the base64 of 32 or 64 bytes"
EXPECTED_PUBLIC = f"expected '{PUBLIC_PREFIX}' and the base64 of 32 bytes"
_KEY = 32
_SIGNATURE = 64


@dataclass(frozen=True)
class Ed25519PublicKey:
    """A ``v1a`` public key of 32 bytes: it verifies, and may be shown to anybody."""

    version: ClassVar[str] = "v1a"

    key: bytes = field(repr=False)

    @classmethod
    def from_text(cls, text: str) -> Ed25519PublicKey:
        """From ``whpk_…``. Raises :class:`InvalidKey`."""
        return cls(decoded_key(text, PUBLIC_PREFIX, (_KEY,), EXPECTED_PUBLIC))

    def __str__(self) -> str:
        """``whpk_…``."""
        return PUBLIC_PREFIX + in_base64(self.key)

    def verifies(self, content: bytes, signature: str) -> bool:
        """Whether ``signature``, the part after the comma, is of ``content``."""
        from cryptography.exceptions import InvalidSignature

        decoded = decoded_signature(signature, _SIGNATURE)
        if decoded is None:
            return False
        try:
            self._public.verify(decoded, content)
        except InvalidSignature:
            return False
        return True

    @cached_property
    def _public(self) -> ed25519.Ed25519PublicKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey as Public

        return Public.from_public_bytes(self.key)


@dataclass(frozen=True)
class Ed25519Key:
    """A ``v1a`` secret key: the seed of 32 bytes (RFC 8032, "private key"). It signs."""

    version: ClassVar[str] = "v1a"

    seed: bytes = field(repr=False)

    @classmethod
    def from_text(cls, text: str) -> Ed25519Key:
        """From ``whsk_…``: the seed, or the seed and then the public key (Svix's layout).

        Raises :class:`InvalidKey`, also when the public half is another seed's.
        """
        both = decoded_key(text, PREFIX, (_KEY, 2 * _KEY), EXPECTED)
        key = cls(both[:_KEY])
        if both[_KEY:] and not hmac.compare_digest(both[_KEY:], key.public.key):
            raise InvalidKey(f"{EXPECTED}, got two halves that do not belong together")
        return key

    @cached_property
    def public(self) -> Ed25519PublicKey:
        """The public key that verifies what this one signs."""
        return Ed25519PublicKey(self._private.public_key().public_bytes_raw())

    def to_text(self) -> str:
        """``whsk_…`` in Svix's layout. It is the secret: show it to its owner only."""
        return PREFIX + in_base64(self.seed + self.public.key)

    def sign(self, content: bytes) -> str:
        """``v1a,`` and the base64 of the signature."""
        return f"{self.version},{in_base64(self._private.sign(content))}"

    @cached_property
    def _private(self) -> ed25519.Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey as Private

        return Private.from_private_bytes(self.seed)
