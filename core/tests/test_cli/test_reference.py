"""docs/reference/cli.md says what is so."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from supertokens_events.cli import cli

PAGE = (Path(__file__).parents[3] / "docs/reference/cli.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def plain(text):
    """Without what depends on the width of a column, and on how long the test took."""
    lines = (" ".join(line.split()) for line in text.splitlines())
    return "".join(re.sub(r"\bnow(?=:|$)", "0 s ago", line) + "\n" for line in lines)


def leaves(group, *names):
    """Every command that is no group, by its whole name."""
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from leaves(command, *names, name)
        else:
            yield pytest.param(" ".join([*names, name]), command, id=" ".join([*names, name]))


@pytest.mark.parametrize(("name", "command"), list(leaves(cli)))
def test_every_command_and_option_is_described(name, command):
    """Each command has a section whose first line names its arguments and options, and no others."""
    (line,) = re.findall(rf"^## {name}\n\n`(.*?)`", PAGE, re.MULTILINE | re.DOTALL)

    options = [name for parameter in command.params if isinstance(parameter, click.Option) for name in parameter.opts]
    assert line.startswith(name)
    assert sorted(re.findall(r"--[a-z-]+", line)) == sorted(options)


def test_the_examples_are_true(empty, monkeypatch):
    """Every example, run in order with the page's configuration, prints what the page says; `…` stands for anything."""
    pytest.importorskip("supertokens_events_file")
    monkeypatch.setenv("SUPERTOKENS_EVENTS_DISABLE", "webhook")
    (configuration,) = blocks("toml")
    empty.configure(configuration)

    for block in blocks("console"):
        command, said = block.removeprefix("$ supertokens-events ").split("\n", 1)
        result = empty.run(*shlex.split(command))

        printed = plain(result.stdout or result.stderr)
        assert re.match(re.escape(plain(said)).replace("…", ".*"), printed), f"{command}:\n{printed}"
