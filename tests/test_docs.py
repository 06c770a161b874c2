"""The examples of the README and the guide run as they stand."""

from __future__ import annotations

import ast
import inspect
import re
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.processes import run_python
from supertokens_events import hookspecs
from supertokens_events.config import load_settings
from supertokens_events.plugins import load_plugins
from supertokens_events.testing import SinkContract, sample_event
from supertokens_events_webhook.receiver import WebhookVerificationError
from supertokens_events_webhook.signing import key_from, signature_header

ROOT = Path(__file__).parent.parent
GUIDE = ROOT / "docs/guide"
TUTORIAL = GUIDE / "write-a-sink.md"  # tests/test_tutorial.py does what it says
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("sinks/*/README.md")), *sorted((ROOT / "docs").rglob("*.md"))]
PAGES.remove(TUTORIAL)
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
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory with the variables that the examples refer to. What is imported from it is forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("CRM_WEBHOOK_SECRET", SECRET)
    monkeypatch.setenv("SUPERTOKENS_EVENTS_API_KEY", "a-key-of-the-management-api")
    monkeypatch.setenv("SUPERTOKENS_EVENTS_ENCRYPTION_KEY", "A" * 43 + "=")
    monkeypatch.setenv("SLACK_WEBHOOK_URL", "https://hooks.slack.com/services/T0123/B0123/x")
    monkeypatch.setenv("SLACK_TOKEN", "xoxb-0123")
    monkeypatch.setenv("SEGMENT_WRITE_KEY", "wK3yOfASource")
    monkeypatch.setenv("EVENTS_DATABASE_URL", "postgresql://events:p4ssw0rd@db.internal/events")
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


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


def hooks() -> dict[str, inspect.Signature]:
    """The hooks of the contract."""
    return {
        name: inspect.signature(hook)
        for name, hook in inspect.getmembers(hookspecs, inspect.isfunction)
        if hasattr(hook, f"{hookspecs.PROJECT}_spec")
    }


def test_every_hook_is_in_the_guide() -> None:
    """With its exact arguments; and the guide tells of no hook that does not exist."""
    table = re.findall(r"^\| `(\w+\([\w, ]*\))` \|", (GUIDE / "hooks.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(table) == sorted(f"{name}({', '.join(hook.parameters)})" for name, hook in hooks().items())


def test_every_hook_is_in_the_reference() -> None:
    """With its arguments, their types and what it returns, once; and the page has no hook that does not exist."""
    told = [block.partition("\n")[2] for block in blocks(ROOT / "docs/reference/hooks.md", "py")]
    declared = [node for block in told for node in ast.parse(block).body if isinstance(node, ast.FunctionDef)]

    found = {node.name: (types_of(node.args.args), node.returns and ast.unparse(node.returns)) for node in declared}
    assert len(declared) == len(found)
    assert found == {
        name: ({n: p.annotation for n, p in hook.parameters.items()}, hook.return_annotation)
        for name, hook in hooks().items()
    }


def types_of(arguments: list[ast.arg]) -> dict[str, str]:
    return {argument.arg: ast.unparse(argument.annotation) for argument in arguments if argument.annotation}


def test_every_test_of_the_contract_is_in_the_guide() -> None:
    """With what it asks for, as its docstring says it; and the guide tells of no test that does not exist."""
    told = re.findall(r"^\| `(test_\w+)` \| (.*) \|$", (GUIDE / "testing.md").read_text(encoding="utf-8"), re.MULTILINE)
    tests = inspect.getmembers(SinkContract, lambda member: getattr(member, "__name__", "").startswith("test_"))

    assert dict(told) == {name: " ".join((test.__doc__ or "").split()).replace("``", "`") for name, test in tests}
    assert len(told) == len(tests)


def test_the_tests_of_the_guide_pass(elsewhere: Path) -> None:
    """The app's test and the contract of the pager, as they are shown, with the line for pytest that is shown."""
    for name, content in files(GUIDE / "testing.md").items():
        (elsewhere / name).write_text(content, encoding="utf-8")

    done = run_python(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "supertokens_events_pytest"),
        cwd=elsewhere,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
    )

    assert re.search(r"^\d\d passed", done.stdout, re.MULTILINE), done.stdout
    assert done.returncode == 0, done.stdout
    assert not list(elsewhere.glob("shop.db*"))


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
