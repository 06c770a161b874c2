"""Django: a decorator that hands the event to the view::

    @verified(webhook)
    def receive(request, event): ...

Views that are classes take it through ``django.utils.decorators.method_decorator``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.views.decorators.csrf import csrf_exempt

from supertokens_events.event import Event
from supertokens_events_webhook.receiver.answers import MAX_BODY, REFUSED, TOO_LARGE, log_refusal, too_large
from supertokens_events_webhook.receiver.errors import WebhookVerificationError
from supertokens_events_webhook.receiver.webhook import Webhook

__all__ = ["verified"]

View = Callable[..., Any]


def verified(webhook: Webhook, *, max_body: int = MAX_BODY) -> Callable[[View], View]:
    """A decorator: the view gets the request, the event, and what the route gives it. The view may be async.

    Answers 400 when the request cannot be verified, 405 when it is no POST, 413 when it is too large. A signature is
    better than a CSRF token, which no sender has: the view is exempt from that.
    """

    def decorator(view: View) -> View:
        if iscoroutinefunction(view):

            @wraps(view)
            async def receive_async(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
                event = _event_of(request, webhook, max_body)
                return event if isinstance(event, HttpResponse) else await view(request, event, *args, **kwargs)

            exempt_async: View = csrf_exempt(receive_async)
            return exempt_async

        @wraps(view)
        def receive(request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
            event = _event_of(request, webhook, max_body)
            return event if isinstance(event, HttpResponse) else view(request, event, *args, **kwargs)

        exempt: View = csrf_exempt(receive)
        return exempt

    return decorator


def _event_of(request: HttpRequest, webhook: Webhook, most: int) -> Event | HttpResponse:
    """The event, or the answer to a request that has none."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if too_large(request.headers.get("content-length"), most):
        return _plain(TOO_LARGE, 413)
    body = request.read(most + 1)
    if len(body) > most:
        return _plain(TOO_LARGE, 413)
    try:
        return webhook.verify(request.headers, body)
    except WebhookVerificationError as error:
        log_refusal(error)
        return _plain(REFUSED, 400)


def _plain(sentence: str, status: int) -> HttpResponse:
    return HttpResponse(sentence, status=status, content_type="text/plain")
