"""The sinks as a person manages them: those of the configuration to be read, those that are stored to be changed too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from supertokens_events.config import ConfigurationError, Settings, SinkConfig
from supertokens_events.event import Event
from supertokens_events.outbox import Disabled, Outbox, StoredSink
from supertokens_events.plugins import Plugins
from supertokens_events.stored.following import skip_all
from supertokens_events.stored.reading import ReadSink, document_of, read_sink
from supertokens_events.stored.secrets import ENCRYPTED, is_encrypted, plain_secrets, replaced
from supertokens_events.stored.trial import trial_entry
from supertokens_events.stored.vault import Vault
from supertokens_events.suggest import nearest
from supertokens_events.urls import without_secrets

__all__ = ["Made", "NoSuchSink", "SinkConflict", "SinkView", "Sinks"]

_REQUEST = "request"  # where a mistake is, in errors
_LONG = 20  # characters from which on the last four tell nothing of the others
_HEAD = ("type", "enabled")  # of a table: what is stored beside it


class NoSuchSink(Exception):
    """There is no sink of this name."""


class SinkConflict(Exception):
    """It cannot be done with the sink as it is. The text says why, and what can."""


@dataclass(frozen=True)
class SinkView:
    """A sink as it may be shown. ``settings`` is its table without ``type`` and ``enabled``, in which each secret is replaced by
    ``{"configured": true}``, with the ``last4`` characters of a long one, or the ``url`` without what may be secret in it.

    ``revision`` and the times (seconds since the epoch) are a stored sink's. ``problems`` say why it cannot be used in this
    process.
    """

    name: str
    type: str
    origin: Literal["configuration", "api"]
    enabled: bool
    settings: Mapping[str, Any]
    problems: Sequence[str] = ()
    revision: int | None = None
    created_at: float | None = None
    updated_at: float | None = None


@dataclass(frozen=True)
class Made:
    """A sink, and the secrets that were made with it, by name: this is the only time that they are shown."""

    sink: SinkView
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


class Sinks:
    """Every method raises ``OutboxError`` when the outbox cannot be used, and those with a ``name`` :class:`NoSuchSink`.

    ``settings`` gives the configuration without the stored sinks, ``changed`` is called after each change.
    """

    def __init__(
        self, outbox: Outbox, plugins: Plugins, settings: Callable[[], Settings], changed: Callable[[], None]
    ) -> None:
        self._outbox = outbox
        self._plugins = plugins
        self._settings = settings
        self._changed = changed

    # Reading -------------------------------------------------------------------------------------------------------

    def all(self) -> list[SinkView]:
        """Every sink, by name. A stored one that the configuration has too is not used, and says so."""
        configured = [self._view_of_configured(config) for config in self._settings().sinks.values()]
        stored = [self._view(sink) for sink in self._outbox.stored_sinks()]
        return sorted([*configured, *stored], key=lambda view: (view.name, view.origin == "api"))

    def read(self, name: str) -> SinkView:
        """One sink."""
        config = self._settings().sinks.get(name)
        return self._view(self._stored(name)) if config is None else self._view_of_configured(config)

    # Changing ------------------------------------------------------------------------------------------------------

    def create(self, name: str, type_name: str, table: Mapping[str, Any], *, enabled: bool = True) -> Made:
        """Make a sink of a table as it stands in TOML, without ``type`` and ``enabled``. A secret that its type makes by itself
        is made where the table has none.

        Raises ``ConfigurationError`` with every problem of the table, :class:`SinkConflict` when the name is taken.
        """
        self._must_be_free(name)
        table = {key: value for key, value in table.items() if value is not None}
        _check_words(name, table)
        sink_type = self._plugins.sink_types.get(type_name)
        made = None if sink_type is None else sink_type.renewed(table, None, None)
        document = {"type": type_name, "enabled": enabled, **(made.table if made else table)}
        stored = self._outbox.store_sink(name, type_name, self._sealed(name, document), enabled=enabled)
        if stored is None:
            raise SinkConflict(f"there is a sink {name!r} already; choose another name, or change that one")
        self._changed()
        return Made(self._view(stored), made.secrets if made else {})

    def update(
        self,
        name: str,
        changes: Mapping[str, Any],
        *,
        enabled: bool | None = None,
        revision: int | None = None,
    ) -> SinkView:
        """Change some keys of a sink's table; ``None`` takes a key away. A value that is as :attr:`SinkView.settings` shows it
        stays as it is. With ``revision`` only if nobody has changed the sink since.

        Raises ``ConfigurationError`` with every problem of the new table, :class:`SinkConflict` for another revision and for
        a sink of the configuration.
        """
        sink = self._changeable(name, revision)
        _check_words(name, changes)
        shown, table = self._view(sink).settings, dict(sink.settings)
        for key, value in changes.items():
            if value is None:
                table.pop(key, None)
            elif key not in shown or value != shown[key]:
                table[key] = value
        return self._view(self._store(sink, table, enabled=sink.enabled if enabled is None else enabled))

    def enable(self, name: str) -> tuple[SinkView, Disabled | None]:
        """Turn a sink on, and let deliveries go out again if its place had disabled it: then what is over is returned, too.

        Raises :class:`SinkConflict` for a sink that the configuration turns off.
        """
        config = self._settings().sinks.get(name)
        if config is not None and not config.enabled:
            raise SinkConflict(f"{self._settings().file}: sinks.{name}.enabled: it is turned off there; change that")
        if config is None and not (sink := self._stored(name)).enabled:
            self._store(sink, sink.settings, enabled=True)
        return self.read(name), self._outbox.enable(name)

    def disable(self, name: str) -> SinkView:
        """Turn it off: what waits for it stays, later events are kept as skipped deliveries. Raises :class:`SinkConflict` for a
        sink of the configuration.
        """
        sink = self._changeable(name, None)
        return self._view(self._store(sink, sink.settings, enabled=False) if sink.enabled else sink)

    def rotate(self, name: str, keep: float) -> Made:
        """Make a new secret; the present one is good for ``keep`` seconds more. Raises :class:`SinkConflict` when the sink is not
        stored, or of a type that makes no secrets.
        """
        sink = self._changeable(name, None)
        until = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=keep)
        config = self._usable(name, document_of(sink))
        made = config.sink_type.renewed(sink.settings, config.settings, until) if config.sink_type else None
        if made is None:
            raise SinkConflict(
                f"the secrets of a sink of type {sink.type!r} are not made here; change the setting itself"
            )
        return Made(self._view(self._store(sink, made.table, enabled=sink.enabled)), made.secrets)

    def delete(self, name: str, *, revision: int | None = None) -> int:
        """Delete it. Deliveries that wait for it become skipped, with that reason; returns how many. One that is in flight may
        still arrive. Raises :class:`SinkConflict` for another revision and for a sink of the configuration.
        """
        sink = self._changeable(name, revision)
        if not self._outbox.remove_sink(name, sink.revision):
            raise _changed_meanwhile(name)
        skipped = skip_all(self._outbox, name)
        self._changed()
        return skipped

    def test(self, name: str, event_type: str | None = None) -> Event:
        """Store an event for this sink alone, whether it wants it or not: the example of ``event_type``, by default of the first
        type that it wants. Its context says ``"test": true``. It is delivered as every event is; no plugin is asked.

        Raises ``ValueError`` for a type that is not in the catalog, :class:`SinkConflict` when nothing would go out.
        """
        settings = self._settings()
        config = settings.sinks.get(name) or self._usable(name, document_of(self._stored(name)))
        if not config.enabled:
            raise SinkConflict(f"the sink {name!r} is turned off; turn it on first")
        if name in self._outbox.disabled():
            raise SinkConflict(f"the sink {name!r} is disabled: its place wanted no more events; enable it first")
        entry = trial_entry(config, self._plugins.catalog, event_type, settings.app.source)
        (sequence,) = self._outbox.append([entry])
        return entry.event.model_copy(update={"sequence": sequence})

    # Storing -------------------------------------------------------------------------------------------------------

    def _stored(self, name: str) -> StoredSink:
        stored = self._outbox.stored_sinks()
        for sink in stored:
            if sink.name == name:
                return sink
        raise NoSuchSink(f"there is no sink {name!r}{nearest(name, [sink.name for sink in stored])}")

    def _must_be_free(self, name: str) -> None:
        if name in self._settings().sinks:
            raise SinkConflict(f"{self._settings().file} has a sink {name!r}; choose another name")

    def _changeable(self, name: str, revision: int | None) -> StoredSink:
        if name in self._settings().sinks:
            raise SinkConflict(f"the sink {name!r} comes from {self._settings().file}; change it there")
        sink = self._stored(name)
        if revision not in (None, sink.revision):
            raise _changed_meanwhile(name)
        return sink

    def _store(self, sink: StoredSink, table: Mapping[str, Any], *, enabled: bool) -> StoredSink:
        sealed = self._sealed(sink.name, {"type": sink.type, "enabled": enabled, **table})
        stored = self._outbox.store_sink(sink.name, sink.type, sealed, enabled=enabled, revision=sink.revision)
        if stored is None:
            raise _changed_meanwhile(sink.name)
        self._changed()
        return stored

    def _read(self, name: str, document: Mapping[str, Any]) -> ReadSink:
        return read_sink(name, document, self._settings(), self._plugins, source=_REQUEST)

    def _usable(self, name: str, document: Mapping[str, Any]) -> SinkConfig:
        read = self._read(name, document)
        if read.problems or read.config is None:
            raise ConfigurationError(*read.problems)
        if read.config.settings is None:
            why = "the plugin that should bring it failed to load; 'supertokens-events plugins' says why"
            raise ConfigurationError(f"{_REQUEST}: sinks.{name}.type: {why}")
        return read.config

    def _sealed(self, name: str, document: Mapping[str, Any]) -> dict[str, Any]:
        """The table to store: checked, and every secret in it encrypted, with the first key."""
        config, vault = self._usable(name, document), self._vault()
        table = {key: value for key, value in document.items() if key not in _HEAD}
        secrets = plain_secrets(config.sink_type, config.settings, table)
        if secrets and not vault.has_key:
            raise ConfigurationError(*(_needs_key(name, key) for key in sorted({key for key, _ in secrets})))

        def seal(key: str, value: Any) -> Any:
            if is_encrypted(value):
                return {ENCRYPTED: vault.reseal(value[ENCRYPTED])}
            return {ENCRYPTED: vault.seal(value)} if (key, value) in secrets else value

        sealed: dict[str, Any] = replaced(table, seal)
        return sealed

    def _vault(self) -> Vault:
        return Vault(self._settings().server.encryption_key)

    # Showing -------------------------------------------------------------------------------------------------------

    def _view_of_configured(self, config: SinkConfig) -> SinkView:
        # Without its plugin nobody knows which of its settings are secret.
        shown = {} if config.settings is None else self._shown(config.table, config)
        return SinkView(config.name, config.type_name, "configuration", config.enabled, shown)

    def _view(self, sink: StoredSink) -> SinkView:
        settings = self._settings()
        read = read_sink(sink.name, document_of(sink), settings, self._plugins)
        taken = f"sinks.{sink.name}: {settings.file} has one of this name, which is used"
        return SinkView(
            sink.name,
            sink.type,
            "api",
            sink.enabled,
            self._shown(sink.settings, read.config),
            [*read.problems, *([taken] if sink.name in settings.sinks else [])],
            sink.revision,
            sink.created_at,
            sink.updated_at,
        )

    def _shown(self, table: Mapping[str, Any], config: SinkConfig | None) -> Mapping[str, Any]:
        secrets = plain_secrets(config.sink_type, config.settings, table) if config else set()
        vault = self._vault()

        def show(key: str, value: Any) -> Any:
            if is_encrypted(value):
                return _configured(_opened(vault, value[ENCRYPTED]))
            return _configured(value) if (key, value) in secrets else value

        shown = replaced({key: value for key, value in table.items() if key not in _HEAD}, show)
        plain: Mapping[str, Any] = to_jsonable_python(shown, fallback=str)
        return plain


def _configured(text: str | None) -> dict[str, Any]:
    """What is said of a secret; ``None`` for one that cannot be read here."""
    if text is None:
        return {"configured": True}
    if (bare := without_secrets(text)) != text:
        return {"configured": True, "url": bare}
    return {"configured": True, **({"last4": text[-4:]} if len(text) >= _LONG else {})}


def _opened(vault: Vault, sealed: str) -> str | None:
    try:
        return vault.open(sealed)
    except ValueError:
        return None


def _check_words(name: str, table: Mapping[str, Any]) -> None:
    """What stands elsewhere, or is only ours to write. Raises ``ConfigurationError``."""
    problems = [
        f"{_REQUEST}: sinks.{name}.{key}: stands beside the settings, not in them" for key in _HEAD if key in table
    ]
    problems += [
        f"{_REQUEST}: sinks.{name}.{key}: give the secret itself or a reference, not how it is stored"
        for key in _encrypted_keys(table)
    ]
    if problems:
        raise ConfigurationError(*problems)


def _encrypted_keys(table: Mapping[str, Any]) -> Iterator[str]:
    found: list[str] = []
    replaced(table, lambda key, value: found.append(key) if is_encrypted(value) else None)
    yield from found


def _needs_key(name: str, key: str) -> str:
    variable = f"{name}_{key.partition('.')[0].partition('[')[0]}".upper().replace("-", "_")
    return (
        f"{_REQUEST}: sinks.{name}.{key}: a secret is never stored readable: give a reference such as "
        f'{{"env": "{variable}"}}, or set [server] encryption_key in the configuration'
    )


def _changed_meanwhile(name: str) -> SinkConflict:
    return SinkConflict(f"the sink {name!r} was changed by somebody else meanwhile; read it again")
