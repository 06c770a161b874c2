"""TOML to settings: what a user may write, secrets by reference, and errors that name the file and the key.

Nothing here touches the outbox or the network. A value is never repeated in an error: it may be a secret.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from supertokens_events.catalog import Catalog
from supertokens_events.log import describe_exception
from supertokens_events.plugins import Plugins
from supertokens_events.retry import Duration, RetryPolicy
from supertokens_events.sink import Sink
from supertokens_events.subscription import Patterns, Subscription, check_pattern

__all__ = [
    "CONFIG_VARIABLE",
    "DEFAULT_FILE",
    "ConfigurationError",
    "Settings",
    "SinkConfig",
    "find_file",
    "load_file",
    "load_settings",
]

CONFIG_VARIABLE = "SUPERTOKENS_EVENTS_CONFIG"
DEFAULT_FILE = "supertokens-events.toml"
DEFAULT_EVENTS = "@default"
OWN_SINK_TYPES = ("file", "webhook")

_SHORTEST_SECRET = 4  # characters; anything shorter stands in every sentence
_SINK_NAME = re.compile(r"[A-Za-z0-9_-]+")

TableT = TypeVar("TableT", bound=BaseModel)


class ConfigurationError(Exception):
    """What is wrong with the configuration: one sentence per problem, each with its file and key."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


class AppSettings(_Table):
    """``[app]``. ``source`` is the ``source`` of every event: the app's own URL."""

    source: str | None = None


class OutboxSettings(_Table):
    """``[outbox]``. A relative SQLite path is relative to the TOML file; ``append_timeout`` is the deadline inside an
    auth call.
    """

    url: str = "sqlite:supertokens-events.db"
    durability: Literal["normal", "full"] = "normal"
    append_timeout: Duration = 1.0


class CaptureSettings(_Table):
    """``[capture]``. ``"@default"`` in ``events`` stands for every type that is not high-volume; ``context`` lists the
    fields to keep; ``trusted_proxies`` the networks (CIDRs) of our own proxies, whose ``X-Forwarded-For`` is believed.
    """

    events: tuple[str, ...] = (DEFAULT_EVENTS,)
    context: tuple[Literal["ip", "user_agent", "method", "path", "request_id", "origin"], ...] | None = None
    trusted_proxies: tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(ip_network)], ...] = ()


class DispatcherSettings(_Table):
    """``[dispatcher]``. ``run = "off"``: this app only stores; ``supertokens-events dispatch`` delivers."""

    run: Literal["thread", "off"] = "thread"
    poll_interval: Duration = Field(default=0.5, ge=0.01)
    """How often to look for what another process stored, in seconds."""


class _CommonSinkKeys(BaseModel):
    """The keys that every sink has. The rest of its table belongs to its type's ``Settings``."""

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, defer_build=True)

    type: str
    events: tuple[str, ...] = Field(min_length=1)
    tenants: tuple[str, ...] = ()
    retry: dict[str, Any] = Field(default_factory=dict)
    enabled: bool = True


@dataclass(frozen=True)
class SinkConfig:
    """One ``[sinks.NAME]`` table. ``sink_type`` is ``None`` when its plugin is installed but could not be loaded: its
    deliveries wait.
    """

    name: str
    type_name: str
    subscription: Subscription
    enabled: bool
    retry: RetryPolicy
    sink_type: type[Sink[Any]] | None
    settings: BaseModel | None

    def build(self) -> Sink[Any] | None:
        """A new sink of this configuration, not yet open."""
        if self.sink_type is None or self.settings is None:
            return None
        sink = self.sink_type(self.name, self.settings)
        sink.retry = self.retry
        return sink


@dataclass(frozen=True)
class Settings:
    """A whole configuration, checked. ``file`` is its name in errors; relative paths start at ``folder``."""

    app: AppSettings
    outbox: OutboxSettings
    capture: CaptureSettings
    dispatcher: DispatcherSettings
    sinks: Mapping[str, SinkConfig]
    file: str
    folder: Path

    def captured(self, catalog: Catalog) -> Patterns:
        """``[capture] events`` with ``@default`` spelled out."""
        quiet = [f"!{name}" for name in catalog.high_volume]
        patterns: list[str] = []
        for pattern in self.capture.events:
            patterns += ["*", *quiet] if pattern == DEFAULT_EVENTS else [pattern]
        return Patterns(patterns)


