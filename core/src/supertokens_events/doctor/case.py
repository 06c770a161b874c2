"""What the doctor is given to look at: as much of a configuration as can be read, its outbox, and an app if there is one."""

from __future__ import annotations

import os
import re
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from supertokens_events.config import ConfigurationError, Settings, load_file, load_settings
from supertokens_events.events import Events
from supertokens_events.outbox import Outbox, OutboxError
from supertokens_events.plugins import Plugins

__all__ = ["Case", "opened", "read_configuration"]

_TRIES = 5


@dataclass(frozen=True)
class Case:
    """``settings`` is what of the configuration can be used, ``None`` when nothing can; ``problems`` are what is wrong with it.
    ``outbox`` is ``None`` when its table is among them, ``outbox_problem`` is why it cannot be opened.

    ``app`` is the app's own ``Events``, if it was given. ``offline``: no sink and no core is asked. ``run_overrides``: the app's
    overrides may be run. ``servers`` are files that configure the app's server. ``patience`` is in seconds, for each family of
    questions; ``clock`` gives seconds since the epoch.
    """

    plugins: Plugins
    settings: Settings | None
    problems: Sequence[str] = ()
    outbox: Outbox | None = None
    outbox_problem: str | None = None
    app: Events | None = None
    offline: bool = False
    run_overrides: bool = False
    servers: Sequence[Path] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    patience: float = 20.0
    clock: Callable[[], float] = time.time


def read_configuration(file: Path, plugins: Plugins) -> tuple[Settings | None, Sequence[str]]:
    """What of the configuration can be used, and every problem with it: a table that is wrong does not hide the others."""
    try:
        return load_file(file, plugins), ()
    except ConfigurationError as error:
        return _usable(file, plugins, error.problems), error.problems


@contextmanager
def opened(case: Case) -> Iterator[Case]:
    """The case with its outbox, and with the sinks that are stored there. Nothing is dispatched."""
    if case.settings is None or _is_about("outbox", case.problems):
        yield case
        return
    try:
        events = Events(case.settings, case.plugins, thread=False)
    except ConfigurationError as error:  # what its URL needs is not installed
        yield replace(case, problems=[*case.problems, *error.problems])
        return
    try:
        try:
            events.outbox.open()
        except OutboxError as error:
            yield replace(case, outbox=events.outbox, outbox_problem=str(error))
        else:
            events.follow(now=True)
            yield replace(case, settings=events.settings, outbox=events.outbox)
    finally:
        events.stop(timeout=2)


def _usable(file: Path, plugins: Plugins, problems: Sequence[str]) -> Settings | None:
    """The settings without the tables that have problems; of ``[sinks]`` only the sinks that have."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    for _ in range(_TRIES):
        for key in _keys(str(file), problems):
            _remove(document, key)
        try:
            settings = load_settings(document, plugins, file=str(file), folder=file.resolve().parent)
            return replace(settings, path=file.absolute())
        except ConfigurationError as error:
            problems = error.problems
    return None


def _remove(document: dict[str, Any], key: str) -> None:
    table, _, rest = key.partition(".")
    sinks = document.get("sinks")
    name = rest.partition(".")[0]
    if table == "sinks" and isinstance(sinks, dict) and name in sinks:
        del sinks[name]
    else:
        document.pop(table, None)


def _keys(file: str, problems: Sequence[str]) -> list[str]:
    return [re.split(r"[:\[]", problem.removeprefix(f"{file}: "), maxsplit=1)[0] for problem in problems]


def _is_about(table: str, problems: Sequence[str]) -> bool:
    return any(re.search(rf": {table}(\.|:)", problem) for problem in problems)
