"""The examples of the README and the guide run as they stand."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from supertokens_events.config import load_settings
from supertokens_events.plugins import load_plugins

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
SECRET = "whsec_" + "c2VjcmV0" * 4


def blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def pages_with(language: str) -> list[Any]:
    """The pages that have such blocks, as test parameters."""
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page, language)]


def configurations(page: Path) -> list[str]:
    """The blocks that are a configuration: they say so in their first line."""
    return [block for block in blocks(page, "toml") if block.startswith("# supertokens-events.toml")]


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the variables that the examples refer to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CRM_WEBHOOK_SECRET", SECRET)
    return tmp_path


@pytest.mark.parametrize("page", [page for page in pages_with("toml") if configurations(page.values[0])])
def test_configurations_are_valid(page: Path, elsewhere: Path) -> None:
    """Every configuration shown is accepted as it stands."""
    for block in configurations(page):
        settings = load_settings(tomllib.loads(block), load_plugins(), folder=elsewhere)

        assert settings.sinks


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs(page: Path, elsewhere: Path) -> None:
    """Every Python example runs, beside the configuration shown above it; `init(...)` with dots is read but not called."""
    for configuration in configurations(page):
        (elsewhere / "supertokens-events.toml").write_text(configuration, encoding="utf-8")
    for block in blocks(page, "python"):
        exec(compile(_without_sdk_calls(block), str(page), "exec"), {"__name__": "example"})


def _without_sdk_calls(source: str) -> ast.Module:
    """The example without the statement that would need a SuperTokens core: of `init(...)` only the arguments stay."""
    module = ast.parse(source)
    for number, statement in enumerate(module.body):
        match statement:
            case ast.Expr(ast.Call(ast.Name("init")) as call):
                arguments = ast.Tuple([*call.args, *(keyword.value for keyword in call.keywords)], ast.Load())
                module.body[number] = ast.fix_missing_locations(ast.copy_location(ast.Expr(arguments), statement))
    return module
