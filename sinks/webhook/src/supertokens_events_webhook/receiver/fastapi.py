"""FastAPI: a dependency that gives the event::

    @app.post("/hooks/auth", status_code=204)
    async def receive(event: Annotated[Event, Depends(verified(webhook))]) -> None: ...

Starlette's own routes can call it: ``await verified(webhook)(request)``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import HTTPException, Request

from supertokens_events.event import Event
from supertokens_events_webhook.receiver.answers import MAX_BODY, REFUSED, TOO_LARGE, log_refusal, too_large
from supertokens_events_webhook.receiver.errors import WebhookVerificationError
from supertokens_events_webhook.receiver.webhook import Webhook

__all__ = ["verified"]


def verified(webhook: Webhook, *, max_body: int = MAX_BODY) -> Callable[[Request], Awaitable[Event]]:
    """A dependency: the event of the request. Answers 400 when it cannot be verified, 413 when it is too large."""

    async def event_of(request: Request) -> Event:
        body = await _read(request, max_body)
        try:
            return webhook.verify(request.headers.items(), body)
        except WebhookVerificationError as error:
            log_refusal(error)
            raise HTTPException(400, REFUSED) from None

    return event_of


async def _read(request: Request, most: int) -> bytes:
    """The body, as far as it is not too large."""
    if too_large(request.headers.get("content-length"), most):
        raise HTTPException(413, TOO_LARGE)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > most:
            raise HTTPException(413, TOO_LARGE)
    return bytes(body)
