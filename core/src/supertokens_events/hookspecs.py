"""The plugin contract: every function that the core calls by name. A hook that asks is a verb; one that tells is in the
past tense.

A plugin is a module or an object with functions marked ``@hookimpl``. It is found by an entry point in the group
``supertokens_events``, or given to ``Events(plugins=[…])``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from supertokens_events.catalog import EventData
    from supertokens_events.event import Event
    from supertokens_events.sink import Delivery, Outcome, Sink

__all__ = ["PROJECT", "hookimpl"]

PROJECT = "supertokens_events"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink types that this plugin brings."""
    raise NotImplementedError


@hookspec
def register_event_types() -> Iterable[type[EventData]]:
    """Event types of an app or a plugin, to stand in the catalog beside the built-in ones."""
    raise NotImplementedError


@hookspec
def enrich_event(event: Event) -> Mapping[str, Any] | None:
    """What to add to the event's ``context``. One that raises is skipped: the event goes on without it."""


@hookspec
def filter_event(event: Event) -> bool | None:
    """``False`` drops the event (the ledger says who did). One that raises keeps it, with its deliveries held as dead
    letters.
    """


@hookspec
def event_emitted(event: Event) -> None:
    """Told after the event and its deliveries are committed."""


@hookspec
def delivery_settled(delivery: Delivery, outcome: Outcome) -> None:
    """Told after each attempt, once its outcome is written down."""


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to ``supertokens-events``."""
