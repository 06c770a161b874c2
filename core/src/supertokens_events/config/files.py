"""From a file, or from the same tables as a ``dict``, to settings."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from supertokens_events.config.errors import ConfigurationError
from supertokens_events.config.model import (
    AppSettings,
    CoreSettings,
    DispatcherSettings,
    OutboxSettings,
    ReconcileSettings,
    ServerSettings,
    Settings,
)
from supertokens_events.config.reader import Reader
from supertokens_events.config.stamps import stamp
from supertokens_events.plugins import Plugins

__all__ = ["CONFIG_VARIABLE", "DEFAULT_FILE", "find_file", "load_file", "load_settings", "with_sinks"]

CONFIG_VARIABLE = "SUPERTOKENS_EVENTS_CONFIG"
DEFAULT_FILE = "supertokens-events.toml"

_TABLES = ("app", "core", "outbox", "capture", "dispatcher", "reconcile", "server", "sinks")


def find_file(path: str | os.PathLike[str] | None = None) -> Path:
    """``path``, else what ``SUPERTOKENS_EVENTS_CONFIG`` names, else ``supertokens-events.toml`` in the working
    directory.
    """
    return Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)


def load_file(path: Path, plugins: Plugins, *, name: str | None = None) -> Settings:
    """The settings in a TOML file, which is called ``name`` in errors (by default as it is given here).

    Raises :class:`ConfigurationError` with every problem found.
    """
    file = name or str(path)
    # Looked at before it is read: a change in between is then noticed later, at worst for nothing.
    files = {path.absolute(): stamp(path)}
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{file}: there is no such file; write one with 'supertokens-events init', "
            f"or name yours with --config or {CONFIG_VARIABLE}",
            files=files,
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{file}: cannot be read: {error.strerror}", files=files) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: is not valid TOML: {error}", files=files) from None
    settings = _settings(document, Reader(file, path.resolve().parent, plugins, files))
    return replace(settings, path=path.absolute())


def load_settings(
    document: Mapping[str, Any], plugins: Plugins, *, file: str = "configuration", folder: Path | None = None
) -> Settings:
    """The settings in a parsed document. Raises :class:`ConfigurationError` with every problem found."""
    return _settings(document, Reader(file, folder or Path.cwd(), plugins, {}))


def with_sinks(settings: Settings, tables: Mapping[str, Any], plugins: Plugins) -> Settings:
    """``settings`` with the sinks of these tables instead of its own: what stands under ``sinks`` in a document.

    Raises :class:`ConfigurationError` with every problem found.
    """
    reader = Reader(settings.file, settings.folder, plugins, {})
    sinks = reader.sinks(tables, settings.dispatcher)
    if reader.problems:
        raise ConfigurationError(*reader.problems)
    return replace(settings, sinks=sinks)


def _settings(document: Mapping[str, Any], reader: Reader) -> Settings:
    tables = {name: document.get(name, {}) for name in _TABLES}
    reader.unknown_keys("", document, tables)
    dispatcher = reader.table(DispatcherSettings, "dispatcher", tables["dispatcher"]) or DispatcherSettings()
    settings = Settings(
        app=reader.table(AppSettings, "app", tables["app"]) or AppSettings(),
        outbox=reader.table(OutboxSettings, "outbox", tables["outbox"]) or OutboxSettings(),
        capture=reader.capture(tables["capture"]),
        dispatcher=dispatcher,
        sinks=reader.sinks(tables["sinks"], dispatcher),
        file=reader.file,
        folder=reader.folder,
        files=reader.files,
        server=reader.table(ServerSettings, "server", tables["server"]) or ServerSettings(),
        core=reader.table(CoreSettings, "core", tables["core"]) or CoreSettings(),
        reconcile=reader.table(ReconcileSettings, "reconcile", tables["reconcile"]) or ReconcileSettings(),
    )
    if settings.reconcile.every is not None and not settings.core.hosts:
        reader.problem("reconcile.every", "there is no core to compare with: set core.connection_uri")
    if reader.problems:
        raise ConfigurationError(*reader.problems, files=reader.files)
    return settings
