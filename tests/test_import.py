"""``import supertokens_events`` is quick: what it does not need at once it does not load."""

from __future__ import annotations

import json

from apps.processes import run_python

LOADED = "import json, sys; {statement}; print(json.dumps(sorted({{name.partition('.')[0] for name in sys.modules}})))"


def loaded(statement: str) -> set[str]:
    """The packages in a fresh Python after ``statement``."""
    done = run_python("-c", LOADED.format(statement=statement))
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


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
