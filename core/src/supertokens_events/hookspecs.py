"""The plugin contract: every function that the core calls by name. A hook that asks is a verb; one that tells is in the
past tense.

A plugin is a module or an object with functions marked ``@hookimpl``. It is found by an entry point in the group
``supertokens_events``, or given to ``Events(plugins=[…])``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from supertokens_events.catalog import EventData
    from supertokens_events.event import Event
    from supertokens_events.sink import Delivery, Outcome, Sink

__all__ = ["DISABLE_VARIABLE", "PROJECT", "hookimpl", "turned_off"]

PROJECT = "supertokens_events"
DISABLE_VARIABLE = "SUPERTOKENS_EVENTS_DISABLE"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def turned_off(text: str | None = None) -> set[str]:
    """The names, divided by commas, of the plugins that ``text`` turns off, or else ``SUPERTOKENS_EVENTS_DISABLE``; ``*`` is
    all.
    """
    names = os.environ.get(DISABLE_VARIABLE, "") if text is None else text
    return {name.strip() for name in names.split(",") if name.strip()}


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
def events_stored(events: Sequence[Event], waits: Sequence[float]) -> None:
    """Told after each commit, for measuring: the events that it stored, and for how many seconds each had waited for that.

    Nobody who has it counts as somebody who wants an event: no read of the core is made for it, as for ``event_emitted``.
    """


@hookspec
def delivery_settled(delivery: Delivery, outcome: Outcome, duration: float) -> None:
    """Told after each attempt, which took ``duration`` seconds, once its outcome is written down. Like all that a dispatcher
    tells: on a thread of the plugin's own, one thing after the other. A plugin that hangs misses what happens meanwhile.
    """


@hookspec
def breaker_opened(sink: str, reason: str, detail: Mapping[str, Any], failing_for: float, elsewhere: bool) -> None:
    """Told when nothing but a probe goes out to ``sink`` any more: a probe has failed, with this ``reason`` and ``detail``.

    ``failing_for`` is how many seconds ago the first of the tries that failed began. Every dispatcher tells it, once;
    ``elsewhere`` is ``False`` only where the probe failed, and ``True`` where it was found to be so: by another dispatcher, or
    after a restart.
    """


@hookspec
def breaker_closed(sink: str, failing_for: float, due: int | None, elsewhere: bool) -> None:
    """Told when the place of ``sink`` is back, ``failing_for`` seconds after the first of the tries that failed began.

    ``due`` is how many deliveries had failed meanwhile and are due now; ``None`` where another dispatcher's probe succeeded
    (``elsewhere``).
    """


@hookspec
def register_commands(cli: click.Group) -> None:
    """Add commands to ``supertokens-events``."""
