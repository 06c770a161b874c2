"""Signatures of Standard Webhooks: the keys that make them, what verifies them, and the header that carries them.

``whsec_`` is a secret that both sides have (``v1``, HMAC-SHA256). ``whsk_`` stays with the sender and ``whpk_``, which is
public, goes to the receiver (``v1a``, ed25519); ``cryptography`` is loaded with the first of those.
"""

from __future__ import annotations

from supertokens_events_webhook.signing.encoding import InvalidKey
from supertokens_events_webhook.signing.header import is_signed, signature_header
from supertokens_events_webhook.signing.keys import Key, Verifier, key_from, new_key_pair, new_secret, verifier_from
from supertokens_events_webhook.signing.v1 import HmacKey
from supertokens_events_webhook.signing.v1a import Ed25519Key, Ed25519PublicKey

__all__ = [
    "Ed25519Key",
    "Ed25519PublicKey",
    "HmacKey",
    "InvalidKey",
    "Key",
    "Verifier",
    "is_signed",
    "key_from",
    "new_key_pair",
    "new_secret",
    "signature_header",
    "verifier_from",
]
