"""Security event tokens (RFC 8417): one event as a signed JWT, as receivers of RFC 8935 ("push") take it."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from supertokens_events.sink import SinkSettings
from supertokens_events_webhook.payload import Document, Payload
from supertokens_events_webhook.security_events import security_event

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    PrivateKey = Ed25519PrivateKey | EllipticCurvePrivateKey

__all__ = ["CONTENT_TYPE", "TokenMaker", "TokenSettings", "private_key", "token_key"]

CONTENT_TYPE = "application/secevent+jwt"
_MISSING = "the format 'set' needs an extra: pip install 'supertokens-events-webhook[set]'"
_EXPECTED = "expected 'whsk_…', or a private key in PEM: ed25519, or an elliptic curve key on P-256"
_PREFIX = "whsk_"


def _is_key(key: SecretStr) -> SecretStr:
    private_key(key.get_secret_value())
    return key


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class TokenSettings(SinkSettings):
    """``[sinks.NAME.token]``. ``issuer`` is who we are to the receiver, ``audience`` who the receiver is (one, or a list).

    ``key`` signs (by default the sink's first ``whsk_…``), ``key_id`` is how the receiver finds its public half.
    """

    issuer: str = Field(min_length=1)
    audience: Annotated[tuple[str, ...], BeforeValidator(_listed), Field(min_length=1)]
    key: Annotated[SecretStr, AfterValidator(_is_key)] | None = None
    key_id: str | None = None


def private_key(text: str) -> PrivateKey:
    """The key that ``text`` says. Raises ``ValueError``, which never repeats it."""
    try:
        import jwt  # noqa: F401 - what signs with it must be there
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key
    except ImportError:
        raise ValueError(_MISSING) from None
    try:
        if text.startswith(_PREFIX):
            raw = base64.b64decode(text.removeprefix(_PREFIX), validate=True)
            return Ed25519PrivateKey.from_private_bytes(raw[:32] if len(raw) == 64 else raw)
        key = load_pem_private_key(text.encode(), password=None)
    except (binascii.Error, ValueError, TypeError):  # TypeError: it is encrypted
        raise ValueError(f"{_EXPECTED}, got what cannot be read as one") from None
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, EllipticCurvePrivateKey) and isinstance(key.curve, SECP256R1)
    ):
        return key
    raise ValueError(f"{_EXPECTED}, got another kind of key")


def token_key(settings: TokenSettings, secrets: Sequence[SecretStr]) -> PrivateKey:
    """The key of a sink's tokens. Raises ``ValueError`` when it has none."""
    candidates = [settings.key] if settings.key else [*secrets]
    for secret in candidates:
        if settings.key or secret.get_secret_value().startswith(_PREFIX):
            return private_key(secret.get_secret_value())
    raise ValueError("needs a key to sign tokens with: token.key, or a 'whsk_…' among the keys of secret")


class TokenMaker:
    """Makes tokens by ``settings``, signed with ``key`` (EdDSA or ES256). ``now`` gives seconds since the epoch."""

    def __init__(self, settings: TokenSettings, key: PrivateKey, *, now: Callable[[], float]) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        self._settings = settings
        self._key = key
        self._algorithm = "EdDSA" if isinstance(key, Ed25519PrivateKey) else "ES256"
        self._headers = {"typ": "secevent+jwt"} | ({"kid": settings.key_id} if settings.key_id else {})
        self._now = now

    def __call__(self, documents: Sequence[Document]) -> Payload:
        """One event's token. ``jti`` is the event's id, the same at every attempt; ``iat`` is the attempt's time."""
        import jwt

        ((delivery, body),) = documents
        token = jwt.encode(self._claims(json.loads(body)), self._key, self._algorithm, headers=self._headers)
        # RFC 8935, section 2: what the receiver may say about it comes as JSON.
        return Payload(delivery.event_id, CONTENT_TYPE, token.encode("ascii"), {"accept": "application/json"})

    def _claims(self, event: Mapping[str, Any]) -> dict[str, Any]:
        moment = int(datetime.fromisoformat(event["timestamp"]).timestamp())
        uri, claims, subject = security_event(event, moment)
        audience = self._settings.audience
        optional = {"sub_id": subject or self._subject(event), "txn": event.get("correlation_id")}
        return {
            "iss": self._settings.issuer,
            "aud": audience[0] if len(audience) == 1 else list(audience),
            "iat": int(self._now()),
            "jti": event["id"],
            "toe": moment,
            **{name: value for name, value in optional.items() if value},
            "events": {uri: claims},
        }

    def _subject(self, event: Mapping[str, Any]) -> dict[str, Any] | None:
        """Whom it is about (RFC 9493); for one session a complex subject, as the Shared Signals Framework has it."""
        user_id = event.get("user_id")
        if not user_id:
            return None
        user = {"format": "iss_sub", "iss": self._settings.issuer, "sub": user_id}
        session = event["data"].get("session_handle")
        if session is None:
            return user
        return {"format": "complex", "user": user, "session": {"format": "opaque", "id": session}}
