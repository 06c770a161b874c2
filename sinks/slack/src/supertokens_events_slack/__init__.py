"""The Slack sink of supertokens-events: what happens becomes a message that a person on call reads at a glance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from supertokens_events.hookspecs import hookimpl

if TYPE_CHECKING:
    from supertokens_events.sink import Sink
    from supertokens_events_slack.settings import SlackSettings
    from supertokens_events_slack.sink import SlackSink

__all__ = ["SlackSettings", "SlackSink"]

supertokens_events_api = 1  # the version of the plugin contract that it is made for


# Inside, each imports what it needs: `--help` needs none of it.


@hookimpl
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink type ``slack``."""
    from supertokens_events_slack.sink import SlackSink

    return [SlackSink]


def __getattr__(name: str) -> Any:
    if name == "SlackSettings":
        from supertokens_events_slack.settings import SlackSettings

        return SlackSettings
    if name == "SlackSink":
        from supertokens_events_slack.sink import SlackSink

        return SlackSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
