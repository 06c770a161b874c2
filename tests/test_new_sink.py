"""What ``new-sink`` writes is a package that anybody would be glad to have written: it installs, passes, and delivers."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.version import Version

from apps.environments import Environment
from supertokens_events.cli import cli
from supertokens_events.testing import HttpPlace

CORE = Path(__file__).parent.parent / "core"
KINDS = ["http", "simple"]

OF_FILE = """
[outbox]
url = "sqlite:events.db"

[sinks.mine]
type = "log_book"
events = ["user.*"]
path = "log.jsonl"
"""

OF_URL = """
[outbox]
url = "sqlite:events.db"

[sinks.mine]
type = "my_pager"
events = ["user.*"]
url = "{url}/hooks"
token = {{ env = "MY_PAGER_TOKEN" }}
allow_networks = ["127.0.0.0/8"]
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def new_sink(here):
    """Runs ``new-sink`` in the working directory; the folder that it made."""

    def new_sink(name, *options):
        done = CliRunner().invoke(cli, ["new-sink", name, *options], catch_exceptions=False)
        assert done.exit_code == 0, done.stderr
        (folder,) = here.glob("supertokens-events-*")
        return folder

    return new_sink


@pytest.fixture
def refused(here):
    """What is said to a name that is refused, with the exit code; nothing is written."""

    def refused(name):
        before = sorted(here.iterdir())
        done = CliRunner().invoke(cli, ["new-sink", "--", name], catch_exceptions=False)
        assert sorted(here.iterdir()) == before
        assert done.stdout == ""
        return done.exit_code, done.stderr

    return refused


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """An environment with the core's wheel in it, and no sink."""
    environment = Environment(tmp_path_factory.mktemp("environment") / "venv")
    environment.install(CORE)
    return environment


# It works


