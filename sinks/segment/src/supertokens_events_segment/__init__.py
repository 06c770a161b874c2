"""The Segment sink of supertokens-events: what happens becomes identify, track, group and alias calls, sent in batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from supertokens_events.hookspecs import hookimpl

if TYPE_CHECKING:
    from supertokens_events.sink import Sink
    from supertokens_events_segment.settings import SegmentSettings
    from supertokens_events_segment.sink import SegmentSink

__all__ = ["SegmentSettings", "SegmentSink"]

supertokens_events_api = 1  # the version of the plugin contract that it is made for


@hookimpl
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink type ``segment``."""
    from supertokens_events_segment.sink import SegmentSink

    return [SegmentSink]


def __getattr__(name: str) -> Any:
    """What is public is imported when it is asked for: `--help` needs no HTTP client."""
    if name == "SegmentSettings":
        from supertokens_events_segment.settings import SegmentSettings

        return SegmentSettings
    if name == "SegmentSink":
        from supertokens_events_segment.sink import SegmentSink

        return SegmentSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
