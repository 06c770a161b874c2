"""The transcripts in the guide's pages on filling and comparing are what the commands print."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from core_double import CoreDouble
from core_double.users import change_account_info, delete_method
from crowd import crowd, id_of, linked
from supertokens_events.cli import cli

GUIDE = Path(__file__).parents[1] / "docs/guide"


def blocks(page: str, language: str) -> list[str]:
    text = (GUIDE / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def transcripts(page: str) -> list[list[tuple[str, str]]]:
    """Each block's commands with what they print."""
    return [
        re.findall(r"^\$ supertokens-events (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
        for block in blocks(page, "console")
    ]


def give_roles(core: CoreDouble) -> None:
    core._state.user_roles["public", id_of(3)] += ["admin", "editor"]


def fail(core: CoreDouble) -> None:
    core.fail_next("/public/users")


def change(core: CoreDouble) -> None:
    state = core._state
    change_account_info(state, state.methods[id_of(0)], "ada@example.org")
    delete_method(state, state.methods[id_of(2)])


PAGES = {
    "backfill.md": (7, {2: give_roles, 3: fail}),
    "reconcile.md": (3, {1: change}),
}
"""How many have joined, and what happens before which block."""


@pytest.mark.parametrize("page", PAGES)
def test_transcripts(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command of the page, run in order, prints what the page says; `…` stands for anything."""
    size, happenings = PAGES[page]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    with crowd(size) as core:
        if size > 5:
            linked(core, 5, primary=1)
        configuration = next(block for block in blocks("backfill.md", "toml"))
        Path("supertokens-events.toml").write_text(configuration.replace("http://localhost:3567", core.url))
        for number, block in enumerate(transcripts(page)):
            happenings.get(number, nothing)(core)
            for command, said in block:
                result = CliRunner().invoke(cli, shlex.split(command), catch_exceptions=False)

                pattern = re.escape(said).replace("…", ".*")
                printed = result.stdout or result.stderr
                assert re.fullmatch(pattern, printed), f"{command}:\n{printed}"


def nothing(_core: CoreDouble) -> None:
    pass
