"""Keys from text, and new ones."""

from __future__ import annotations

import os
from typing import Protocol

from supertokens_events_webhook.signing import v1, v1a
from supertokens_events_webhook.signing.encoding import InvalidKey, in_base64
from supertokens_events_webhook.signing.v1 import HmacKey
from supertokens_events_webhook.signing.v1a import Ed25519Key, Ed25519PublicKey

__all__ = ["Key", "Verifier", "key_from", "new_key_pair", "new_secret", "verifier_from"]

_SECRET = 32  # bytes, as many as the hash has


class Key(Protocol):
    """Signs in one version of the scheme."""

    @property
    def version(self) -> str:
        """``v1`` or ``v1a``."""

    def sign(self, content: bytes) -> str:
        """``version,base64`` over ``content``."""


class Verifier(Protocol):
    """Verifies in one version of the scheme."""

    @property
    def version(self) -> str:
        """``v1`` or ``v1a``."""

    def verifies(self, content: bytes, signature: str) -> bool:
        """Whether ``signature``, in base64 without its version, is of ``content``. Raises nothing, whatever it is."""


def key_from(text: str) -> Key:
    """The key that ``text``, ``whsec_…`` or ``whsk_…``, says. Raises :class:`InvalidKey`, which never repeats it."""
    match _prefix(text):
        case v1a.PREFIX:
            return Ed25519Key.from_text(text)
        case v1a.PUBLIC_PREFIX:
            raise InvalidKey(f"{v1a.EXPECTED}, got a public key, which cannot sign")
        case v1.PREFIX:
            return HmacKey.from_text(text)
        case _:
            raise InvalidKey(f"{v1.EXPECTED}, got no '{v1.PREFIX}' and no '{v1a.PREFIX}' in front")


def verifier_from(text: str) -> Verifier:
    """What verifies by ``text``: ``whsec_…``, ``whpk_…``, or ``whsk_…`` for its public half.

    Raises :class:`InvalidKey`, which never repeats it.
    """
    match _prefix(text):
        case v1a.PREFIX:
            return Ed25519Key.from_text(text).public
        case v1a.PUBLIC_PREFIX:
            return Ed25519PublicKey.from_text(text)
        case v1.PREFIX:
            return HmacKey.from_text(text)
        case _:
            raise InvalidKey(f"{v1.EXPECTED}, got no '{v1.PREFIX}' and no '{v1a.PUBLIC_PREFIX}' in front")


def new_secret() -> str:
    """A new ``whsec_…`` of 32 random bytes."""
    return v1.PREFIX + in_base64(os.urandom(_SECRET))


def new_key_pair() -> Ed25519Key:
    """A new key for ``v1a``; its ``public`` is for the receiver."""
    return Ed25519Key(os.urandom(_SECRET))


def _prefix(text: object) -> str:
    if not isinstance(text, str):
        raise InvalidKey(f"{v1.EXPECTED}, got {type(text).__name__} instead of a text")
    return text[: text.find("_") + 1]
