"""The webhook sink of supertokens-events: one signed POST per event, as Standard Webhooks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from supertokens_events.hookspecs import hookimpl
from supertokens_events.sink import Sink
from supertokens_events_webhook.settings import WebhookSettings
from supertokens_events_webhook.sink import WebhookSink

__all__ = ["WebhookSettings", "WebhookSink"]


@hookimpl
def register_sink_types() -> Iterable[type[Sink[Any]]]:
    """The sink type ``webhook``."""
    return [WebhookSink]