def test_it_is_a_package_that_delivers(environment, here):
    """Built into a wheel and installed beside the core's, what ``--kind simple`` writes passes its tests and writes an event."""
    command = ("-m", "supertokens_events")
    written = environment.run(*command, "new-sink", "log-book", "--kind", "simple", cwd=here)
    folder = here / "supertokens-events-log-book"
    environment.install(folder)

    tested = environment.run("-m", "pytest", "-q", "-p", "no:cacheprovider", cwd=folder)
    (here / "supertokens-events.toml").write_text(OF_FILE)
    listed = environment.run(*command, "plugins", "--json", cwd=here)
    sent = environment.run(*command, "send", "user.created", "--user-id", "ada", "--json", cwd=here)
    environment.run(*command, "dispatch", "--until-empty", cwd=here)

    assert written.returncode == 0, written.stderr
    assert tested.returncode == 0, tested.stdout
    assert listed.returncode == 0, listed.stderr
    (found,) = map(json.loads, listed.stdout.splitlines())
    assert (found["name"], found["distribution"]) == ("log_book", "supertokens-events-log-book")
    assert (found["api"], found["sink_types"]) == (1, ["log_book"])
    (line,) = (here / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["id"] == json.loads(sent.stdout)["id"]


def test_it_posts(environment, new_sink, here):
    """What ``--kind http`` writes posts an event, with the token that the configuration takes from the environment."""
    environment.install(new_sink("my-pager"))
    command = ("-m", "supertokens_events")
    with HttpPlace() as place:
        (here / "supertokens-events.toml").write_text(OF_URL.format(url=place.url))
        environment.run(*command, "send", "user.created", cwd=here, MY_PAGER_TOKEN="s3cret")
        done = environment.run(*command, "dispatch", "--until-empty", cwd=here, MY_PAGER_TOKEN="s3cret")
        shown = environment.run(*command, "check", "--connect", cwd=here, MY_PAGER_TOKEN="s3cret")

        assert done.returncode == 0, done.stderr
        (request,) = place.requests
        assert (request.target, request.headers["authorization"]) == ("/hooks", "Bearer s3cret")
        assert json.loads(request.body)["type"] == "user.created"
    assert shown.returncode == 0, shown.stderr
    assert "s3cret" not in shown.stdout + done.stdout + done.stderr


# It is well kept


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["x", "a_name_of_thirty_two_characters_"[:31] + "z"])
def test_ruff_has_nothing_to_say(new_sink, kind, name):
    """Its style and its format are in order, however short or long the name is."""
    folder = new_sink(name, "--kind", kind)

    for command in (["check"], ["format", "--check"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--no-cache", "."]
        done = subprocess.run(ruff, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_of_the_template_is_left(new_sink, kind):
    """Every name in every file is the new sink's, in the form that its place asks for."""
    folder = new_sink("Acme-Pager", "--kind", kind)

    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert set(files) == {
        "README.md",
        "pyproject.toml",
        "src/supertokens_events_acme_pager/__init__.py",
        "src/supertokens_events_acme_pager/py.typed",
        "src/supertokens_events_acme_pager/sink.py",
        "tests/test_acme_pager.py",
    }
    assert [name for name, text in files.items() if re.search("notebook|courier", name + text, re.IGNORECASE)] == []
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["name"] == "supertokens-events-acme-pager"
    assert project["entry-points"] == {"supertokens_events": {"acme_pager": "supertokens_events_acme_pager"}}
    assert "class AcmePagerSink(Sink[AcmePagerSettings]):" in files["src/supertokens_events_acme_pager/sink.py"]
    assert 'type = "acme_pager"' in files["README.md"]


@pytest.mark.parametrize("kind", KINDS)
def test_its_range_fits_the_core(new_sink, kind):
    """It asks for the core that wrote it, and not for the next minor."""
    project = tomllib.loads((new_sink("pager", "--kind", kind) / "pyproject.toml").read_text())["project"]

    (core,) = map(Requirement, project["dependencies"])
    installed = Version(version("supertokens-events"))
    assert installed in core.specifier
    assert Version(f"{installed.major}.{installed.minor + 1}") not in core.specifier


# Names


@pytest.mark.parametrize("name", ["pager", "PAGER", " pager ", "supertokens-events-pager", "supertokens_events_pager"])
def test_a_name_in_many_spellings(new_sink, name):
    """However it is written, it is the same sink."""
    new_sink(name)

    assert Path("supertokens-events-pager/src/supertokens_events_pager/sink.py").is_file()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "'' cannot be a sink type: expected a letter and up to 31 letters, digits, '-' or '_', such as 'pager'"),
        ("9to5", "'9to5' cannot be a sink type: expected a letter"),
        ("../pager", "'../pager' cannot be a sink type: expected a letter"),
        ("päger", "'päger' cannot be a sink type: expected a letter"),
        ("p" * 33, "cannot be a sink type: expected a letter and up to 31"),
        ("class", "'class' cannot be a sink type: it is a word of Python's own"),
        ("Sink", "'Sink' cannot be a sink type: they all are; name the place that events go to"),
        ("webhook", "the sink type 'webhook' is one of ours: pip install supertokens-events-webhook"),
    ],
)
def test_a_name_that_cannot_be(refused, name, sentence):
    """A name that Python, pip or a configuration could not bear is refused with the reason, as wrong usage."""
    code, said = refused(name)

    assert code == 2
    assert sentence in said


def test_a_name_that_is_taken(refused, monkeypatch, tmp_path):
    """The name of a plugin that is installed is refused, and its package is named."""
    site = tmp_path / "site"
    info = site / "acme_pager-2.3.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-pager\nVersion: 2.3.0\n")
    (info / "entry_points.txt").write_text("[supertokens_events]\npager = a_pager_of_acme\n")
    (site / "a_pager_of_acme.py").touch()
    monkeypatch.syspath_prepend(site)

    code, said = refused("pager")

    assert code == 2
    assert "the name 'pager' is taken by the installed plugin 'pager' (acme-pager 2.3.0): choose another" in said


@pytest.mark.parametrize("name", ["pytest", "supertokens-events-PyTest"])
def test_a_module_that_is_there(refused, here, name):
    """A package whose module would be one that is installed would replace it: the core's own for pytest, say."""
    code, said = refused(name)

    assert code == 2
    assert "the name 'pytest' is taken: its module would be supertokens_events_pytest, and there is one" in said
    assert list(here.iterdir()) == []


def test_a_folder_that_is_there(here, refused):
    """Nothing is written over what is there."""
    (here / "supertokens-events-pager").mkdir()

    code, said = refused("pager")

    assert (code, said) == (
        1,
        "supertokens-events-pager: there is such a folder; choose another name, or move it away\n",
    )


def test_a_place_that_cannot_be_written(here, monkeypatch):
    """Where a file cannot be written, that is said, and no half of a package stays."""

    def full(self, *_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    done = CliRunner().invoke(cli, ["new-sink", "pager"], catch_exceptions=False)

    assert done.exit_code == 1
    assert done.stderr == "supertokens-events-pager: cannot be written: No space left on device\n"
    assert list(here.iterdir()) == []
