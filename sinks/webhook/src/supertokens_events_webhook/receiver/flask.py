"""Flask: a decorator that hands the event to the view::

    @app.post("/hooks/auth")
    @verified(webhook)
    def receive(event: Event): ...

Other libraries' decorators stand between the two or below.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from flask import abort, current_app, make_response, request

from supertokens_events.event import Event
from supertokens_events_webhook.receiver.answers import MAX_BODY, REFUSED, TOO_LARGE, log_refusal, too_large
from supertokens_events_webhook.receiver.errors import WebhookVerificationError
from supertokens_events_webhook.receiver.webhook import Webhook

__all__ = ["event_of_request", "verified"]

P = ParamSpec("P")


def verified(
    webhook: Webhook, *, max_body: int = MAX_BODY
) -> Callable[[Callable[Concatenate[Event, P], Any]], Callable[P, Any]]:
    """A decorator: the view gets the event first, then what the route gives it. Below ``@app.post``.

    Answers 400 when the request cannot be verified, 413 when it is too large. The view may be async.
    """

    def decorator(view: Callable[Concatenate[Event, P], Any]) -> Callable[P, Any]:
        @wraps(view)
        def receive(*args: P.args, **kwargs: P.kwargs) -> Any:
            event = event_of_request(webhook, max_body=max_body)
            return current_app.ensure_sync(view)(event, *args, **kwargs)

        return receive

    return decorator


def event_of_request(webhook: Webhook, *, max_body: int = MAX_BODY) -> Event:
    """The event of the current request; where a decorator does not fit. Aborts with 400 or 413."""
    body = _read(max_body)
    try:
        return webhook.verify(list(request.headers.items()), body)
    except WebhookVerificationError as error:
        log_refusal(error)
        abort(_plain(REFUSED, 400))


def _read(most: int) -> bytes:
    """The body, as far as it is not too large. What an earlier function has read is read from where Flask keeps it."""
    if too_large(request.content_length, most):
        abort(_plain(TOO_LARGE, 413))
    body: bytes = request.get_data() if request.content_length is not None else request.stream.read(most + 1)
    if len(body) > most:
        abort(_plain(TOO_LARGE, 413))
    return body


def _plain(sentence: str, status: int) -> Any:
    return make_response((sentence, status, {"content-type": "text/plain"}))
