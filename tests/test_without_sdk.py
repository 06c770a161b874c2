"""Without supertokens-python: a host that only receives, or only delivers, needs none of it."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from apps.processes import run_python
from apps.receiver import receiver
from apps.without_sdk import Bare
from supertokens_events.capture.installed import MINIMUM
from supertokens_events_webhook.receiver import Webhook

ROOT = Path(__file__).parent.parent
SECRET = "whsec_" + "c2VjcmV0" * 4
CONFIGURATION = """
[outbox]
url = "sqlite:events.db"

[sinks.crm]
type           = "webhook"
events         = ["*"]
url            = "{url}"
secret         = {{ env = "CRM_WEBHOOK_SECRET" }}
allow_http     = true
allow_networks = ["127.0.0.0/8"]
"""

TOO_OLD = "supertokens-python 0.24.1 is installed"
NEEDED = "; taking events from it needs 0.27 or newer: pip install 'supertokens-events[sdk]'"
ATTACH = "from supertokens_events import Events; Events.from_dict({{}}).{method}()"


@pytest.fixture(scope="module")
def bare(tmp_path_factory) -> Bare:
    return Bare(tmp_path_factory.mktemp("site"))


def test_it_is_absent(bare, tmp_path):
    """The environment of these tests has no SDK: what follows says something."""
    done = bare.python("-c", "import supertokens_python", cwd=tmp_path)

    assert "No module named 'supertokens_python'" in done.stderr


def test_a_receiver_verifies(bare, tmp_path):
    """The smoke test of the wheels' session runs here too: verify an event, and be told what attaching needs."""
    done = bare.python(ROOT / "tests/smoke/without_sdk.py", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("smoke: an event was verified")


def test_a_host_delivers(bare, tmp_path):
    """`check`, `send`, `dispatch --until-empty`, `status` and `webhook keygen` do what they do anywhere."""
    with receiver() as server:
        (tmp_path / "supertokens-events.toml").write_text(CONFIGURATION.format(url=server.url))

        def run(*arguments: str):
            return bare.python("-m", "supertokens_events", *arguments, cwd=tmp_path, CRM_WEBHOOK_SECRET=SECRET)

        commands = (
            ["check"],
            ["plugins"],
            ["send", "user.created"],
            ["dispatch", "--until-empty"],
            ["status", "--json"],
        )
        done = {arguments[0]: run(*arguments) for arguments in (*commands, ["webhook", "keygen"])}

    assert {name: result.returncode for name, result in done.items()} == dict.fromkeys(done, 0), done
    assert [json.loads(line)["done"] for line in done["status"].stdout.splitlines() if '"sink"' in line] == [1]
    ((headers, body),) = server.received
    assert Webhook(SECRET).verify(headers, body).type == "user.created"


@pytest.mark.parametrize("method", ["plugin", "instrument"])
def test_attaching_says_what_is_missing(bare, tmp_path, method):
    """What is installed, what is needed, and the command."""
    done = bare.python("-c", ATTACH.format(method=method), cwd=tmp_path)

    assert done.stderr.splitlines()[-1] == f"ImportError: supertokens-python is not installed{NEEDED}"


@pytest.mark.parametrize("method", ["plugin", "instrument"])
def test_attaching_says_what_is_too_old(tmp_path, method):
    """An SDK from before 0.27 is named with its version."""
    (tmp_path / "supertokens_python").mkdir()
    (tmp_path / "supertokens_python/__init__.py").touch()
    info = tmp_path / "supertokens_python-0.24.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: supertokens-python\nVersion: 0.24.1\n")

    done = run_python("-c", ATTACH.format(method=method), PYTHONPATH=str(tmp_path))

    assert done.stderr.splitlines()[-1] == f"ImportError: {TOO_OLD}{NEEDED}"


def test_the_extra_asks_for_the_same():
    """What the sentence says is what the extra `sdk` asks for."""
    (line,) = tomllib.loads((ROOT / "core/pyproject.toml").read_text())["project"]["optional-dependencies"]["sdk"]

    assert str(Requirement(line).specifier) == f">={MINIMUM}"
