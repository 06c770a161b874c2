"""The plugin contract: every function that the core calls by name. A hook that asks is a verb; one that tells is in the
past tense.

A plugin is a module or an object with functions marked ``@hookimpl``. It is found by an entry point in the group
``supertokens_events``, or given to ``Events(plugins=[…])``.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import click

    from supertokens_events.catalog import EventData
    from supertokens_events.event import Event
    from supertokens_events.sink import Delivery, Outcome, Sink

__all__ = ["API", "API_ATTRIBUTE", "DISABLE_VARIABLE", "NO_HOOK", "PROJECT", "hookimpl", "turned_off", "wrong_api"]

API = 1
"""The version of this contract. It grows when a plugin that was made for the one before could fail: a hook, or an argument of
one, is gone or means something else. What is added leaves it as it is.
"""
API_ATTRIBUTE = "supertokens_events_api"
"""What a plugin says the version with that it was made for: an attribute of the module or object that has the hooks."""

PROJECT = "supertokens_events"
DISABLE_VARIABLE = "SUPERTOKENS_EVENTS_DISABLE"

NO_HOOK = "has no hook: is @hookimpl missing?"
"""What is said of a plugin that is never called."""

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


def turned_off(text: str | None = None) -> set[str]:
    """The names, divided by commas, of the plugins that ``text`` turns off, or else ``SUPERTOKENS_EVENTS_DISABLE``; ``*`` is
    all.
    """
    names = os.environ.get(DISABLE_VARIABLE, "") if text is None else text
    return {name.strip() for name in names.split(",") if name.strip()}


def wrong_api(plugin: object) -> str | None:
    """Why ``plugin`` cannot be used with this version of the contract, as what follows its name; ``None``: it can. One that
    does not say what it was made for was made for the first version.
    """
    made_for = getattr(plugin, API_ATTRIBUTE, 1)
    if type(made_for) is not int:
        return f"says {API_ATTRIBUTE} = {made_for!r}, expected a whole number such as {API}"
    if made_for == API:
        return None
    return (
        f"was made for version {made_for} of the plugin contract, supertokens-events {version('supertokens-events')} has "
        f"version {API}: upgrade {'supertokens-events' if made_for > API else 'the plugin'}"
    )


@hookspec
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink types that this plugin brings.

    Asked once, when plugins are loaded. Two plugins cannot bring the same ``type``: the second is refused, and both are named.
    """
    raise NotImplementedError


@hookspec
def register_event_types() -> Iterable[type[EventData]]:
    """Event types of an app or a plugin, to stand in the catalog beside the built-in ones.

    Asked once, when plugins are loaded. Each needs an ``event_type``, which nobody else has, and an ``example`` that fits it.
    """
    raise NotImplementedError


@hookspec
def enrich_event(event: Event) -> Mapping[str, Any] | None:
    """What to add to the event's ``context``: names and values that JSON has, or ``None``. One that raises is skipped: the event
    goes on without it.

    Asked in the thread that stores events, one event after the other, with the context variables of the request that caused
    it. ``event`` is as it was captured, without what other plugins add.
    """


@hookspec
def filter_event(event: Event) -> bool | None:
    """``False`` drops the event (the ledger says who did). One that raises keeps it, with its deliveries held as dead
    letters.

    Asked after all of ``enrich_event``, in the same thread, with what they added. Once one plugin has said ``False`` no other is
    asked.
    """


@hookspec
def event_emitted(event: Event) -> None:
    """Told after the event and its deliveries are committed, with its ``sequence``.

    In the thread that stores events, without the context variables of the request.
    """


@hookspec
def events_stored(events: Sequence[Event], waits: Sequence[float]) -> None:
    """Told after each commit, for measuring: the events that it stored, and for how many seconds each had waited for that.

    Nobody who has it counts as somebody who wants an event: no read of the core is made for it, as for ``event_emitted``.
    """


@hookspec
def delivery_settled(delivery: Delivery, outcome: Outcome, duration: float) -> None:
    """Told after each attempt, which took ``duration`` seconds, once its outcome is written down.

    Like all that a dispatcher tells: on a thread of the plugin's own, one thing after the other. A plugin that hangs misses what
    happens meanwhile.
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
    """Add commands to ``supertokens-events``. A built-in command cannot be replaced.

    Asked when the command line needs to know its commands, ``--help`` included: import inside the commands what they need.
    """
