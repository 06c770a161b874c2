"""The core is read as it is, with patience, and its key is nobody's business."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from pytest_httpserver import HTTPServer

from core_double import CoreDouble
from crowd import crowd, id_of, join, linked
from supertokens_events.catalog.user import Method
from supertokens_events.config import CoreSettings
from supertokens_events.core_api import Core, CoreError, CoreUnavailable

KEY = "an-api-key-of-the-core"


@pytest.fixture
def reader():
    """Makes readers that do not wait."""
    with ExitStack() as opened:

        def make(url: str, *, api_key: str | None = None, **options) -> Core:
            settings = CoreSettings(connection_uri=url, api_key=api_key)
            options = {"patience": 0.0, "wait": lambda _seconds: None, **options}
            return opened.enter_context(Core(settings, **options))

        yield make


@pytest.fixture
def core() -> Iterator[CoreDouble]:
    with crowd(5) as core:
        yield core


@pytest.fixture
def fake(httpserver: HTTPServer) -> HTTPServer:
    """A core of which only the version is known."""
    httpserver.expect_request("/apiversion").respond_with_json({"versions": ["3.0", "5.3", "9.9"]})
    return httpserver


def test_all_users_by_the_page(core, reader):
    """In the order in which they joined, page by page."""
    asked, token, ids = reader(core.url), None, []
    while True:
        page = asked.users("public", token, limit=2)
        ids.append([user.id for user in page.users])
        token = page.token
        if token is None:
            break

    assert ids == [[id_of(0), id_of(1)], [id_of(2), id_of(3)], [id_of(4)]]


def test_a_page_goes_on_though_its_first_user_is_gone(core, reader):
    """Who is deleted between two pages is in the way of nobody."""
    asked = reader(core.url)
    page = asked.users("public", limit=2)
    core._state.users.pop(id_of(2))

    assert [user.id for user in asked.users("public", page.token).users] == [id_of(3), id_of(4)]


def test_a_user_with_all_login_methods(core, reader):
    """By the user's id and by a login method's, with what the catalog says of each."""
    join(core, 8, recipe_id="thirdparty", third_party=("saml-okta", "o-8"))
    linked(core, 8, primary=1)

    user = reader(core.url).user(id_of(8))

    assert user is not None
    assert user.id == id_of(1)
    assert [one.method for one in user.login_methods] == [Method.EMAILPASSWORD, Method.SAML]
    assert reader(core.url).user("nobody") is None


def test_counts_and_lists(core, reader):
    """Users, tenants, roles and who has them, keys of metadata."""
    join(core, 8, tenant_ids=["acme"])
    core._state.roles["admin"] = ["write", "read"]
    core._state.user_roles["acme", id_of(8)].append("admin")
    core._state.metadata[id_of(8)] = {"plan": "secret", "age": 4}
    asked = reader(core.url)

    assert (asked.count(), asked.tenants(), asked.roles()) == (6, ["acme", "public"], ["admin"])
    assert (asked.users_with("admin", "acme"), asked.roles_of(id_of(8), "acme")) == ([id_of(8)], ["admin"])
    assert (asked.permissions_of("admin"), asked.metadata_keys(id_of(8))) == (["read", "write"], ["age", "plan"])
    assert (asked.users_with("nothing", "acme"), asked.metadata_keys("nobody")) == ([], [])


def test_speaks_what_both_know(fake, reader):
    """The best version that both know is in each request, and so is the key."""
    fake.expect_request("/users/count", headers={"cdi-version": "5.3", "api-key": KEY}).respond_with_json({"count": 7})

    assert reader(fake.url_for(""), api_key=KEY).count() == 7


def test_under_the_path_of_an_app(httpserver, reader):
    """A URL with a path is one app of several in the core."""
    httpserver.expect_request("/appid-a1/apiversion").respond_with_json({"versions": ["5.4"]})
    httpserver.expect_request("/appid-a1/users/count").respond_with_json({"count": 7})

    assert reader(httpserver.url_for("/appid-a1/")).count() == 7


def test_another_host_when_one_is_away(core, reader):
    """Several may be named, as for the SDK."""
    assert reader(f"http://127.0.0.1:9;{core.url}", patience=1.0).count() == 5


def test_patience(core, reader):
    """A core in trouble is asked again, later each time, until patience is at its end."""
    waits: list[float] = []
    for _ in range(10):
        core.fail_next("/users/count", 503)

    with pytest.raises(CoreUnavailable, match="answered 503 to GET /users/count: Failure asked for by the test"):
        reader(core.url, patience=8.0, wait=waits.append).count()

    assert waits == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.parametrize(
    ("status", "body", "sentence"),
    [
        (200, "<html>", "something else than what a SuperTokens core says: check core.connection_uri"),
        (200, "[]", "something else than what a SuperTokens core says"),
        (200, '{"users": [{"id": 1}]}', "something else than what a SuperTokens core says"),
        (200, '{"users": 7}', "something else than what a SuperTokens core says"),
        (200, "[" * 100_000, "something else than what a SuperTokens core says"),
        (401, "Invalid API key", "refuses the API key: check core.api_key"),
        (404, "Not found", "answered 404 to GET /public/users: Not found"),
        (302, "", "answered 302 to GET /public/users"),
        (500, f"boom {KEY}", r"answered 500 to GET /public/users: boom \*\*\*"),
    ],
)
def test_garbage(fake, reader, status, body, sentence):
    """Whatever is there instead of a core is a sentence."""
    fake.expect_request("/public/users").respond_with_data(body, status)

    with pytest.raises(CoreError, match=sentence):
        reader(fake.url_for(""), api_key=KEY).users("public")


def test_a_core_of_another_time(httpserver, reader):
    """What both know is said when it is nothing."""
    httpserver.expect_request("/apiversion").respond_with_json({"versions": ["2.9", "9.9"]})

    with pytest.raises(CoreError, match=r"speaks CDI 2\.9, 9\.9; this supertokens-events knows 5\.0, 5\.1"):
        reader(httpserver.url_for("")).count()


def test_the_key_is_shown_nowhere(reader):
    """Not in a repr, and not in an error."""
    asked = reader("http://somebody:hunter2@127.0.0.1:9", api_key=KEY)
    with pytest.raises(CoreUnavailable) as raised:
        asked.count()

    shown = f"{asked!r} {raised.value} {CoreSettings(connection_uri='http://a:hunter2@b', api_key=KEY)!r}"
    assert KEY not in shown
    assert "hunter2" not in shown
