"""Why a webhook is not believed."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Reason", "WebhookVerificationError"]


class Reason(StrEnum):
    """What is wrong with a request, for programs."""

    MISSING_HEADER = "missing_header"
    """It has no ``webhook-id``, ``webhook-timestamp`` or ``webhook-signature``."""
    MALFORMED_HEADER = "malformed_header"
    """One of them, or all, cannot be what a sender has made."""
    TOO_OLD = "too_old"
    """The time that was signed is too long ago: it may be a copy of an earlier request."""
    TOO_NEW = "too_new"
    """The time that was signed is yet to come: one of the two clocks is wrong."""
    NOT_SIGNED = "not_signed"
    """None of the signatures is one of ours over this request."""
    MALFORMED_BODY = "malformed_body"
    """The body is neither bytes nor a text that can be bytes."""
    NOT_AN_EVENT = "not_an_event"
    """It is signed, and its body is not an event."""


class WebhookVerificationError(Exception):
    """A request is not a webhook of ours. ``reason`` is for programs, the text is a sentence for the receiver's log.

    The text holds no key and no signature, neither the one that came nor the one that was expected. Still, do not send it
    back: whoever forges learns from it.
    """

    def __init__(self, reason: Reason, sentence: str) -> None:
        super().__init__(sentence)
        self.reason = reason

    def __reduce__(self) -> tuple[type[WebhookVerificationError], tuple[Reason, str]]:
        """An exception is made anew from its arguments, on its way out of another process."""
        return type(self), (self.reason, str(self))
