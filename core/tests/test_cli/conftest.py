"""A folder with a configuration, a plugin that brings the sink type ``box``, and two ways to run the command line."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from supertokens_events.cli import cli
from supertokens_events.config import CONFIG_VARIABLE
from supertokens_events.plugins import DISABLE_VARIABLE

PROGRAM = [sys.executable, "-m", "supertokens_events"]

BOX = """
    import asyncio
    import signal
    import sys
    import threading
    from pathlib import Path
    from typing import Literal

    import anyio
    import anyio.to_thread
    from pydantic import SecretStr

    from supertokens_events import hookimpl
    from supertokens_events.sink import Delivered, Rejected, Retry, Sink, SinkSettings


    class BoxSettings(SinkSettings):
        path: Path
        answer: Literal["delivered", "retry", "rejected", "gone"] = "delivered"
        token: SecretStr | None = None
        url: str | None = None
        broken: bool = False
        problem: str = ""
        wait_for: Path | None = None
        hang: bool = False
        block: str | None = None


    def block():
        threading.Event().wait()


    async def block_the_loop():
        block()


    async def leave_a_thread_behind():
        threading.Thread(target=block).start()
        await anyio.sleep_forever()


    BLOCK = {
        "a worker thread": lambda: anyio.to_thread.run_sync(block),
        "an executor's thread": lambda: asyncio.to_thread(block),
        "a thread of its own": leave_a_thread_behind,
        "the event loop": block_the_loop,
    }


    class Box(Sink[BoxSettings]):
        type = "box"
        Settings = BoxSettings

        async def open(self):
            if self.settings.broken:
                raise OSError("no place")

        async def close(self):
            if self.settings.block == "its close":
                await anyio.to_thread.run_sync(block)

        async def deliver(self, deliveries):
            if self.settings.wait_for:
                print('{"event": "box: delivering"}', file=sys.stderr, flush=True)
                await anyio.Path(self.settings.wait_for).read_text()
            if self.settings.block:
                print('{"event": "box: blocking"}', file=sys.stderr, flush=True)
            if self.settings.block in BLOCK:
                await BLOCK[self.settings.block]()
            if self.settings.hang:
                signal.raise_signal(signal.SIGTERM)
                await anyio.sleep_forever()
            if self.settings.answer == "retry":
                return [Retry("the box is full")] * len(deliveries)
            if self.settings.answer == "rejected":
                return [Rejected("the box is locked")] * len(deliveries)
            if self.settings.answer == "gone":
                return [Rejected("the box is gone", disables=True)] * len(deliveries)
            with self.settings.path.open("ab") as file:
                file.writelines(delivery.body + b"\\n" for delivery in deliveries)
            return [Delivered()] * len(deliveries)

        async def check(self):
            if self.settings.broken:
                raise OSError("no place")
            if self.settings.hang:
                await anyio.sleep_forever()
            return [self.settings.problem] if self.settings.problem else []


    @hookimpl
    def register_sink_types():
        return [Box]
"""

CONFIGURATION = """
[outbox]
url = "sqlite:events.db"

[sinks.first]
type = "box"
events = ["user.*"]
path = "{folder}/first.jsonl"

[sinks.second]
type = "box"
events = ["user.created", "session.*"]
tenants = ["public", "acme"]
enabled = false
path = "{folder}/second.jsonl"
"""

_numbers = itertools.count()


class Place:
    """A working folder."""

    def __init__(self, folder: Path, site: Path) -> None:
        self.folder = folder
        self.file = folder / "supertokens-events.toml"
        self._site = site
        self.started: list[subprocess.Popen[str]] = []

    def configure(self, text: str = CONFIGURATION) -> None:
        """Write the configuration; ``{folder}`` in it is this folder."""
        self.file.write_text(textwrap.dedent(text).replace("{folder}", str(self.folder)))

    def install(self, name: str, source: str, attribute: str = "") -> None:
        """Install a package with one module and one entry point, both called ``name``."""
        module = f"{name}_{next(_numbers)}"  # a module is imported once in a process
        (self._site / f"{module}.py").write_text(textwrap.dedent(source))
        info = self._site / f"{name}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2.3\n")
        (info / "entry_points.txt").write_text(f"[supertokens_events]\n{name} = {module}{attribute}\n")
        importlib.invalidate_caches()

    def run(self, *arguments: str) -> Result:
        """Run the command line in this process. What it does not handle itself is raised here."""
        return CliRunner().invoke(cli, arguments, catch_exceptions=False)

    def lines(self, *arguments: str) -> list[dict]:
        """What it prints with ``--json``, and nothing else on stdout."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return [json.loads(line) for line in result.stdout.splitlines()]

    def shell(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it as a user does, in a process of its own."""
        return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, timeout=60, check=False)

    def start(self, *arguments: str, program=PROGRAM, **options) -> subprocess.Popen[str]:
        """Start it, to talk to it by signals and to read its stderr. It is gone when the test ends."""
        process = subprocess.Popen([*program, *arguments], **{"stderr": subprocess.PIPE, "text": True, **options})
        self.started.append(process)
        return process

    def stop(self) -> None:
        """End what was started, however the test went."""
        for process in self.started:
            process.kill()
            process.wait()
            if process.stderr:
                process.stderr.close()

    def received(self, name: str) -> list[dict]:
        """The events that a box has."""
        path = self.folder / f"{name}.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A folder without a configuration, and without any plugin but those that a test installs."""
    folder, site = tmp_path / "folder", tmp_path / "site"
    folder.mkdir()
    site.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.delenv(CONFIG_VARIABLE, raising=False)
    monkeypatch.setenv(DISABLE_VARIABLE, ",".join(point.name for point in entry_points(group="supertokens_events")))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")])))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.syspath_prepend(site)
    place = Place(folder, site)
    yield place
    place.stop()


@pytest.fixture
def place(empty: Place) -> Place:
    """A folder with a configuration and the sink type ``box``."""
    empty.install("box", BOX)
    empty.configure()
    return empty
