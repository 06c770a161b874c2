"""What of a configuration may be shown: never a secret, and never the value behind a reference."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from supertokens_events.catalog import Catalog
from supertokens_events.config import Settings, SinkConfig
from supertokens_events.urls import without_secrets

__all__ = ["outbox_facts", "sink_facts"]


def outbox_facts(settings: Settings, counts: tuple[int, int]) -> dict[str, Any]:
    """Where the outbox is and what is in it."""
    events, size = counts
    url = _shown("url", settings.outbox.url.get_secret_value(), _document(settings).get("outbox", {}))
    return {"kind": "outbox", "url": url, "events": events, "bytes": size}


def sink_facts(config: SinkConfig, settings: Settings, catalog: Catalog) -> dict[str, Any]:
    """One sink as it is configured. ``not_captured`` are the types it wants and ``[capture] events`` does not."""
    captured = settings.captured(catalog)
    table = config.table
    wanted = [model.event_type for model in catalog if config.subscription.patterns.matches(model.event_type)]
    return {
        "kind": "sink",
        "sink": config.name,
        "type": config.type_name,
        "available": config.sink_type is not None,
        "enabled": config.enabled,
        "events": list(config.subscription.patterns.patterns),
        "not_captured": [name for name in wanted if not captured.matches(name)],
        "tenants": list(config.subscription.tenants),
        "where": _shown("where", config.subscription.where.table, table) if config.subscription.where else {},
        "ordering": "user" if config.ordered else "none",
        "concurrency": _concurrency(config),
        "rate": config.rate,
        "retry": {"attempts": config.retry.attempts, **config.retry.model_dump(mode="json")},
        "settings": _own_settings(config, table),
    }


def _concurrency(config: SinkConfig) -> int | None:
    """Calls at once; ``None`` when only the type could say, and it is not there."""
    return config.concurrency or (config.sink_type.concurrency if config.sink_type else None)


def _document(settings: Settings) -> Mapping[str, Any]:
    """The file as it is written, references and all."""
    return tomllib.loads(Path(settings.file).read_text(encoding="utf-8"))


def _own_settings(config: SinkConfig, table: Mapping[str, Any]) -> dict[str, Any]:
    """The sink's own keys as far as the file sets them, as its settings show themselves in a ``repr``."""
    if config.settings is None:
        return {}
    names = {(field.alias or name): name for name, field in type(config.settings).model_fields.items()}
    values = {str(name): value for name, value in config.settings.__repr_args__()}
    return {key: _shown(key, values.get(names[key]), table) for key in table if key in names}


def _shown(key: str, value: Any, table: Mapping[str, Any]) -> Any:
    """``value`` without secrets; only where it comes from, if the file refers to a variable or a file."""
    sources = ", ".join(_sources(table.get(key)))
    if sources:
        return f"from {sources}"
    return _without_secrets(to_jsonable_python(value, fallback=str, exclude_none=True))


def _sources(value: Any) -> Iterator[str]:
    match value:
        case {"env": str() as name, **rest} if not rest:
            yield f"the environment variable {name}"
        case {"file": str() as path, **rest} if not rest:
            yield f"the file {path}"
        case Mapping():
            for item in value.values():
                yield from _sources(item)
        case list():
            for item in value:
                yield from _sources(item)


def _without_secrets(value: Any) -> Any:
    match value:
        case str():
            return without_secrets(value)
        case list():
            return [_without_secrets(item) for item in value]
        case dict():
            return {name: _without_secrets(item) for name, item in value.items()}
        case _:
            return value
