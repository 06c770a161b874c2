"""What there is to find in a configuration that can be read: warnings, and what stands in the way of delivering."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import anyio

from supertokens_events.catalog import Catalog
from supertokens_events.config import DEFAULT_EVENTS, Settings, SinkConfig
from supertokens_events.log import describe_exception
from supertokens_events.outbox import SinkStatus
from supertokens_events.sink import Sink
from supertokens_events.subscription import Patterns
from supertokens_events.suggest import few, nearest, nearest_few

__all__ = ["ask_sink", "ask_sinks", "disabled", "unavailable", "warnings"]

_NAMED = 5  # types that a warning names, however many it is about
_PATIENCE = 30.0  # seconds for one sink's check


def warnings(settings: Settings, catalog: Catalog) -> Iterator[str]:
    """What is allowed and hardly meant: patterns that no event can match, and what the sinks say of their settings."""
    for pattern in settings.capture.events:
        if pattern != DEFAULT_EVENTS and not _asked(pattern, catalog):
            yield f"capture.events: {_unknown(pattern, catalog)}"
    earlier: list[Sink[Any]] = []
    for config in settings.sinks.values():
        for pattern in config.subscription.patterns.patterns:
            for sentence in _pattern_warnings(pattern, settings, catalog):
                yield f"sinks.{config.name}.events: {sentence}"
        for sentence in _own_warnings(config, earlier):
            yield f"sinks.{config.name}.{sentence}"


def _pattern_warnings(pattern: str, settings: Settings, catalog: Catalog) -> Iterator[str]:
    asked = _asked(pattern, catalog)
    if not asked:
        yield _unknown(pattern, catalog)
    elif not pattern.startswith("!") and not any(map(settings.captured(catalog).matches, asked)):
        shown, others = few(asked, like=settings.capture.events, at_most=_NAMED)
        names = [f"{name!r} (high-volume)" if name in catalog.high_volume else repr(name) for name in shown]
        more = f" and {others} more" if others else ""
        yield f"{pattern!r} gets nothing: [capture] events does not ask for {', '.join(names)}{more}"


def _own_warnings(config: SinkConfig, earlier: list[Sink[Any]]) -> Sequence[str]:
    """What the sink says of itself, and beside the ``earlier`` ones that are turned on, to which it is added."""
    try:
        sink = config.build()
        if sink is None:
            return ()
        found = list(sink.warnings())
        if config.enabled:
            found += sink.clashes([one for one in earlier if one.type == sink.type])
            earlier.append(sink)
    except Exception as error:  # a sink's bug is a finding here
        return [f"type: its settings cannot be looked at: {describe_exception(error)}; that is a bug in the sink"]
    return found


def _asked(pattern: str, catalog: Catalog) -> list[str]:
    """The known event types that one pattern is about."""
    alone = Patterns([pattern.removeprefix("!")])
    return [name for name in _names(catalog) if alone.matches(name)]


def _unknown(pattern: str, catalog: Catalog) -> str:
    name = pattern.removeprefix("!")
    hint = nearest(name, _domains(name, catalog) if name.endswith(".*") else _names(catalog))
    return f"no event type of the catalog matches {pattern!r}{hint or '; right if the app emits such events itself'}"


def _names(catalog: Catalog) -> list[str]:
    return [data_model.event_type for data_model in catalog]


def _domains(pattern: str, catalog: Catalog) -> list[str]:
    """The patterns for a whole domain, such as ``user.*``, that look like this one by more than their end."""
    parts = [name.split(".") for name in _names(catalog)]
    domains = [".".join(part[:end]) for part in parts for end in range(1, len(part))]
    return [f"{near}.*" for near in nearest_few(pattern.removesuffix(".*"), dict.fromkeys(domains))]


def disabled(settings: Settings, statuses: Sequence[SinkStatus]) -> Iterator[str]:
    """The sinks whose places want no more events."""
    for one in statuses:
        if one.disabled is not None and one.sink in settings.sinks:
            yield (
                f"sinks.{one.sink}: is disabled, its deliveries wait: {one.disabled.reason}; "
                f"'supertokens-events enable {one.sink}' lets them go out"
            )


def unavailable(config: SinkConfig) -> str:
    """Why a sink without a class cannot deliver."""
    return (
        f"the sink type {config.type_name!r} is not there, and a plugin failed to load "
        "(see 'supertokens-events plugins'); deliveries of this sink wait"
    )


def ask_sinks(settings: Settings) -> Mapping[str, Sequence[str]]:
    """What each sink that is turned on says about its place, all asked at once. Sends no event."""
    turned_on = [
        config for config in settings.sinks.values() if config.enabled and config.sink_type and config.settings
    ]
    asked = {config.name: ask_sink(config, _PATIENCE) for config in turned_on}
    return {name: answer() for name, answer in asked.items()}


def ask_sink(config: SinkConfig, patience: float) -> Callable[[], Sequence[str]]:
    """Begin to ask a sink about its place; the answer is there when the result is called, ``patience`` seconds from now at the
    latest. It is asked on a thread of its own, which is left behind: a sink may block.
    """
    answer: list[str] = []
    answered = threading.Event()
    deadline = time.monotonic() + patience

    def ask() -> None:
        answer.extend(anyio.run(_problems, config, backend="asyncio"))
        answered.set()

    threading.Thread(target=ask, name=f"supertokens-events-ask-{config.name}", daemon=True).start()

    def result() -> Sequence[str]:
        return answer if answered.wait(max(0.0, deadline - time.monotonic())) else [f"no answer within {patience:g} s"]

    return result


async def _problems(config: SinkConfig) -> Sequence[str]:
    try:
        sink = config.build()
        return [] if sink is None else list(await sink.check())
    except Exception as error:  # a sink's bug is a finding here
        return [f"its check raised {describe_exception(error)}; that is a bug in the sink"]
