"""The examples are packages as anybody would write them: small, and found once they are installed."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from zipfile import ZipFile

import pytest

from apps.processes import run_python

EXAMPLES = sorted(path.parent for path in (Path(__file__).parent.parent / "examples").glob("*/pyproject.toml"))
SECRETS = {"REDIS_URL": "redis://:canary-password@localhost/0", "SMTP_PASSWORD": "canary-password"}

every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with all of them, built by their own build backends and unpacked as an installer does."""
    folder = tmp_path_factory.mktemp("examples")
    for example in EXAMPLES:
        build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
        subprocess.run(build, cwd=example, check=True, capture_output=True)
    for wheel in folder.glob("*.whl"):
        ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@every_example
def test_an_example_is_short(example):
    """A sink in at most 120 lines, and a README that shows its settings."""
    (module,) = example.glob("*.py")

    assert len(module.read_text().splitlines()) <= 120
    assert "# supertokens-events.toml" in (example / "README.md").read_text()


def test_they_are_found(installed):
    """``plugins`` lists each by its package, with its sink type."""
    done = run_python("-m", "supertokens_events", "plugins", "--json", PYTHONPATH=str(installed))

    found = {plugin["name"]: plugin for plugin in map(json.loads, done.stdout.splitlines())}
    assert done.returncode == 0, done.stderr
    for example in EXAMPLES:
        package = tomllib.loads((example / "pyproject.toml").read_text())["project"]["name"]
        assert found[example.name]["distribution"] == package
        assert found[example.name]["sink_types"] == [example.name]


@every_example
def test_the_readmes_configuration_is_valid(example, installed, tmp_path):
    """What its README shows is accepted as it stands, and no secret is shown."""
    block = (example / "README.md").read_text().partition("```toml\n")[2].partition("```")[0]
    (tmp_path / "supertokens-events.toml").write_text(block)

    done = run_python("-m", "supertokens_events", "check", cwd=tmp_path, PYTHONPATH=str(installed), **SECRETS)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "canary" not in done.stdout + done.stderr
