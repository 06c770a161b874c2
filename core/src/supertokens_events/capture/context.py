"""Who did it and where it came from: an event's ``actor`` and ``context``, read from the request at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from supertokens_events.capture.address import Network, client_address
from supertokens_events.capture.recipe import Fact
from supertokens_events.capture.scope import Scope, current_request
from supertokens_events.event import Actor, Context

__all__ = ["actor_of", "context_of"]


def actor_of(fact: Fact, scope: Scope) -> Actor:
    """As the fact says; at the dashboard the ``admin``; the session's user, else in a user's own API request that user,
    else ``unknown``; outside of any API function the ``system``.
    """
    actor = fact.actor or scope.admin
    if actor is not None:
        return actor
    session = scope.session
    if session is not None:
        return Actor(type="user", user_id=session.user_id, session_handle=session.session_handle)
    if not scope.inside_api():
        return Actor(type="system")
    if fact.by_subject and fact.user_id:
        return Actor(type="user", user_id=fact.user_id, session_handle=getattr(fact.data, "session_handle", None))
    return Actor()


def context_of(request: Any, trusted_proxies: Sequence[Network] = ()) -> Context:
    """What may be told of a request. Its headers ``authorization`` and ``cookie``, its query and its body are never
    read.
    """
    return Context(
        ip=client_address(
            _peer(getattr(request, "request", None)), _header(request, "x-forwarded-for"), trusted_proxies
        ),
        user_agent=_header(request, "user-agent"),
        method=_text(_call(request, "method")),
        path=_path(request),
        request_id=_header(request, "x-request-id"),
        origin=_header(request, "origin"),
    )


def current_context(trusted_proxies: Sequence[Network] = ()) -> Context:
    """Of the request being worked on, or empty."""
    scope = current_request()
    if scope is None:
        return Context()
    if scope.context is None:
        scope.context = context_of(scope.request, trusted_proxies)
    return scope.context


def _peer(request: Any) -> str | None:
    """The peer's address, as FastAPI, Flask and Django give it."""
    client = getattr(request, "client", None)
    meta = getattr(request, "META", None)
    return (
        _text(getattr(client, "host", None))
        or _text(getattr(request, "remote_addr", None))
        or _text(meta.get("REMOTE_ADDR") if isinstance(meta, dict) else None)
    )


def _path(request: Any) -> str | None:
    """Under Flask the SDK gives the whole URL; the query is cut off everywhere: it can hold a token."""
    path = _text(_call(request, "get_path"))
    return urlsplit(path).path if path else None


def _header(request: Any, name: str) -> str | None:
    return _text(_call(request, "get_header", name))


def _call(request: Any, method: str, *arguments: str) -> Any:
    """The request may be a stand-in without this method, or one that is over."""
    try:
        return getattr(request, method)(*arguments)
    except Exception:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
