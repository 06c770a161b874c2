"""The keys of ``[server]``: who may come in, and what secrets are encrypted with."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any

from pydantic import AfterValidator, SecretStr

__all__ = ["ApiKey", "EncryptionKey", "listed"]

_SHORTEST = 20  # characters of an API key: nobody tries out all of them
_BYTES = 32


def listed(value: Any) -> Any:
    """One or several as several."""
    return value if isinstance(value, list | tuple) else [value]


def _api_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < _SHORTEST or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            f"expected at least {_SHORTEST} characters of ASCII without spaces, such as 'openssl rand -hex 32' prints"
        )
    return key


def _encryption_key(key: SecretStr) -> SecretStr:
    """Base64 in either of its alphabets becomes the one that Fernet takes."""
    text = key.get_secret_value().translate(str.maketrans("+/", "-_"))
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != _BYTES:
        raise ValueError(f"expected {_BYTES} random bytes in base64, such as 'openssl rand -base64 {_BYTES}' prints")
    return SecretStr(text)


ApiKey = Annotated[SecretStr, AfterValidator(_api_key)]
EncryptionKey = Annotated[SecretStr, AfterValidator(_encryption_key)]
