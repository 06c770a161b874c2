"""The tutorial "Write a sink", done as a stranger does it: every block, in order, from an empty folder on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from apps.environments import Environment

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs/guide/write-a-sink.md"
PORT = "8023"  # on the page


class Stranger:
    """Somebody at a terminal in ``folder``, with an environment that is empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "empty"
        self.folder.mkdir()
        self.environment = Environment(folder / "venv")
        for program, module in (("pytest", "pytest"), ("supertokens-events", "supertokens_events")):
            self._script(program, f'exec "{self.environment.python}" -m {module} "$@"')
        self.variables = self.environment.variables | {"COLUMNS": "80"}
        self.variables["PATH"] = f"{self.environment.python.parent}{os.pathsep}{self.variables['PATH']}"
        self.started: list[subprocess.Popen[bytes]] = []

    def _script(self, program: str, line: str) -> None:
        script = self.environment.python.with_name(program)
        script.write_text(f"#!/bin/sh\n{line}\n")
        script.chmod(0o755)

    def save(self, name: str, text: str) -> None:
        """Write a file, or put it in place of one."""
        (self.folder / name).write_text(text)

    def type(self, command: str) -> str:
        """What it prints. Packages are installed without a network, and not by pip."""
        match command.split():
            case ["cd", folder]:
                self.folder /= folder
            case ["export", assignment]:
                name, _, value = assignment.partition("=")
                self.variables[name] = value
            case ["pip", "install", "supertokens-events"]:
                self.environment.install(ROOT / "core")
            case ["pip", "install", "-e", "'.[test]'"]:
                self.environment.install(self.folder, editable=True)
            case [*_, "&"]:
                self.start(command.removesuffix("&"))
            case _:
                return self.run(command)
        return ""

    def run(self, command: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command], cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}:\n{done.stdout}{done.stderr}"
        return done.stdout

    def start(self, command: str) -> None:
        """In the background, until it listens on the port that the page says."""
        shell = ["sh", "-c", command]
        self.started.append(subprocess.Popen(shell, cwd=self.folder, env=self.variables, start_new_session=True))
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(self.variables["PORT"]))) == 0:
                    return
            time.sleep(0.02)
        pytest.fail(f"{command} does not listen")

    def leave(self) -> None:
        for process in self.started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def stranger(tmp_path):
    stranger = Stranger(tmp_path)
    yield stranger
    stranger.leave()


@pytest.fixture
def port():
    """One that is free."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        return str(bound.getsockname()[1])


def is_said(printed: str, told: str) -> bool:
    """Whether ``printed`` is what the page tells; ``…`` stands for anything, and columns may be of any width."""
    expected, found = (" ".join(text.split()) for text in (told, printed))
    return re.fullmatch(re.escape(expected).replace("…", ".*"), found) is not None


def ruff_as_its_readme_says(folder: Path) -> str:
    """What ruff has to say of what is there when the page ends."""
    (command,) = re.findall(r"`ruff (check[^`]*)`", (folder / "README.md").read_text())
    ruff = [sys.executable, "-m", "ruff", *command.split(), "--no-cache"]
    return subprocess.run(ruff, cwd=folder, capture_output=True, text=True, check=False).stdout


def test_the_tutorial(stranger, port):
    """Each file is saved, each command is run, and prints what the page says; at its end an event is delivered."""
    text = PAGE.read_text(encoding="utf-8").replace(PORT, port)
    stranger.variables["PORT"] = port
    commands = 0

    for language, block in re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if language == "console":
            for command, told in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                printed = stranger.type(command)
                assert is_said(printed, told), f"$ {command}\n{printed}"
                commands += 1
        else:
            stranger.save(re.match(r"# (\S+)\n", block)[1], block)

    assert commands == 13
    assert "our-sign-ups" in (stranger.folder / "notifications.txt").read_text()
    assert ruff_as_its_readme_says(stranger.folder) == "All checks passed!\n"
