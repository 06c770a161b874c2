"""Outbound events for SuperTokens: what happens in ``supertokens-python`` becomes durable events, delivered by sinks."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from supertokens_events.event import Event
    from supertokens_events.events import Events
    from supertokens_events.hookspecs import hookimpl

__all__ = ["Event", "Events", "hookimpl"]

_HOMES = {"Event": "event", "Events": "events", "hookimpl": "hookspecs"}


def __getattr__(name: str) -> Any:
    """A public name, imported on first use: the command line's ``--help`` and a plugin with one hook need little of it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    return value
