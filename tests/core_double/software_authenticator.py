"""A passkey in software: what a browser's ``navigator.credentials`` would answer, for tests and the demo."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from core_double import cbor
from core_double.authenticator_data import EDDSA, ES256, HAS_CREDENTIAL, RS256, USER_PRESENT, USER_VERIFIED

Json = dict[str, Any]


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


class SoftwareAuthenticator:
    """One passkey for one relying party, seen from ``origin``."""

    def __init__(self, relying_party_id: str, origin: str, algorithm: int = ES256) -> None:
        self.relying_party_id = relying_party_id
        self.origin = origin
        self.algorithm = algorithm
        self.credential_id = secrets.token_bytes(32)
        self.sign_count = 0
        self._key: Any = _KEYS[algorithm]()

    def register(self, challenge: str) -> Json:
        """The credential for the ``challenge`` of registration options."""
        described = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + self._public_key()
        data = self._data(USER_PRESENT | USER_VERIFIED | HAS_CREDENTIAL) + described
        attestation = cbor.encode({"fmt": "none", "attStmt": {}, "authData": data})
        client_data = _base64url(self._client_data("webauthn.create", challenge))
        answer = {
            "clientDataJSON": client_data,
            "attestationObject": _base64url(attestation),
            "transports": ["internal"],
        }
        return self._credential(answer)

    def sign_in(self, challenge: str) -> Json:
        """The credential for the ``challenge`` of sign-in options."""
        self.sign_count += 1
        data = self._data(USER_PRESENT | USER_VERIFIED)
        client_data = self._client_data("webauthn.get", challenge)
        signature = self._sign(data + hashlib.sha256(client_data).digest())
        answer = {
            "clientDataJSON": _base64url(client_data),
            "authenticatorData": _base64url(data),
            "signature": _base64url(signature),
            "userHandle": None,
        }
        return self._credential(answer)

    def _credential(self, response: Json) -> Json:
        key = _base64url(self.credential_id)
        return {
            "id": key,
            "rawId": key,
            "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "type": "public-key",
            "response": response,
        }

    def _data(self, flags: int) -> bytes:
        hashed = hashlib.sha256(self.relying_party_id.encode()).digest()
        return hashed + bytes([flags]) + self.sign_count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> bytes:
        said = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(said).encode()

    def _public_key(self) -> bytes:
        """The COSE_Key (RFC 9053)."""
        public = self._key.public_key()
        if self.algorithm == ES256:
            point = public.public_numbers()
            return cbor.encode(
                {1: 2, 3: ES256, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}
            )
        if self.algorithm == RS256:
            numbers = public.public_numbers()
            return cbor.encode({1: 3, 3: RS256, -1: numbers.n.to_bytes(256, "big"), -2: numbers.e.to_bytes(3, "big")})
        return cbor.encode({1: 1, 3: EDDSA, -1: 6, -2: public.public_bytes_raw()})

    def _sign(self, signed: bytes) -> bytes:
        if self.algorithm == ES256:
            return bytes(self._key.sign(signed, ec.ECDSA(hashes.SHA256())))
        if self.algorithm == RS256:
            return bytes(self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
        return bytes(self._key.sign(signed))


_KEYS: dict[int, Any] = {
    ES256: lambda: ec.generate_private_key(ec.SECP256R1()),
    EDDSA: ed25519.Ed25519PrivateKey.generate,
    RS256: lambda: rsa.generate_private_key(65537, 2048),
}
