"""What a receiver answers to a request that it refuses: enough for an honest sender, nothing for a forger."""

from __future__ import annotations

from supertokens_events.log import get_logger
from supertokens_events_webhook.receiver.errors import WebhookVerificationError

__all__ = ["MAX_BODY", "REFUSED", "TOO_LARGE", "log_refusal", "too_large"]

log = get_logger("supertokens_events_webhook.receiver")

MAX_BODY = 1024 * 1024
"""Bytes. An event is a few kilobytes; a body is bounded before it is read."""

REFUSED = "The webhook could not be verified."
TOO_LARGE = "The body is too large."


def log_refusal(error: WebhookVerificationError) -> None:
    """The reason is for the receiver's own log only."""
    log.warning("A webhook was refused.", reason=str(error.reason), why=str(error))


def too_large(length: object, most: int) -> bool:
    """Whether a ``Content-Length`` says more than ``most``; what cannot be read says nothing."""
    try:
        return int(str(length)) > most
    except ValueError:
        return False