def find_file(path: str | os.PathLike[str] | None = None) -> Path:
    """``path``, else what ``SUPERTOKENS_EVENTS_CONFIG`` names, else ``supertokens-events.toml`` in the working
    directory.
    """
    return Path(path or os.environ.get(CONFIG_VARIABLE) or DEFAULT_FILE)


def load_file(path: Path, plugins: Plugins) -> Settings:
    """The settings in a TOML file. Raises :class:`ConfigurationError` with every problem found."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigurationError(
            f"{path}: there is no such file; write one with 'supertokens-events init', "
            f"or name yours with --config or {CONFIG_VARIABLE}"
        ) from None
    except OSError as error:
        raise ConfigurationError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path}: is not valid TOML: {error}") from None
    return load_settings(document, plugins, file=str(path), folder=path.resolve().parent)


def load_settings(
    document: Mapping[str, Any], plugins: Plugins, *, file: str = "configuration", folder: Path | None = None
) -> Settings:
    """The settings in a parsed document. Raises :class:`ConfigurationError` with every problem found."""
    reader = _Reader(file, folder or Path.cwd(), plugins)
    tables = {name: document.get(name, {}) for name in ("app", "outbox", "capture", "dispatcher", "sinks")}
    reader.unknown_keys("", document, tables)
    settings = Settings(
        app=reader.table(AppSettings, "app", tables["app"]) or AppSettings(),
        outbox=reader.table(OutboxSettings, "outbox", tables["outbox"]) or OutboxSettings(),
        capture=reader.capture(tables["capture"]),
        dispatcher=reader.table(DispatcherSettings, "dispatcher", tables["dispatcher"]) or DispatcherSettings(),
        sinks=reader.sinks(tables["sinks"]),
        file=file,
        folder=reader.folder,
    )
    if reader.problems:
        raise ConfigurationError(*reader.problems)
    return settings


class _Reader:
    """Reads tables and collects what is wrong with them, so that a user sees all of it at once."""

    def __init__(self, file: str, folder: Path, plugins: Plugins) -> None:
        self.file = file
        self.folder = folder
        self.plugins = plugins
        self.problems: list[str] = []
        self.references: set[str] = set()

    def problem(self, key: str, sentence: str) -> None:
        """Note a problem. What came from the environment or a file is never repeated, whoever wrote the sentence."""
        for value in sorted(self.references, key=len, reverse=True):
            sentence = sentence.replace(repr(value)[1:-1], "***").replace(value, "***")
        self.problems.append(f"{self.file}: {key}: {sentence}")

    def table(self, model: type[TableT], key: str, table: Any, *, also_known: Sequence[str] = ()) -> TableT | None:
        """``table`` as a ``model``, or ``None`` when something in it is wrong."""
        if not isinstance(table, Mapping):
            self.problem(key, f"expected a table, [{key}]")
            return None
        before = len(self.problems)
        values = self.resolve(key, table)
        if len(self.problems) > before:
            return None
        try:
            return model.model_validate(values, context={"folder": self.folder})
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                self.validation_problem(key, model, detail, also_known)
        except Exception as error:
            self.problem(key, f"could not be checked: {model.__name__} raised {describe_exception(error)}")
        return None

    def capture(self, table: Any) -> CaptureSettings:
        settings = self.table(CaptureSettings, "capture", table) or CaptureSettings()
        self.patterns("capture.events", [pattern for pattern in settings.events if pattern != DEFAULT_EVENTS])
        return settings

    def sinks(self, tables: Any) -> dict[str, SinkConfig]:
        if not isinstance(tables, Mapping):
            self.problem("sinks", "expected one table for each sink, such as [sinks.crm]")
            return {}
        sinks = (self.sink(name, table) for name, table in tables.items())
        return {sink.name: sink for sink in sinks if sink is not None}

    def sink(self, name: str, table: Any) -> SinkConfig | None:
        key = f"sinks.{name}"
        if not _SINK_NAME.fullmatch(str(name)):
            self.problem(key, "a sink's name consists of letters, digits, '-' and '_'")
            return None
        common = self.table(_CommonSinkKeys, key, table)
        if common is None:
            return None
        patterns = self.patterns(f"{key}.events", common.events)
        sink_type = self.sink_type(key, common.type)
        own = {name: value for name, value in table.items() if name not in _CommonSinkKeys.model_fields}
        settings = (
            self.table(sink_type.Settings, key, own, also_known=list(_CommonSinkKeys.model_fields))
            if sink_type
            else None
        )
        base = sink_type.retry if sink_type else RetryPolicy()
        retry = self.table(RetryPolicy, f"{key}.retry", {**base.model_dump(), **common.retry})
        if patterns is None or retry is None:
            return None
        return SinkConfig(
            name, common.type, Subscription(patterns, common.tenants), common.enabled, retry, sink_type, settings
        )

    def sink_type(self, key: str, name: str) -> type[Sink[Any]] | None:
        """The class behind ``type``. ``None`` with no problem noted: its plugin may be among those that failed to load."""
        found = self.plugins.sink_types.get(name)
        if found is None and not self.plugins.failed:
            self.problem(f"{key}.type", self.not_installed(name))
        return found

    def not_installed(self, name: str) -> str:
        if any(plugin.disabled and plugin.name == name for plugin in self.plugins.found):
            return f"the plugin {name!r} is turned off by SUPERTOKENS_EVENTS_DISABLE"
        if name in OWN_SINK_TYPES:
            return f"the sink type {name!r} is not installed: pip install supertokens-events-{name}"
        installed = sorted(self.plugins.sink_types)
        nearest = _nearest(name, [*installed, *OWN_SINK_TYPES])
        return f"there is no sink type {name!r}{nearest}; installed: {', '.join(installed) or 'none'}"

    def patterns(self, key: str, patterns: Sequence[str]) -> Patterns | None:
        before = len(self.problems)
        for pattern in patterns:
            try:
                check_pattern(pattern)
            except ValueError as error:
                self.problem(key, str(error))
        return Patterns(patterns) if len(self.problems) == before else None

    def resolve(self, key: str, value: Any) -> Any:
        """``value`` with every ``{ env = "NAME" }`` and ``{ file = "PATH" }`` in it replaced by what it refers to."""
        match value:
            case {"env": str() as name, **rest} if not rest:
                return self.from_environment(key, name)
            case {"file": str() as path, **rest} if not rest:
                return self.from_file(key, path)
            case Mapping():
                return {name: self.resolve(f"{key}.{name}", item) for name, item in value.items()}
            case list():
                return [self.resolve(f"{key}[{number}]", item) for number, item in enumerate(value)]
            case _:
                return value

    def from_environment(self, key: str, name: str) -> str:
        value = os.environ.get(name, "")
        if not value:
            state = "empty" if name in os.environ else "not set"
            self.problem(key, f"the environment variable {name} is {state}")
        return self.referenced(value)

    def from_file(self, key: str, path: str) -> str:
        try:
            return self.referenced((self.folder / path).read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "its name or its text is not valid"
            self.problem(key, f"the file {path} cannot be read: {why}")
            return ""

    def referenced(self, value: str) -> str:
        if len(value) >= _SHORTEST_SECRET:
            self.references.add(value)
        return value

    def unknown_keys(self, key: str, given: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        for name in given:
            if name not in known:
                self.problem(f"{key}.{name}".lstrip("."), _unknown_key(str(name), list(known)))

    def validation_problem(
        self, key: str, model: type[BaseModel], detail: ErrorDetails, also_known: Sequence[str]
    ) -> None:
        path = ".".join([key, *(str(part) for part in detail["loc"])])
        match detail["type"]:
            case "missing":
                sentence = "is required"
            case "extra_forbidden":
                *inside, name = detail["loc"]
                sentence = _unknown_key(str(name), [*_keys(model, inside), *(() if inside else also_known)])
            case "value_error":
                sentence = str(detail["ctx"]["error"]) if "ctx" in detail else detail["msg"]
            case "tuple_type" | "list_type":
                sentence = "expected a list, in square brackets"
            case "dict_type" | "model_type":
                sentence = "expected a table, such as { key = value }"
            case "too_short":
                sentence = "must not be empty"
            case _:
                sentence = detail["msg"][:1].lower() + detail["msg"][1:]
        self.problem(path, sentence)


def _keys(model: type[BaseModel], path: Sequence[str | int]) -> list[str]:
    """The names of the fields of ``model``, or of the model that ``path`` leads to inside it."""
    for part in path:
        field = model.model_fields.get(str(part))
        if field is None or not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            return []
        model = field.annotation
    return [field.alias or name for name, field in model.model_fields.items()]


def _unknown_key(name: str, known: Sequence[str]) -> str:
    listed = f"; known keys: {', '.join(known)}" if known else ""
    return f"unknown key{_nearest(name, known)}{listed}"


def _nearest(name: str, known: Sequence[str]) -> str:
    match = next(iter(difflib.get_close_matches(name, known, n=1)), None)
    return f", did you mean {match!r}?" if match else ""
