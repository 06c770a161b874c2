"""The file sink of supertokens-events: every event is one line at the end of a file: JSON, CloudEvents, or OCSF."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from supertokens_events.hookspecs import hookimpl
from supertokens_events.sink import Sink
from supertokens_events_file.settings import FileSettings
from supertokens_events_file.sink import FileSink

__all__ = ["FileSettings", "FileSink"]

supertokens_events_api = 1  # the version of the plugin contract that it is made for


@hookimpl
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink type ``file``."""
    return [FileSink]
