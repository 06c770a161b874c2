"""The pytest plugin: one line names the app's events, a test asks for ``events``, and nothing leaves."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

APP = """
    from supertokens_events import Events

    events = Events.from_dict({"outbox": {"url": "sqlite:app.db"}, "dispatcher": {"run": "off"}})

    def sign_up(name):
        events.emit_sync("app.signed_up", user_id=name)
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project with an app and this configuration of pytest; returns what runs its tests."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(app=APP)

    def run(option='supertokens_events = "app:events"', **files):
        pytester.makepyprojecttoml(
            f'[tool.pytest.ini_options]\npythonpath = ["."]\nfilterwarnings = ["error"]\n{option}'
        )
        pytester.makepyfile(**files)
        return pytester.runpytest_inprocess("-p", "supertokens_events_pytest")

    return run


def test_one_line_and_one_fixture(project, pytester):
    """Each test sees what the app emitted in it; one that does not ask stores nothing in the app's outbox either."""
    done = project(
        test_app="""
            import app

            def test_one(events):
                app.sign_up("ada")
                assert events.one("app.*").user_id == "ada"

            def test_another(events):
                events.none()

            def test_that_does_not_ask():
                app.sign_up("grace")
        """
    )

    done.assert_outcomes(passed=3)
    assert not (pytester.path / "app.db").exists()


def test_a_failure_shows_what_was_emitted(project):
    """The report has the sentence and the events, and none of our own lines."""
    done = project(
        test_app="""
            import app

            def test_one(events):
                app.sign_up("ada")
                events.one("user.created")
        """
    )

    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["E*expected one event 'user.created', found 0; emitted:", "E*app.signed_up user ada"])


def test_an_app_factory(project, pytester):
    """Where the app's events are made for each test, a fixture says which they are; the option is not needed."""
    done = project(
        option="",
        conftest="""
            import pytest
            from supertokens_events import Events

            @pytest.fixture
            def app_events():
                return Events.from_dict({"outbox": {"url": "sqlite:app.db"}, "dispatcher": {"run": "off"}})
        """,
        test_app="""
            def test_one(events, app_events):
                app_events.emit_sync("app.one")
                assert events.types == ["app.one"]
        """,
    )

    done.assert_outcomes(passed=1)
    assert not (pytester.path / "app.db").exists()


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ("", "the fixture `events` needs to know your Events: name it, such as supertokens_events = "),
        ('supertokens_events = "ap:events"', "supertokens_events = 'ap:events' leads nowhere: No module named 'ap'"),
        (
            'supertokens_events = "app:evnts"',
            "supertokens_events = 'app:evnts' leads nowhere: module 'app' has no attribute",
        ),
        ('supertokens_events = "app:sign_up"', "supertokens_events = 'app:sign_up' is <function sign_up"),
    ],
)
def test_a_mistake_is_a_sentence(project, option, sentence):
    """An option that is missing or wrong is told, with the line that it takes."""
    done = project(option, test_app="def test_one(events): ...")

    done.assert_outcomes(errors=1)
    assert sentence in done.stdout.str()
    assert "supertokens_events_pytest/__init__.py" not in done.stdout.str()


def test_an_apps_own_fixture_goes_first(project):
    """A project that has a fixture ``events`` of its own keeps it."""
    done = project(
        option="",
        test_app="""
            import pytest

            @pytest.fixture
            def events():
                return "mine"

            def test_one(events):
                assert events == "mine"
        """,
    )

    done.assert_outcomes(passed=1)


def test_pytest_finds_it_and_pays_nothing():
    """The core's package brings the plugin, and its import loads nothing but pytest, which is there."""
    core = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())["project"]
    code = (
        "import sys, pytest; before = set(sys.modules); import supertokens_events_pytest; "
        "print({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert core["entry-points"]["pytest11"] == {"supertokens_events_pytest": "supertokens_events_pytest"}
    assert done.stdout.strip() == "{'supertokens_events_pytest'}"


def test_without_pytest_the_rest_is_there():
    """Only the contract needs pytest, and says what brings it."""
    code = (
        "import sys; sys.modules['pytest'] = None\n"
        "from supertokens_events.testing import FakeClock, HttpPlace, capture_events, memory_outbox, sample_events\n"
        "try:\n    from supertokens_events.testing import SinkContract\nexcept ImportError as error:\n    print(error)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "SinkContract needs pytest: pip install 'supertokens-events[testing]'"
