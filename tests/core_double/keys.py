"""The signing keys: one dynamic and one static RSA key a process, because making them costs more than a whole test."""

from __future__ import annotations

import base64
import functools
import time
import uuid
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from core_double.wire import Json

DYNAMIC_KEY_ID = f"d-{int(time.time() * 1000)}"
STATIC_KEY_ID = f"s-{uuid.uuid4()}"


@functools.cache
def private_key(kid: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sign(payload: Json, *, dynamic: bool, **headers: str) -> str:
    """A JWT of ``payload``."""
    kid = DYNAMIC_KEY_ID if dynamic else STATIC_KEY_ID
    return jwt.encode(payload, private_key(kid), algorithm="RS256", headers={"kid": kid, **headers})


def read(token: str) -> Json | None:
    """The payload of a JWT this process signed, expired or not; ``None`` for any other text."""
    checks: Any = {"verify_exp": False, "verify_aud": False, "verify_iat": False, "verify_nbf": False}
    try:
        kid = jwt.get_unverified_header(token).get("kid")
        if kid not in (DYNAMIC_KEY_ID, STATIC_KEY_ID):
            return None
        return jwt.decode(token, private_key(kid).public_key(), algorithms=["RS256"], options=checks)
    except jwt.PyJWTError:
        return None


def jwks() -> Json:
    """The public halves, as GET /.well-known/jwks.json serves it."""
    return {"keys": [_jwk(DYNAMIC_KEY_ID), _jwk(STATIC_KEY_ID)]}


def _jwk(kid: str) -> Json:
    numbers = private_key(kid).public_key().public_numbers()
    return {
        "kty": "RSA",
        "kid": kid,
        "n": _base64url(numbers.n),
        "e": _base64url(numbers.e),
        "alg": "RS256",
        "use": "sig",
    }


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
