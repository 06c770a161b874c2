"""Does the app's server fork in a way that threads live through?

Its settings are read, not run: gunicorn's file and ``GUNICORN_CMD_ARGS``, uWSGI's ini file and ``UWSGI_…``.
"""

from __future__ import annotations

import ast
import shlex
import threading
from collections.abc import Iterator, Mapping
from configparser import ConfigParser
from configparser import Error as IniError
from pathlib import Path
from typing import Any, NamedTuple

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning

__all__ = ["servers"]

_USUAL = ("gunicorn.conf.py", "uwsgi.ini")
_NO = ("", "0", "false", "no", "off")
_GREEN = ("gevent", "eventlet", "tornado")
_DISPATCHER = "supertokens-events-dispatch"


class _Server(NamedTuple):
    kind: str
    source: str
    settings: Mapping[str, Any]

    def says(self, name: str) -> bool:
        return str(self.settings.get(name, "")).strip().lower() not in (*_NO, "none")

    def number(self, *names: str) -> int:
        numbers = [str(self.settings[name]) for name in names if name in self.settings]
        return max((int(number) for number in numbers if number.isdecimal()), default=0)


def servers(case: Case) -> Iterator[Finding]:
    """Each server whose settings are given, or lie in the working directory."""
    started = case.app is not None and _dispatches()
    known: list[_Server] = [*_from_environment(case.environment)]
    files = case.servers or [Path(name) for name in _USUAL if Path(name).exists()]
    for file in files:
        try:
            known.append(_read(file))
        except (OSError, ValueError, SyntaxError, IniError) as error:
            yield warning(
                "servers.unreadable",
                f"{file} cannot be read as settings of gunicorn or uWSGI: {_why(error)}.",
                why="Whether the server forks safely is not known.",
                do="Give a gunicorn.conf.py, or an ini file with a section [uwsgi].",
                subject=str(file),
            )
    for server in known:
        yield from (_gunicorn(server) if server.kind == "gunicorn" else _uwsgi(server, started=started))
    if not known and not files:
        yield note(
            "servers.not_known",
            "No settings of gunicorn or uWSGI are known.",
            why="uWSGI starts no threads unless it is told to, and then nothing is stored.",
            do="With one of them give its file: --server uwsgi.ini. Every other server that is tested needs nothing.",
        )


def _why(error: Exception) -> str:
    return (
        getattr(error, "strerror", None)
        or f"it is neither Python nor an ini file with [uwsgi] ({type(error).__name__})"
    )


def _dispatches() -> bool:
    """Whether importing the app has started our dispatcher: before any fork."""
    return any(thread.name.startswith(_DISPATCHER) for thread in threading.enumerate())


def _gunicorn(server: _Server) -> Iterator[Finding]:
    worker = str(server.settings.get("worker_class", "sync"))
    if worker.startswith(_GREEN):
        yield warning(
            "servers.green_threads",
            f"{server.source}: gunicorn's worker class is {worker!r}.",
            why="Green threads take the place of real ones, which storing and delivering need. It is not tested.",
            do='Use sync, gthread or uvicorn\'s worker; or set [dispatcher] run = "off", and try that events are stored.',
            subject=server.source,
        )
        return
    when = "before it forks (preload_app)" if server.says("preload_app") else "in each worker"
    yield ok("servers.forks", f"{server.source}: gunicorn loads the app {when}; both are safe.", subject=server.source)


def _uwsgi(server: _Server, *, started: bool) -> Iterator[Finding]:
    if not server.says("enable-threads") and server.number("threads") < 1:
        yield problem(
            "servers.no_threads",
            f"{server.source}: uWSGI runs without enable-threads.",
            why="No thread of Python's runs then: events are not stored, every auth call waits for append_timeout in vain.",
            do="Set enable-threads = true.",
            subject=server.source,
        )
        return
    forks = server.says("master") or server.number("processes", "workers") > 1
    if not forks or server.says("lazy-apps") or server.says("lazy"):
        yield ok(
            "servers.forks",
            f"{server.source}: uWSGI runs threads, and forks without the app loaded.",
            subject=server.source,
        )
    elif started:
        yield problem(
            "servers.started_before_fork",
            f"{server.source}: uWSGI forks after the app was loaded, and loading it starts the dispatcher.",
            why="uWSGI forks past Python, which cannot hold our threads still: a worker may hang on what one of them held.",
            do="Call events.start() in each worker (@postfork), or set lazy-apps = true.",
            subject=server.source,
        )
    else:
        yield note(
            "servers.forks",
            f"{server.source}: uWSGI forks after the app was loaded.",
            why="That is safe as long as loading the app neither starts the dispatcher nor emits an event.",
            do="Call events.start() in each worker (@postfork), or set lazy-apps = true.",
            subject=server.source,
        )


# Their settings ---------------------------------------------------------------------------------------------------------


def _from_environment(environment: Mapping[str, str]) -> Iterator[_Server]:
    if words := shlex.split(environment.get("GUNICORN_CMD_ARGS", "")):
        yield _Server("gunicorn", "GUNICORN_CMD_ARGS", _options(words))
    uwsgi = {name.removeprefix("UWSGI_").lower().replace("_", "-"): value for name, value in environment.items()
             if name.startswith("UWSGI_") and name not in ("UWSGI_ORIGINAL_PROC_NAME", "UWSGI_RELOADS")}  # fmt: skip
    if uwsgi:
        yield _Server("uwsgi", "UWSGI_… in the environment", uwsgi)


def _options(words: list[str]) -> dict[str, Any]:
    """What of gunicorn's options matters here."""
    found: dict[str, Any] = {"preload_app": "--preload" in words}
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, _, value = word.partition("=")
        if name in ("-k", "--worker-class"):
            found["worker_class"] = value or following
    return found


def _read(file: Path) -> _Server:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".py":
        return _Server("gunicorn", str(file), dict(_assigned(ast.parse(text))))
    parser = ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.read_string(text)
    if not parser.has_section("uwsgi"):
        raise ValueError("no section")
    values: Mapping[str, str | None] = dict(parser.items("uwsgi"))
    return _Server("uwsgi", str(file), {name: "true" if value is None else value for name, value in values.items()})


def _assigned(module: ast.Module) -> Iterator[tuple[str, Any]]:
    """What a module sets to plain values: it is not run."""
    for node in module.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    yield target.id, node.value.value
