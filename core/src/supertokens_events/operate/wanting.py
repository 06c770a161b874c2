"""Whether a sink wants an event by its configuration of now, and why: for people, in sentences."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from supertokens_events.catalog.names import TYPES
from supertokens_events.config import SinkConfig
from supertokens_events.outbox import StoredEvent

__all__ = ["Wanting", "wanting"]

_ABOUT_A_SINK = frozenset(TYPES["delivery"].split())
_LONG = 60  # characters of a value that are shown


class Wanting:
    """The answer: ``because`` goes on after 'it is wanted' or 'it is not wanted'. ``known`` is whether it can be said at all."""

    def __init__(self, because: str, *, wanted: bool, known: bool = True) -> None:
        self.wanted = wanted
        self.known = known
        self.because = because


def wanting(config: SinkConfig, event: StoredEvent) -> Wanting:
    """Whether the sink of ``config`` would get ``event`` if it were stored now."""
    subscription = config.subscription
    pattern = subscription.patterns.deciding(event.type)
    if not subscription.patterns.matches(event.type):
        if pattern is None:
            patterns = ", ".join(map(repr, subscription.patterns.patterns))
            return Wanting(f"none of its patterns is about {event.type} ({patterns})", wanted=False)
        return Wanting(f"{pattern!r} excludes {event.type}", wanted=False)
    if subscription.tenants and event.tenant_id not in subscription.tenants:
        of = "no tenant" if event.tenant_id is None else f"the tenant {event.tenant_id!r}"
        return Wanting(
            f"it wants the tenants {', '.join(subscription.tenants)} only, and this is of {of}", wanted=False
        )
    matched = f"{pattern!r} matches {event.type}" if pattern else f"nothing excludes {event.type}"
    document = None if event.body is None else json.loads(event.body)
    if document is not None and event.type in _ABOUT_A_SINK and document["data"].get("sink") == config.name:
        return Wanting(
            "it is about this sink itself, and such events never go to the sink that they are about", wanted=False
        )
    return _where(config, document, matched)


def _where(config: SinkConfig, document: Mapping[str, Any] | None, matched: str) -> Wanting:
    where = config.subscription.where
    if where is None:
        return Wanting(matched, wanted=True)
    if document is None:
        return Wanting(f"{matched}, and whether 'where' holds cannot be said: it was erased", wanted=True, known=False)
    failing = where.failing(document)
    if not failing:
        return Wanting(f"{matched}, and 'where' holds", wanted=True)
    path, wanted, found = failing[0]
    is_ = f"is {', '.join(map(_shown, found))}" if found else "is not there"
    return Wanting(f"'where' asks for {path} = {_shown(wanted)}, and {path} {is_}", wanted=False)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONG else text[: _LONG - 1] + "…"
