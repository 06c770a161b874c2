"""An app with the real SDK, made at import as apps are, and its own tests: they see what it emits, and nothing leaves."""

import pytest

from apps.sdk import HAS_PLUGINS

pytest_plugins = ["pytester"]
pytestmark = pytest.mark.skipif(not HAS_PLUGINS, reason="this SDK has no plugins")

APP = """
    import os
    from contextlib import asynccontextmanager

    from fastapi import FastAPI
    from supertokens_python import InputAppInfo, SupertokensConfig, SupertokensExperimentalConfig, init
    from supertokens_python.framework.fastapi import get_middleware
    from supertokens_python.recipe import emailpassword, session

    from supertokens_events import Events

    events = Events.from_toml("supertokens-events.toml")

    init(
        app_info=InputAppInfo(app_name="App", api_domain="http://testserver", website_domain="http://testserver"),
        supertokens_config=SupertokensConfig(connection_uri=os.environ["CORE"]),
        framework="fastapi",
        mode="asgi",
        recipe_list=[emailpassword.init(), session.init(anti_csrf="NONE")],
        telemetry=False,
        experimental=SupertokensExperimentalConfig(plugins=[events.plugin()]),
    )

    @asynccontextmanager
    async def lifespan(app):
        events.start()
        yield
        events.stop()

    app = FastAPI(lifespan=lifespan)
    app.add_middleware(get_middleware())
"""

CONFIGURATION = """
[outbox]
url = "sqlite:app.db"

[sinks.audit]
type = "file"
events = ["*"]
path = "audit.jsonl"
"""

TESTS = """
    import pytest
    from fastapi.testclient import TestClient

    from shop import app

    @pytest.fixture
    def client():
        with TestClient(app) as client:
            yield client

    def post(client, path, email, password="Trustno1!"):
        fields = [{"id": "email", "value": email}, {"id": "password", "value": password}]
        return client.post(f"/auth/{path}", json={"formFields": fields}).json()

    def test_a_sign_up(client, events):
        assert post(client, "signup", "ada@example.com")["status"] == "OK"

        assert events.types == ["user.created", "session.created"]
        created = events.one("user.created")
        assert created.data["email"] == "ada@example.com"
        assert created.context.path == "/auth/signup"

    def test_a_failed_sign_in(client, events):
        post(client, "signup", "grace@example.com")
        events.clear()

        post(client, "signin", "grace@example.com", "wrong")

        assert events.one("user.*").data["reason"] == "wrong_credentials"
        events.none("session.*")

    def test_after_the_app_has_stopped(events):
        with TestClient(app) as client:
            post(client, "signup", "joan@example.com")
        events.one("user.created")

    def test_that_does_not_ask(client):
        assert post(client, "signup", "mary@example.com")["status"] == "OK"
"""


def test_the_tests_of_an_app(pytester, monkeypatch, core):
    """Sign-ups and sign-ins through the app's own routes: the events are there, no file is written, no outbox is made."""
    core.reset()
    monkeypatch.setenv("CORE", core.url)
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(shop=APP, test_shop=TESTS)
    pytester.makefile(".toml", **{"supertokens-events": CONFIGURATION})
    pytester.makepyprojecttoml('[tool.pytest.ini_options]\npythonpath = ["."]\nsupertokens_events = "shop:events"')

    done = pytester.runpytest_subprocess("-p", "supertokens_events_pytest", "-p", "no:cacheprovider")

    done.assert_outcomes(passed=4)
    assert not list(pytester.path.glob("app.db*"))
    assert not (pytester.path / "audit.jsonl").exists()
