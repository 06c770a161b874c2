"""From the bytes of a request that is verified to the event."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, get_args

from pydantic_core import from_json

from supertokens_events.event import Actor, Event
from supertokens_events_webhook.receiver.errors import Reason, WebhookVerificationError

if TYPE_CHECKING:
    from supertokens_events_webhook.receiver.webhook import Message

__all__ = ["event_from"]

_FIELDS = frozenset(Event.model_fields)
_ACTOR_FIELDS = frozenset(Actor.model_fields)
_ACTOR_TYPES = get_args(Actor.model_fields["type"].annotation)


def event_from(message: Message) -> Event:
    """The event that a body says. One without an ``id`` has that of its header, which is signed too.

    What a newer sender says beside the fields of :class:`Event` is left out. Raises :class:`WebhookVerificationError`.
    """
    document = _document(message.body)
    given = document.setdefault("id", message.id)
    if given != message.id:
        raise _not_an_event("its 'id' is not that of its header")
    missing = [name for name in ("type", "timestamp") if name not in document]
    if missing:
        raise _not_an_event(f"it has no {missing[0]!r}")
    try:
        return Event.model_validate(_known(document))
    except (ValueError, RecursionError) as error:
        raise _not_an_event(_problem(error)) from None


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = from_json(body)
    except (ValueError, RecursionError):
        raise _not_an_event("it is not JSON") from None
    if not isinstance(document, dict):
        raise _not_an_event("it is not a JSON object")
    return document


def _known(document: Mapping[str, Any]) -> dict[str, Any]:
    """What this version knows of it: a receiver must not break because the sender was upgraded first."""
    known = {name: value for name, value in document.items() if name in _FIELDS}
    actor = known.get("actor")
    if isinstance(actor, dict):
        known["actor"] = {name: value for name, value in actor.items() if name in _ACTOR_FIELDS}
        if actor.get("type", "unknown") not in _ACTOR_TYPES:
            known["actor"]["type"] = "unknown"
    return known


def _problem(error: Exception) -> str:
    errors = getattr(error, "errors", None)
    if errors is None:
        return "it cannot be read"
    first = errors(include_url=False, include_input=False, include_context=False)[0]
    return f"its {'.'.join(str(part) for part in first['loc'][:1])!r} is not what it should be"


def _not_an_event(problem: str) -> WebhookVerificationError:
    return WebhookVerificationError(Reason.NOT_AN_EVENT, f"The body is signed but not an event: {problem}.")
