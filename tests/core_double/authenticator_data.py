"""What an authenticator signs, taken apart and verified (WebAuthn level 2, sections 6.1, 7.1 and 7.2)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from core_double import cbor
from core_double.state import WebauthnOptions

ES256, EDDSA, RS256 = -7, -8, -257
USER_PRESENT, USER_VERIFIED, HAS_CREDENTIAL = 0x01, 0x04, 0x40


class Malformed(ValueError):
    """A credential that cannot be read."""


class Refused(ValueError):
    """A credential that can be read and is not right; the message says why."""


@dataclass(frozen=True, slots=True)
class AuthenticatorData:
    raw: bytes
    relying_party_hash: bytes
    flags: int
    sign_count: int
    credential_id: bytes = b""
    public_key: bytes = b""


def base64url(text: object) -> bytes:
    if not isinstance(text, str):
        raise Malformed("base64url text expected")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise Malformed(str(error)) from None


def parse(raw: bytes) -> AuthenticatorData:
    if len(raw) < 37:
        raise Malformed("authenticator data is too short")
    flags, count = raw[32], int.from_bytes(raw[33:37], "big")
    if not flags & HAS_CREDENTIAL:
        return AuthenticatorData(raw, raw[:32], flags, count)
    end = 55 + int.from_bytes(raw[53:55], "big")
    return AuthenticatorData(raw, raw[:32], flags, count, raw[55:end], raw[end:])


def registered(options: WebauthnOptions, response: dict[str, Any]) -> AuthenticatorData:
    """The credential in a registration; the attestation itself is trusted, as the core trusts it."""
    client_data = base64url(response.get("clientDataJSON"))
    try:
        attestation = cbor.decode(base64url(response.get("attestationObject")))
        data = parse(attestation["authData"])
        if not data.credential_id:
            raise Malformed("no credential in the attestation")
        _public_key(data.public_key)
    except (cbor.CborError, KeyError, TypeError) as error:
        raise Malformed(str(error)) from None
    _check(options, data, client_data, "webauthn.create")
    return data


def asserted(options: WebauthnOptions, response: dict[str, Any], public_key: bytes, sign_count: int) -> int:
    """Verifies a sign-in with a known key; returns the new signature count."""
    client_data = base64url(response.get("clientDataJSON"))
    data = parse(base64url(response.get("authenticatorData")))
    _check(options, data, client_data, "webauthn.get")
    signed = data.raw + hashlib.sha256(client_data).digest()
    try:
        _verify(public_key, base64url(response.get("signature")), signed)
    except InvalidSignature:
        raise Refused("Assertion signature is not valid.") from None
    if (data.sign_count or sign_count) and data.sign_count <= sign_count:
        raise Refused("Malicious counter value is detected. Cloned authenticators exist in parallel.")
    return data.sign_count


def _check(options: WebauthnOptions, data: AuthenticatorData, client_data: bytes, kind: str) -> None:
    try:
        collected = json.loads(client_data)
        said = (collected["type"], collected["challenge"].rstrip("="), collected["origin"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Malformed(str(error)) from None
    if said[0] != kind:
        raise Refused(f"ClientData.type must be {kind!r}, is {said[0]!r}.")
    if said[1] != options.challenge:
        raise Refused("The actual challenge does not match the expected challenge")
    if said[2] != options.origin:
        raise Refused("The collectedClientData origin doesn't match the preconfigured server origin.")
    if data.relying_party_hash != hashlib.sha256(options.relying_party_id.encode()).digest():
        raise Refused("rpIdHash doesn't match the hash of preconfigured rpId.")
    if options.user_presence and not data.flags & USER_PRESENT:
        raise Refused("Verifier is configured to check user present, but UP flag in authenticatorData is not set.")
    if options.user_verification == "required" and not data.flags & USER_VERIFIED:
        raise Refused("Verifier is configured to check user verified, but UV flag in authenticatorData is not set.")


def _public_key(cose: bytes) -> tuple[int, Any]:
    """The algorithm and the key in a COSE_Key (RFC 9053)."""
    key = cbor.decode(cose)
    algorithm = key[3]
    if algorithm == ES256:
        x, y = (int.from_bytes(key[label], "big") for label in (-2, -3))
        return algorithm, ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()
    if algorithm == EDDSA:
        return algorithm, ed25519.Ed25519PublicKey.from_public_bytes(key[-2])
    if algorithm == RS256:
        n, e = (int.from_bytes(key[label], "big") for label in (-1, -2))
        return algorithm, rsa.RSAPublicNumbers(e, n).public_key()
    raise Malformed(f"algorithm {algorithm} is not supported")


def _verify(cose: bytes, signature: bytes, signed: bytes) -> None:
    algorithm, key = _public_key(cose)
    if algorithm == ES256:
        key.verify(signature, signed, ec.ECDSA(hashes.SHA256()))
    elif algorithm == RS256:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    else:
        key.verify(signature, signed)
