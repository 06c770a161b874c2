"""Everything the core makes up. A test that replays recorded secrets overrides one method."""

from __future__ import annotations

import base64
import secrets
import uuid


class SecretValues:
    """Random values, as the core makes them."""

    def uuid(self) -> str:
        return str(uuid.uuid4())

    def token(self) -> str:
        """A single-use token (password reset, e-mail verification, account recovery): 128 characters."""
        return secrets.token_hex(64)

    def bytes(self, size: int) -> bytes:
        return secrets.token_bytes(size)

    def opaque(self, size: int) -> str:
        """``size`` random bytes in URL-safe base64 with padding."""
        return base64.urlsafe_b64encode(secrets.token_bytes(size)).decode()

    def user_input_code(self) -> str:
        """A passwordless one-time code: six digits."""
        return f"{secrets.randbelow(10**6):06d}"

    def totp_secret(self) -> str:
        """A TOTP secret: 160 bits in base32."""
        return base64.b32encode(secrets.token_bytes(20)).decode()

    def webauthn_challenge(self) -> str:
        """A WebAuthn challenge: 32 bytes in URL-safe base64 without padding."""
        return self.opaque(32).rstrip("=")
