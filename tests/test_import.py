"""``import supertokens_events`` is quick: what it does not need at once it does not load."""

from __future__ import annotations

import json

import pytest

from apps.processes import run_python
from apps.sdk import HAS_PLUGINS
from supertokens_events.capture import RECIPES

LOADED = "import json, sys; {statement}; print(json.dumps(sorted(sys.modules)))"
CAPTURE = "supertokens_events.capture."
CATALOG = "supertokens_events.catalog."


def loaded_modules(statement: str) -> set[str]:
    """The modules in a fresh Python after ``statement``."""
    done = run_python("-c", LOADED.format(statement=statement))
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def loaded(statement: str) -> set[str]:
    """The packages."""
    return {name.partition(".")[0] for name in loaded_modules(statement)}


def test_importing_loads_little():
    """Neither the SDK, nor an HTTP client, nor what only the command line needs is loaded by the import."""
    packages = loaded("import supertokens_events")

    unwanted = {
        "aiohttp",
        "anyio",
        "click",
        "django",
        "fastapi",
        "flask",
        "httpx",
        "httpx_aiohttp",
        "requests",
        "rich",
        "supertokens_python",
    }
    assert "supertokens_events" in packages
    assert packages & unwanted == set()


def test_storing_loads_no_sdk_and_no_transport():
    """A configuration is read, an event stored: the SDK comes with ``plugin()``, aiohttp with the first delivery by HTTP."""
    configuration = "{'outbox': {'url': 'sqlite:///' + folder + '/events.db'}, 'dispatcher': {'run': 'off'}}"
    emit = f"events = Events.from_dict({configuration}); events.emit_sync('app.started'); events.stop()"

    packages = loaded(f"import tempfile; from supertokens_events import Events; folder = tempfile.mkdtemp(); {emit}")

    assert packages & {"aiohttp", "supertokens_python"} == set()
    assert "supertokens_events_webhook" in packages


@pytest.mark.skipif(not HAS_PLUGINS, reason="this SDK has no plugins")
def test_the_plugin_loads_no_recipe():
    """``plugin()`` brings no event type and no capture of a recipe: they come as the SDK makes the app's recipes."""
    modules = loaded_modules("from supertokens_events import Events; Events.from_dict({}).plugin()")

    assert CAPTURE + "attach" in modules
    assert {name for name in modules if name.startswith(CATALOG)} == {CATALOG + "base", CATALOG + "names"}
    assert {CAPTURE + recipe for recipe in RECIPES} & modules == set()


def test_an_app_loads_the_recipes_that_it_has():
    """With passwords and sessions there is nothing of passkeys, devices or SAML."""
    start = "start('http://localhost:1', recipes(Mailbox()), Events.from_dict({}))"

    modules = loaded_modules(f"from apps.sdk import Events, Mailbox, recipes, start; {start}")

    assert {CAPTURE + "emailpassword", CAPTURE + "session", CATALOG + "user", CATALOG + "session"} <= modules
    assert {CAPTURE + "webauthn", CAPTURE + "totp", CATALOG + "webauthn", CATALOG + "saml"} & modules == set()
