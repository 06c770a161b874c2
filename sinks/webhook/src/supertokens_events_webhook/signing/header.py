"""``webhook-signature``: made, and compared (Standard Webhooks, "Signature scheme")."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from supertokens_events_webhook.signing.keys import Key, Verifier

__all__ = ["is_signed", "signature_header"]

_MOST = 32
"""Signatures that are looked at: as many as a sender in the middle of a rotation could have, and so few that a header
full of them costs a receiver nothing.
"""


def signature_header(keys: Iterable[Key], event_id: str, timestamp: int, body: bytes) -> str:
    """``webhook-signature``: one signature per key over ``{event_id}.{timestamp}.{body}``, divided by spaces.

    ``timestamp`` is the attempt's, in seconds since the epoch. A receiver accepts any one of the signatures, which is
    how secrets are rotated.
    """
    content = _content(event_id, str(timestamp), body)
    return " ".join(key.sign(content) for key in keys)


def is_signed(verifiers: Sequence[Verifier], header: str, event_id: str, timestamp: str, body: bytes) -> bool:
    """Whether any signature of ``header`` is one of ``verifiers``' over these; ``timestamp`` as its header says it.

    What is malformed, and every version that no verifier has, is passed over.
    """
    content = _content(event_id, timestamp, body)
    versions = {verifier.version for verifier in verifiers}
    known = [part for part in (item.partition(",") for item in header.split(" ")) if part[0] in versions]
    return any(
        verifier.verifies(content, signature)
        for version, _, signature in known[:_MOST]
        for verifier in verifiers
        if verifier.version == version
    )


def _content(event_id: str, timestamp: str, body: bytes) -> bytes:
    return f"{event_id}.{timestamp}.".encode() + body
