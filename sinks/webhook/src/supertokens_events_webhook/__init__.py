"""The webhook sink of supertokens-events: one signed POST per event, as Standard Webhooks. And, in ``receiver``, what those
need who get them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from supertokens_events.hookspecs import hookimpl

if TYPE_CHECKING:
    import click

    from supertokens_events.sink import Sink
    from supertokens_events_webhook.settings import WebhookSettings
    from supertokens_events_webhook.sink import WebhookSink

__all__ = ["WebhookSettings", "WebhookSink"]

supertokens_events_api = 1  # the version of the plugin contract that it is made for


# Inside, each imports what it needs: a receiver needs no HTTP client, and `--help` needs none of it.


@hookimpl
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink type ``webhook``."""
    from supertokens_events_webhook.sink import WebhookSink

    return [WebhookSink]


@hookimpl
def register_commands(cli: click.Group) -> None:
    """``webhook`` and ``listen``."""
    from supertokens_events_webhook.cli import listen, webhook

    cli.add_command(webhook)
    cli.add_command(listen)


def __getattr__(name: str) -> Any:
    if name == "WebhookSettings":
        from supertokens_events_webhook.settings import WebhookSettings

        return WebhookSettings
    if name == "WebhookSink":
        from supertokens_events_webhook.sink import WebhookSink

        return WebhookSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
