"""Who gets an event: the plan that a configuration makes, replaced as a whole when it changes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from supertokens_events.catalog.names import TYPES
from supertokens_events.event import Event
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery
from supertokens_events.subscription import Patterns, Subscription

__all__ = ["Plan", "Route", "entry_for"]


_ABOUT_A_SINK = frozenset(TYPES["delivery"].split())  # never for the sink that they are about


@dataclass(frozen=True)
class Route:
    """Where events go: one sink's name, what it wants, whether it is turned on, and whether it gets each user's events one
    after the other. ``wait``: for so many seconds a delivery is left to whoever emitted the event.
    """

    sink: str
    subscription: Subscription
    enabled: bool = True
    ordered: bool = False
    wait: float = 0.0


@dataclass(frozen=True)
class Plan:
    """What the line does with events: which are ``captured``, who gets them, and what they say of their context.

    ``source`` (the app's URL) and ``trusted_proxies`` are what capture needs to know to make an event; ``context_fields``
    are the context fields that stay (``None``: all).
    """

    routes: Sequence[Route]
    captured: Patterns
    source: str | None = None
    trusted_proxies: Sequence[IPv4Network | IPv6Network] = ()
    context_fields: frozenset[str] | None = None


class _Document:
    """The JSON that is stored, parsed for the first condition that asks for it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    @cached_property
    def fields(self) -> Mapping[str, Any]:
        document: dict[str, Any] = json.loads(self._body, parse_int=_number)
        return document


def entry_for(event: Event, plan: Plan, held: str | None) -> Entry:
    """What is stored of an event. ``held`` is why its deliveries do not go out, if they do not."""
    body = event.to_bytes()
    document = _Document(body)
    itself = event.data.get("sink") if event.type in _ABOUT_A_SINK else None
    wanting = (route for route in plan.routes if route.sink != itself and _wants(route.subscription, event, document))
    return Entry(event, body, [_delivery(route, event, held) for route in wanting])


def _wants(subscription: Subscription, event: Event, document: _Document) -> bool:
    where = subscription.where
    return subscription.matches(event.type, event.tenant_id) and (where is None or where.hold(document.fields))


def _delivery(route: Route, event: Event, held: str | None) -> NewDelivery:
    key = event.user_id if route.ordered else None
    if held:
        return NewDelivery(route.sink, DeliveryState.DEAD, held, ordering_key=key)
    if not route.enabled:
        return NewDelivery(route.sink, DeliveryState.SKIPPED, "the sink is turned off", ordering_key=key)
    return NewDelivery(route.sink, ordering_key=key, wait=route.wait)


def _number(digits: str) -> int | float:
    """Python refuses to read an integer of thousands of digits, which JSON can hold."""
    return int(digits) if len(digits) < 1000 else float(digits)
