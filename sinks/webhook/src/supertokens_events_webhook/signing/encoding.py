"""Keys and signatures as text: a prefix and base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Container

__all__ = ["InvalidKey", "decoded_key", "decoded_signature", "in_base64"]


class InvalidKey(ValueError):
    """A text is no key. The sentence says what is expected and what is wrong, and never repeats the text."""


def in_base64(value: bytes) -> str:
    """``value`` in base64, padded."""
    return base64.b64encode(value).decode("ascii")


def decoded_key(text: str, prefix: str, sizes: Container[int], expected: str) -> bytes:
    """The bytes of a key that begins with ``prefix``. Raises :class:`InvalidKey`, beginning with ``expected``."""
    try:
        key = base64.b64decode(text.removeprefix(prefix), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidKey(f"{expected}, got what is not base64") from None
    if len(key) not in sizes:
        raise InvalidKey(f"{expected}, got {len(key)} bytes")
    return key


def decoded_signature(text: str, size: int) -> bytes | None:
    """``size`` bytes from the one base64 that says them; ``None`` for any other text."""
    try:
        signature = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    # base64 has several spellings of the same bytes: whoever changes a bit of the text has not signed.
    return signature if len(signature) == size and in_base64(signature) == text else None
