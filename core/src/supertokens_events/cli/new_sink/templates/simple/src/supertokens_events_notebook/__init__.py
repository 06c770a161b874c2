"""The notebook sink of supertokens-events: one line in a file for each event."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from supertokens_events import hookimpl
from supertokens_events.sink import Sink

from supertokens_events_notebook.sink import NotebookSink

__all__ = ["NotebookSink"]

supertokens_events_api = 1  # the version of the plugin contract that it is made for


@hookimpl
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink type ``notebook``."""
    return [NotebookSink]
