"""The command line as a whole: help, exit codes, interruptions, and the commands of plugins."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from click.testing import CliRunner

from supertokens_events.cli import cli

COMMANDS = [
    "init",
    "check",
    "doctor",
    "plugins",
    "catalog",
    "send",
    "dispatch",
    "status",
    "events",
    "deliveries",
    "why",
    "dead",
    "replay",
    "enable",
    "backfill",
    "reconcile",
    "serve",
    "prune",
    "erase",
    "new-sink",
]

WITH_COMMANDS = """
    import click
    from supertokens_events import hookimpl

    @hookimpl
    def register_commands(cli):
        @cli.command()
        def greet():
            "Says hello."
            click.echo("hello")

        @cli.command()
        def interrupt():
            raise KeyboardInterrupt
"""


def test_help_lists_every_command(empty):
    """`--help` lists the commands in the order in which one needs them."""
    result = empty.run("--help")

    assert result.exit_code == 0
    commands = result.stdout.partition("Commands:\n")[2]
    assert [line.split()[0] for line in commands.splitlines()] == COMMANDS
    assert "..." not in commands


def test_help_imports_next_to_nothing(place):
    """`--help` imports neither the SDK nor rich, aiohttp, pydantic, structlog or any plugin: it answers at once."""
    heavy = {"supertokens_python", "rich", "aiohttp", "httpx", "pydantic", "structlog", "anyio", "sqlite3"}
    script = "import sys; from supertokens_events.cli import cli; cli(['--help'], standalone_mode=False); print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)

    modules = set(done.stdout.splitlines()[-1].split())
    assert "supertokens_events.cli" in modules
    assert not heavy & modules
    assert not any(name.startswith("box") for name in modules)


def test_the_module_runs_too(empty):
    """`python -m supertokens_events --version` says the installed version."""
    done = empty.shell("--version")

    assert done.returncode == 0
    assert done.stdout.startswith("supertokens-events 0.")


def test_an_unknown_command_is_wrong_usage(empty):
    """A misspelt command exits 2 and names it."""
    result = empty.run("chekc")

    assert result.exit_code == 2
    assert "chekc" in result.stderr


@pytest.mark.parametrize("arguments", [["events", "--json"], ["events"], ["check"]])
def test_a_broken_pipe_is_quiet(place, arguments):
    """When the reader goes away, the program ends without a word."""
    place.run("send", "user.created")
    reader, writer = os.pipe()
    os.close(reader)

    process = place.start(*arguments, stdout=writer)
    os.close(writer)
    _, stderr = process.communicate(timeout=60)

    assert stderr == ""


def test_output_survives_any_terminal(place, monkeypatch):
    """A character that the terminal does not know is spelled out."""
    monkeypatch.setenv("PYTHONIOENCODING", "iso8859-6")

    done = place.shell("check")

    assert done.returncode == 0
    assert r"\xb120%" in done.stdout


# Commands of plugins


def test_a_plugin_adds_a_command(empty):
    """A command of a plugin is listed and runs."""
    empty.install("greeter", WITH_COMMANDS)

    assert "greet" in empty.run("--help").stdout
    assert empty.run("greet").stdout == "hello\n"


def test_a_plugin_that_is_an_object_adds_a_command(empty):
    """The entry point may name an object in a module."""
    source = """
        from supertokens_events import hookimpl

        class Plugin:
            @hookimpl
            def register_commands(self, cli):
                cli.command("greet")(lambda: print("hello"))

        plugin = Plugin()
    """
    empty.install("greeter", source, attribute=":plugin")

    assert empty.run("greet").stdout == "hello\n"


def test_a_plugin_that_raises_is_reported(empty):
    """A plugin whose `register_commands` raises is named on stderr; the others and the built-in commands go on."""
    empty.install("greeter", WITH_COMMANDS)
    empty.install(
        "broken",
        """
        from supertokens_events import hookimpl

        @hookimpl
        def register_commands(cli):
            raise RuntimeError("out of order")
        """,
    )

    result = empty.run("greet")

    assert (result.exit_code, result.stdout) == (0, "hello\n")
    assert result.stderr == "The commands of the plugin 'broken' could not be added: RuntimeError: out of order\n"


def test_a_plugin_for_another_contract_adds_nothing(empty):
    """A plugin that was made for another version of the contract adds no command, and that is said."""
    empty.install("greeter", WITH_COMMANDS + "\n    supertokens_events_api = 2\n")

    result = empty.run("greet")

    assert result.exit_code == 2
    assert "The plugin 'greeter' was made for version 2 of the plugin contract" in result.stderr
    assert "its commands are left out" in result.stderr


def test_a_built_in_command_stays(empty):
    """A plugin cannot take the name of a built-in command."""
    empty.install("greeter", WITH_COMMANDS.replace("def greet", "def catalog"))

    result = empty.run("--help")

    assert "Says hello" not in result.stdout
    assert result.stdout.count("  catalog ") == 1
    assert result.stderr == "The plugin 'greeter' adds a command 'catalog'; the built-in one stays.\n"


def test_ctrl_c_exits_130(empty):
    """An interrupted command exits 130 without a traceback."""
    empty.install("greeter", WITH_COMMANDS)

    result = empty.run("interrupt")

    assert (result.exit_code, result.output) == (130, "")


def test_a_bug_keeps_its_traceback(empty):
    """What is not the user's mistake is not hidden."""
    empty.install("greeter", WITH_COMMANDS.replace("raise KeyboardInterrupt", "raise ZeroDivisionError"))

    result = CliRunner().invoke(cli, ["interrupt"])

    assert isinstance(result.exception, ZeroDivisionError)
