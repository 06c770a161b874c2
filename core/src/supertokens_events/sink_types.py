"""What a class has to have to be a sink type, which is found out when its plugin is loaded."""

from __future__ import annotations

import inspect
import re
from typing import Any

from pydantic import BaseModel

from supertokens_events.sink import Sink

__all__ = ["SINK_TYPE_NAME", "wrong_sink_type"]

SINK_TYPE_NAME = re.compile(r"[a-z][a-z0-9_-]*")
"""What ``type`` says in TOML."""


def wrong_sink_type(sink_type: type[Sink[Any]]) -> str | None:
    """Why no sink can be made of this class: the rest of a sentence that begins with it. ``None`` when it can."""
    name = getattr(sink_type, "type", None)
    if not isinstance(name, str):
        return 'has no name: give it type = "…", which is what TOML says'
    if not SINK_TYPE_NAME.fullmatch(name):
        return f"cannot be named {name!r}: expected lower-case letters, digits, '_' and '-', a letter first"
    settings = getattr(sink_type, "Settings", None)
    if not (isinstance(settings, type) and issubclass(settings, BaseModel)):
        return (
            f"has Settings that are no model: {settings!r}, expected a subclass of supertokens_events.sink.SinkSettings"
        )
    if inspect.isabstract(sink_type):
        missing = ", ".join(f"{method}()" for method in sorted(sink_type.__abstractmethods__))
        return f"is abstract: it has no {missing}"
    return None
