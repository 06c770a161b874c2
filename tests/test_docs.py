"""The examples of the README and the guide run as they stand."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from apps.processes import run_python
from supertokens_events import hookspecs
from supertokens_events.config import load_settings
from supertokens_events.plugins import load_plugins
from supertokens_events.testing import sample_event
from supertokens_events_webhook.receiver import WebhookVerificationError
from supertokens_events_webhook.signing import key_from, signature_header

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("sinks/*/README.md")), *sorted((ROOT / "docs").rglob("*.md"))]
GUIDE = ROOT / "docs/guide"
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


def files(page: Path) -> dict[str, str]:
    """The blocks that are a whole file, by the name in their first line."""
    found = (re.match(r"# (\S+\.(?:py|toml))\n", block) for block in blocks(page, "(?:python|toml)"))
    return {match[1]: match.string for match in found if match}


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with the variables that the examples refer to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CRM_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "wK3yOfASource")
    monkeypatch.setenv("EVENTS_DATABASE_URL", "postgresql://events:p4ssw0rd@db.internal/events")
    return tmp_path


@pytest.mark.parametrize("page", [page for page in pages_with("toml") if configurations(page.values[0])])
def test_configurations_are_valid(page: Path, elsewhere: Path) -> None:
    """Every configuration shown is accepted as it stands."""
    for block in configurations(page):
        settings = load_settings(tomllib.loads(block), load_plugins(), folder=elsewhere)

        assert settings.sinks


@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs(page: Path, elsewhere: Path) -> None:
    """Every Python example runs, beside the files shown with it; `init(...)` with dots is read but not called."""
    for name, content in files(page).items():
        (elsewhere / name).write_text(content, encoding="utf-8")
    for block in blocks(page, "python"):
        exec(compile(_without_sdk_calls(block), str(page), "exec"), {"__name__": "example"})


def test_every_hook_is_in_the_guide() -> None:
    """With its exact arguments; and the guide tells of no hook that does not exist."""
    table = re.findall(r"^\| `(\w+\([\w, ]*\))` \|", (GUIDE / "hooks.md").read_text(encoding="utf-8"), re.MULTILINE)
    hooks = {
        f"{name}({', '.join(inspect.signature(hook).parameters)})"
        for name, hook in inspect.getmembers(hookspecs, inspect.isfunction)
        if hasattr(hook, f"{hookspecs.PROJECT}_spec")
    }

    assert set(table) == hooks
    assert len(table) == len(hooks)


def test_the_sink_of_the_guide_is_a_package(elsewhere: Path) -> None:
    """Its two files, built and unpacked as an installer does it, bring the sink type."""
    for name, content in files(GUIDE / "write-a-sink.md").items():
        (elsewhere / name).write_text(content, encoding="utf-8")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(build, cwd=elsewhere, check=True, capture_output=True)
    (wheel,) = elsewhere.glob("dist/*.whl")
    ZipFile(wheel).extractall(elsewhere / "site")

    done = run_python("-m", "supertokens_events", "plugins", "--json", PYTHONPATH=str(elsewhere / "site"))

    found = {plugin["name"]: plugin for plugin in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stderr
    assert found["counter"]["sink_types"] == ["counter"]


@pytest.mark.usefixtures("elsewhere")
def test_the_receiver_of_the_guide_verifies() -> None:
    """It takes what the webhook sink signs, and nothing else."""
    (source,) = (block for block in blocks(GUIDE / "start.md", "python") if "def receive" in block)
    example: dict[str, Any] = {}
    exec(source, example)
    event, now = sample_event(), int(time.time())
    body = event.to_bytes()
    signature = signature_header([key_from(SECRET)], event.id, now, body)
    headers = {"Webhook-Id": event.id, "Webhook-Timestamp": str(now), "Webhook-Signature": signature}

    assert example["receive"](headers, body) == event
    with pytest.raises(WebhookVerificationError):
        example["receive"](headers, body + b" ")


def _without_sdk_calls(source: str) -> ast.Module:
    """The example without the statement that would need a SuperTokens core: of `init(...)` only the arguments stay."""
    module = ast.parse(source)
    for number, statement in enumerate(module.body):
        match statement:
            case ast.Expr(ast.Call(ast.Name("init")) as call):
                arguments = ast.Tuple([*call.args, *(keyword.value for keyword in call.keywords)], ast.Load())
                module.body[number] = ast.fix_missing_locations(ast.copy_location(ast.Expr(arguments), statement))
    return module
