"""Reads tables, resolves references, and collects what is wrong, so that a user sees all of it at once."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from supertokens_events.config.model import (
    DEFAULT_EVENTS,
    CaptureSettings,
    CommonSinkKeys,
    DispatcherSettings,
    SinkConfig,
)
from supertokens_events.config.stamps import Stamp, stamp
from supertokens_events.log import describe_exception
from supertokens_events.plugins import Plugins
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import Sink
from supertokens_events.subscription import (
    OBJECTS,
    ConditionError,
    Conditions,
    Patterns,
    Subscription,
    check_pattern,
)
from supertokens_events.suggest import nearest

__all__ = ["OWN_SINK_TYPES", "Reader"]

OWN_SINK_TYPES = ("file", "segment", "slack", "webhook")

_SHORTEST_SECRET = 4  # characters; anything shorter stands in every sentence
_SINK_NAME = re.compile(r"[A-Za-z0-9_-]+")
_COMMON_KEYS = list(CommonSinkKeys.model_fields)

TableT = TypeVar("TableT", bound=BaseModel)


class Reader:
    """One document. ``files`` grows with those that it refers to. ``decrypt`` is for what we have stored ourselves: it gives the
    text behind ``{ encrypted = "…" }``, or raises ``ValueError`` with a sentence.
    """

    def __init__(
        self,
        file: str,
        folder: Path,
        plugins: Plugins,
        files: dict[Path, Stamp],
        decrypt: Callable[[str], str] | None = None,
    ) -> None:
        self.file = file
        self.folder = folder
        self.plugins = plugins
        self.files = files
        self.decrypt = decrypt
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

    def sinks(self, tables: Any, dispatcher: DispatcherSettings) -> dict[str, SinkConfig]:
        if not isinstance(tables, Mapping):
            self.problem("sinks", "expected one table for each sink, such as [sinks.crm]")
            return {}
        sinks = (self.sink(name, table, dispatcher) for name, table in tables.items())
        return {sink.name: sink for sink in sinks if sink is not None}

    def sink(self, name: object, table: Any, dispatcher: DispatcherSettings) -> SinkConfig | None:
        key = f"sinks.{name}"
        if not isinstance(name, str) or not _SINK_NAME.fullmatch(name):
            self.problem(key, "a sink's name consists of letters, digits, '-' and '_'")
            return None
        common = self.common(key, table)
        if common is None:
            return None
        subscription = self.subscription(key, common)
        sink_type = self.sink_type(key, common.type)
        settings = self.own_settings(key, table, sink_type)
        base = sink_type.retry if sink_type else RetryPolicy()
        retry = self.table(RetryPolicy, f"{key}.retry", {**base.model_dump(), **common.retry})
        if subscription is None or retry is None:
            return None
        return SinkConfig(
            name,
            common.type,
            subscription,
            common.enabled,
            retry,
            sink_type,
            settings,
            ordered=_is_ordered(sink_type, common),
            concurrency=common.concurrency or _usual_concurrency(sink_type, dispatcher),
            rate=common.rate,
            table=table,
        )

    def common(self, key: str, table: Any) -> CommonSinkKeys | None:
        """The keys that every sink has. In ``where`` a table may be a field's, so references are looked for deeper."""
        if not isinstance(table, Mapping):
            return self.table(CommonSinkKeys, key, table)
        given = {name: value for name, value in table.items() if name in _COMMON_KEYS}
        where = given.pop("where", {})
        if not isinstance(where, Mapping):
            return self.table(CommonSinkKeys, key, given | {"where": where})
        common = self.table(CommonSinkKeys, key, given)
        return common and common.model_copy(update={"where": self.without_references(f"{key}.where", where)})

    def without_references(self, key: str, where: Mapping[str, Any]) -> dict[str, Any]:
        resolved: dict[str, Any] = {}
        for name, value in where.items():
            path = f"{key}.{name}"
            if isinstance(value, Mapping) and name in OBJECTS:
                resolved[name] = {inner: self.resolve(f"{path}.{inner}", item) for inner, item in value.items()}
            else:
                resolved[name] = self.resolve(path, value)
        return resolved

    def subscription(self, key: str, common: CommonSinkKeys) -> Subscription | None:
        patterns = self.patterns(f"{key}.events", common.events)
        try:
            where = Conditions(common.where) if common.where else None
        except ConditionError as error:
            for path, sentence in error.problems:
                self.problem(f"{key}.where.{path}", sentence)
            return None
        return None if patterns is None else Subscription(patterns, common.tenants, where)

    def own_settings(self, key: str, table: Any, sink_type: type[Sink[Any]] | None) -> BaseModel | None:
        if sink_type is None:
            return None
        if taken := [name for name in _keys(sink_type.Settings, ()) if name in _COMMON_KEYS]:
            self.problem(
                f"{key}.type", f"this sink type has a key {taken[0]!r}, as every sink has; that is a bug in it"
            )
            return None
        own = {name: value for name, value in table.items() if name not in _COMMON_KEYS}
        return self.table(sink_type.Settings, key, own, also_known=_COMMON_KEYS)

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
        near = nearest(name, [*installed, *OWN_SINK_TYPES])
        return f"there is no sink type {name!r}{near}; installed: {', '.join(installed) or 'none'}"

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
            case {"encrypted": str() as text, **rest} if not rest and self.decrypt is not None:
                return self.decrypted(key, text, self.decrypt)
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
        file = self.folder / path
        self.files[file.absolute()] = stamp(file)
        try:
            return self.referenced(file.read_text(encoding="utf-8").rstrip("\r\n"))
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "its name or its text is not valid"
            self.problem(key, f"the file {path} cannot be read: {why}")
            return ""

    def decrypted(self, key: str, text: str, decrypt: Callable[[str], str]) -> str:
        try:
            return self.referenced(decrypt(text))
        except ValueError as error:
            self.problem(key, str(error))
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


def _is_ordered(sink_type: type[Sink[Any]] | None, common: CommonSinkKeys) -> bool:
    if common.ordering is None:
        return sink_type is not None and sink_type.ordered
    return common.ordering == "user"


def _usual_concurrency(sink_type: type[Sink[Any]] | None, dispatcher: DispatcherSettings) -> int | None:
    """What ``[dispatcher]`` says, unless the sink's type says for itself: a file is written by one at a time."""
    own = sink_type is None or sink_type.concurrency != Sink.concurrency
    return None if own else dispatcher.concurrency


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
    return f"unknown key{nearest(name, known)}{listed}"
