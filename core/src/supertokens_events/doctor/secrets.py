"""Are the secrets strong, and kept where only those read them who must? None is ever shown."""

from __future__ import annotations

import re
import stat
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr

from supertokens_events.config import Settings
from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning
from supertokens_events.doctor.strength import weakness
from supertokens_events.stored.secrets import plain_secrets
from supertokens_events.urls import without_secrets

__all__ = ["secrets"]

# Other secrets, such as a header that names an environment, may be as simple as they like.
_MUST_BE_STRONG = re.compile(r"secret|key|token|password|authorization", re.IGNORECASE)
_NEW_ONE = "Make a new one from random bytes, such as 'openssl rand -hex 32' prints, and give it to both sides."


def secrets(case: Case) -> Iterator[Finding]:
    """Strength first, then where they stand."""
    if case.settings is None:
        return
    found = [*_weak(case.settings), *_readable(case.settings)]
    yield from found
    if not found:
        yield ok(
            "secrets.strong",
            "No secret of the configuration looks easy to guess, or stands in a file that others read.",
        )


def _weak(settings: Settings) -> Iterator[Finding]:
    for key, secret in _all(settings):
        if (why := weakness(secret)) is not None:
            yield problem(
                "secrets.weak",
                f"The secret {key} {why}.",
                why="Who guesses it can pass for you: sign webhooks, use the API, or read what is stored encrypted.",
                do=_NEW_ONE,
                subject=key,
            )


def _all(settings: Settings) -> Iterator[tuple[str, str]]:
    """Each secret that has to be strong, by its key."""
    for number, key in enumerate(settings.server.api_keys):
        yield f"server.api_keys[{number}]", key.get_secret_value()
    for number, key in enumerate(settings.server.encryption_key):
        yield f"server.encryption_key[{number}]", key.get_secret_value()
    if settings.core.api_key is not None:
        yield "core.api_key", settings.core.api_key.get_secret_value()
    for config in settings.sinks.values():
        for path, secret in _inside(f"sinks.{config.name}", config.settings):
            if _MUST_BE_STRONG.search(path.removeprefix(f"sinks.{config.name}")):
                yield path, secret


def _inside(path: str, value: Any) -> Iterator[tuple[str, str]]:
    match value:
        case SecretStr():
            if text := value.get_secret_value():
                yield path, text
        case BaseModel():
            for name, item in value:
                yield from _inside(f"{path}.{name}", item)
        case Mapping():
            for name, item in value.items():
                yield from _inside(f"{path}.{name}", item)
        case list() | tuple():
            for number, item in enumerate(value):
                yield from _inside(f"{path}[{number}]", item)


# Where they stand -------------------------------------------------------------------------------------------------------


def _readable(settings: Settings) -> Iterator[Finding]:
    for file in settings.files:
        if file != settings.path and _is_for_all(file):
            yield warning(
                "secrets.file_readable",
                f"The file {file.name}, which the configuration refers to, can be read by every user of this machine.",
                why="Whoever logs in here, or breaks into another service here, has what is in it.",
                do=f"chmod 600 {file}",
                subject=str(file),
            )
    written = sorted(_written(settings))
    if not written or settings.path is None:
        return
    what = f"{settings.file} has secrets in it as they are: {', '.join(written)}."
    instead = 'Write { env = "NAME" } or { file = "PATH" } in its place.'
    if _is_for_all(settings.path):
        yield warning(
            "secrets.in_configuration",
            f"{what} Every user of this machine can read it.",
            why="Whoever logs in here has them, and so has whoever sees the repository or a backup.",
            do=f"{instead} Until then: chmod 600 {settings.path}",
        )
    else:
        yield note(
            "secrets.in_configuration",
            what,
            why="They go wherever this file goes: repositories, images, backups.",
            do=instead,
        )


def _written(settings: Settings) -> Iterator[str]:
    """The keys whose secrets stand in the file itself."""
    for config in settings.sinks.values():
        yield from (
            f"sinks.{config.name}.{key}" for key, _ in plain_secrets(config.sink_type, config.settings, config.table)
        )
    if settings.path is None:
        return
    document = tomllib.loads(settings.path.read_text(encoding="utf-8"))
    url = document.get("outbox", {}).get("url")
    if isinstance(url, str) and without_secrets(url) != url:
        yield "outbox.url"
    for table, name in (("server", "api_keys"), ("server", "encryption_key"), ("core", "api_key")):
        value = document.get(table, {}).get(name)
        if any(isinstance(one, str) for one in (value if isinstance(value, list) else [value])):
            yield f"{table}.{name}"


def _is_for_all(file: Path) -> bool:
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
