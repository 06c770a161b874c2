"""A sink that somebody else has written, packed and installed works like ours, with nothing but the entry point to find it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from zipfile import ZipFile

import pytest

from apps.processes import run_python

ACME = Path(__file__).parent / "plugins" / "acme_sink"

CONFIGURATION = """
[outbox]
url = "sqlite:events.db"

[sinks.night_shift]
type   = "acme_pager"
events = ["session.token_theft_detected", "user.*"]
host   = "127.0.0.1"
{own}

[sinks.night_shift.retry]
schedule = ["1s", "1s"]
jitter   = 0
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with Acme's distribution in it, built by its own build backend and unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("acme")
    shutil.copytree(ACME, folder / "source")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=folder / "source", check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def command(installed, tmp_path):
    """Runs ``supertokens-events`` where Acme's sink is installed, with these settings of its own."""

    def run(*arguments, own='port = 1\nteam = "blue"\nkey = "canary-pager-key"'):
        (tmp_path / "supertokens-events.toml").write_text(CONFIGURATION.format(own=own))
        return run_python("-m", "supertokens_events", *arguments, cwd=tmp_path, PYTHONPATH=str(installed))

    return run


@contextmanager
def pager(*answers: str) -> Iterator[tuple[int, list[str]]]:
    """Acme's pager: its port, and the lines that it was sent. It answers one after the other, the last one for ever."""
    lines: list[str] = []

    class Page(StreamRequestHandler):
        def handle(self) -> None:
            line = self.rfile.readline().decode().strip()
            if line:
                lines.append(line)
                self.wfile.write(answers[min(len(lines), len(answers)) - 1].encode())

    with ThreadingTCPServer(("127.0.0.1", 0), Page) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server.server_address[1], lines
        server.shutdown()
        thread.join()


def own_settings(port: int) -> str:
    return f'port = {port}\nteam = "blue"\nkey = "canary-pager-key"'


def test_it_is_listed(command):
    """``plugins`` shows its package, its version and its sink type, beside ours."""
    done = command("plugins", "--json")

    found = {plugin["name"]: plugin for plugin in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stderr
    assert {"acme_pager", "file", "webhook"} <= set(found)
    assert found["acme_pager"]["distribution"] == "acme-pager-sink"
    assert found["acme_pager"]["version"] == "2.3.0"
    assert found["acme_pager"]["sink_types"] == ["acme_pager"]


def test_it_delivers(command):
    """An event reaches the pager, and only one that its subscription wants."""
    with pager("ok") as (port, lines):
        own = own_settings(port)
        sent = command("send", "user.created", "--user-id", "ada", "--json", own=own)
        command("send", "session.created", own=own)

        done = command("dispatch", "--until-empty", own=own)

    event_id = json.loads(sent.stdout)["id"]
    assert done.returncode == 0, done.stderr
    assert lines == [f"canary-pager-key blue {event_id} user.created ada"]


def test_its_outcomes_are_kept(command):
    """What it makes of the pager's answer decides: ``never`` is a dead letter with its own reason."""
    with pager("never") as (port, lines):
        own = own_settings(port)
        command("send", "user.created", own=own)
        command("dispatch", "--until-empty", own=own)

        done = command("deliveries", "--json", own=own)

    (delivery,) = map(json.loads, done.stdout.splitlines())
    assert len(lines) == 1
    assert delivery["state"] == "dead"
    assert "the pager says 'never'" in done.stdout


def test_wrong_settings_name_its_keys(command):
    """A mistake in its table is named with file and key, and its own keys are offered; all mistakes at once."""
    own = 'port = 70000\nteem = "blue"\nkey = "canary-pager-key"'

    done = command("check", own=own)

    assert done.returncode == 2
    for sentence in (
        "port: input should be less than 65536",
        "team: is required",
        "teem: unknown key, did you mean 'team'?",
    ):
        assert f"supertokens-events.toml: sinks.night_shift.{sentence}" in done.stderr
    assert "Traceback" not in done.stderr
    assert "canary-pager-key" not in done.stderr


def test_its_secret_is_not_shown(command):
    """``check`` shows its settings, but not the one that it calls a secret."""
    done = command("check")

    assert done.returncode == 0, done.stderr
    assert "blue" in done.stdout
    assert "canary-pager-key" not in done.stdout + done.stderr


def test_without_its_package_it_is_named(command, tmp_path):
    """Where the package is missing, its type is an error that lists what is installed and suggests no stranger's package."""
    command("plugins")

    done = run_python("-m", "supertokens_events", "check", cwd=tmp_path)

    assert done.returncode == 2
    assert "sinks.night_shift.type: there is no sink type 'acme_pager'; installed: file, " in done.stderr
    assert "pip install" not in done.stderr
