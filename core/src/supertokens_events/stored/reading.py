"""A stored sink as the line takes it: read as a table of the configuration is, with the same sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supertokens_events.config import Reader, Settings, SinkConfig, Stamp
from supertokens_events.outbox import StoredSink
from supertokens_events.plugins import Plugins
from supertokens_events.stored.secrets import plain_secrets
from supertokens_events.stored.vault import Vault

__all__ = ["ReadSink", "document_of", "read_sink"]


@dataclass(frozen=True)
class ReadSink:
    """What a table says. ``config`` is ``None`` when not even what it subscribes to can be told; without ``settings`` in it
    events are stored for the sink and wait. ``files`` are those that it refers to.
    """

    config: SinkConfig | None
    problems: tuple[str, ...]
    files: Mapping[Path, Stamp]


def read_sink(
    name: str, document: Mapping[str, Any], settings: Settings, plugins: Plugins, *, source: str = "stored sinks"
) -> ReadSink:
    """``document`` is the whole table, with ``type`` and ``enabled``; ``source`` is where it comes from, in errors."""
    reader = Reader(source, settings.folder, plugins, {}, Vault(settings.server.encryption_key).open)
    for _, secret in plain_secrets(plugins.sink_types.get(document["type"]), None, document):
        reader.referenced(secret)  # what a sink type says of it must not repeat it
    config = reader.sink(name, document, settings.dispatcher)
    return ReadSink(config, tuple(reader.problems), reader.files)


def document_of(sink: StoredSink) -> dict[str, Any]:
    """The whole table of a stored sink."""
    return {"type": sink.type, "enabled": sink.enabled, **sink.settings}
