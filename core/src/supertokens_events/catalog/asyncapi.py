"""The catalog as an AsyncAPI 3 document: one channel, one message for each event type, one operation that sends them."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

from supertokens_events.catalog.base import EventData
from supertokens_events.catalog.schema import definitions, event_example, in_markdown

__all__ = ["asyncapi"]

SCHEMAS = "#/components/schemas/"
DESCRIPTION = """\
What happens in SuperTokens, as events. Every sink that is subscribed to a type gets them: a webhook as the body of a
POST, a file as a line.

Each event is delivered at least once, in no promised order: drop an `id` that you have seen. A field or a type that you
do not know is no error: a new version may bring them.
"""


def asyncapi(data_models: Iterable[type[EventData]]) -> dict[str, Any]:
    """The document, for these event types and in their order."""
    models = list(data_models)
    messages = {data_model.event_type: _message(data_model) for data_model in models}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "supertokens-events",
            "version": version("supertokens-events"),
            "description": in_markdown(DESCRIPTION),
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": {
                "address": None,
                "description": "A sink. Its subscription says which of the messages come.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "deliver": {
                "action": "send",
                "channel": {"$ref": "#/channels/events"},
                "summary": "Hand an event to a sink.",
                "messages": [{"$ref": f"#/channels/events/messages/{name}"} for name in messages],
            }
        },
        "components": {"messages": messages, "schemas": definitions(models, f"{SCHEMAS}{{model}}")},
    }


def _message(data_model: type[EventData]) -> dict[str, Any]:
    return {
        "name": data_model.event_type,
        "title": data_model.event_type,
        "summary": in_markdown(data_model.summary()),
        "description": in_markdown(data_model.__doc__ or ""),
        "contentType": "application/json",
        "tags": [{"name": data_model.event_type.partition(".")[0]}],
        "payload": {
            "allOf": [
                {"$ref": f"{SCHEMAS}Event"},
                {
                    "type": "object",
                    "properties": {
                        "type": {"const": data_model.event_type},
                        "schema_version": {"const": data_model.schema_version},
                        "data": {"$ref": f"{SCHEMAS}{data_model.__name__}"},
                    },
                },
            ]
        },
        "examples": [{"name": data_model.event_type, "payload": event_example(data_model)}],
        "x-high-volume": data_model.high_volume,
    }
