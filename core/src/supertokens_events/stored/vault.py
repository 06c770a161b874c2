"""What is secret and has to be stored: encrypted with a key from the configuration, which is stored nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic import SecretStr

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

__all__ = ["Vault"]


class Vault:
    """Encrypts with the first of ``keys``, decrypts with each of them (Fernet, through ``cryptography``)."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._keys = keys

    @property
    def has_key(self) -> bool:
        """Whether it can encrypt."""
        return bool(self._keys)

    def seal(self, text: str) -> str:
        """``text``, encrypted. Raises ``ValueError`` when that cannot be."""
        return self._fernet.encrypt(text.encode()).decode()

    def open(self, sealed: str) -> str:
        """The text behind ``sealed``. Raises ``ValueError`` with what is missing."""
        from cryptography.fernet import InvalidToken

        if not self._keys:
            raise ValueError("is encrypted, and [server] encryption_key is not set here")
        try:
            return self._fernet.decrypt(sealed).decode()
        except (InvalidToken, ValueError):
            raise ValueError("is encrypted with a key that is not in [server] encryption_key") from None

    def reseal(self, sealed: str) -> str:
        """The same, encrypted with the first key. Raises ``ValueError`` as :meth:`open` does."""
        return self.seal(self.open(sealed))

    @cached_property
    def _fernet(self) -> MultiFernet:
        try:
            from cryptography.fernet import Fernet, MultiFernet
        except ImportError:
            raise ValueError("needs an extra to be encrypted: pip install 'supertokens-events[server]'") from None
        return MultiFernet([Fernet(key.get_secret_value()) for key in self._keys])
