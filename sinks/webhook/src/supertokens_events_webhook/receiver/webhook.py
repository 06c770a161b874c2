"""Verifying: is this request from who has our key, is it fresh, and which event is it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from supertokens_events.event import Event
from supertokens_events_webhook.receiver.errors import Reason, WebhookVerificationError
from supertokens_events_webhook.receiver.event import event_from
from supertokens_events_webhook.receiver.headers import Headers, SignedHeaders, signed_headers
from supertokens_events_webhook.signing import Ed25519PublicKey, HmacKey, InvalidKey, Verifier, is_signed, verifier_from

__all__ = ["Message", "Webhook"]


@dataclass(frozen=True, slots=True)
class Message:
    """A request that is verified. ``timestamp`` is that of the attempt, in seconds since the epoch."""

    id: str
    timestamp: int
    body: bytes = field(repr=False)


class Webhook:
    """Verifies requests by one key or several: ``whsec_…``, ``whpk_…``, or ``whsk_…`` for its public half.

    With several, any of them will do, which is how a key is rotated. ``tolerance`` is how far, in seconds, the time of a
    request may lie behind or ahead; ``now`` gives the time in seconds since the epoch. Raises :class:`InvalidKey`, a
    ``ValueError``, for what is no key. Safe to share between threads.
    """

    def __init__(
        self,
        keys: str | Verifier | Iterable[str | Verifier],
        *,
        tolerance: float = 300.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not tolerance >= 0:
            raise ValueError(f"the tolerance is in seconds and not negative, got {tolerance}")
        self._verifiers = _verifiers(keys)
        self._tolerance = tolerance
        self._now = now

    def __repr__(self) -> str:
        versions = ", ".join(verifier.version for verifier in self._verifiers)
        return f"<Webhook {versions}, tolerance {self._tolerance:g} s>"

    def verify(self, headers: Headers, body: bytes | str) -> Event:
        """The event. Raises :class:`WebhookVerificationError`, and nothing else, for anything that is not one of ours.

        ``body`` is what came, before anything parsed it. Fields that this version does not know are left out of the event;
        a type that it does not know comes through. A body in another format, such as CloudEvents, has
        :meth:`authenticate`.
        """
        return event_from(self.authenticate(headers, body))

    def authenticate(self, headers: Headers, body: bytes | str) -> Message:
        """The request, verified and not read: for a body that is not an event as it was stored.

        Raises :class:`WebhookVerificationError`, and nothing else.
        """
        head = signed_headers(headers)
        payload = _bytes(body)
        self._check_time(int(head.timestamp))
        if not is_signed(self._verifiers, head.signature, head.id, head.timestamp, payload):
            raise WebhookVerificationError(Reason.NOT_SIGNED, self._not_signed(head))
        return Message(head.id, int(head.timestamp), payload)

    def _check_time(self, timestamp: int) -> None:
        age = self._now() - timestamp
        if age > self._tolerance:
            sentence = f"The request was signed {age:.0f} s ago; at most {self._tolerance:g} s are tolerated."
            raise WebhookVerificationError(Reason.TOO_OLD, sentence)
        if -age > self._tolerance:
            sentence = f"The request was signed {-age:.0f} s from now, at most {self._tolerance:g} s are tolerated."
            raise WebhookVerificationError(Reason.TOO_NEW, sentence)

    def _not_signed(self, head: SignedHeaders) -> str:
        versions = sorted({verifier.version for verifier in self._verifiers})
        came = {item.partition(",")[0] for item in head.signature.split(" ")}
        if came.isdisjoint(versions):
            return f"The request has no signature in {' or '.join(versions)}, which is what our keys verify."
        return "No signature of the request is by one of our keys: another key, or a body that was changed on its way."


def _verifiers(keys: str | Verifier | Iterable[str | Verifier]) -> tuple[Verifier, ...]:
    listed = list(keys) if isinstance(keys, Iterable) and not isinstance(keys, str) else [keys]
    if not listed:
        raise InvalidKey("expected a key or several, got none")
    return tuple(verifier_from(key) if isinstance(key, str) else _verifier(key) for key in listed)


def _verifier(key: object) -> Verifier:
    if isinstance(key, HmacKey | Ed25519PublicKey):
        return key
    raise InvalidKey(f"expected a key as text, got {type(key).__name__}")


def _bytes(body: object) -> bytes:
    match body:
        case bytes():
            return body
        case bytearray() | memoryview():
            return bytes(body)
        case str():
            try:
                return body.encode()
            except UnicodeEncodeError:
                problem = "is a text that has no bytes"
        case _:
            problem = f"is of type {type(body).__name__}"
    sentence = f"The body {problem}: expected the bytes as they came, before anything parsed them."
    raise WebhookVerificationError(Reason.MALFORMED_BODY, sentence)
