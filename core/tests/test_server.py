"""The management API over HTTP: what it answers, whom it lets in, and what becomes of bad requests."""

import json
import threading
import time

import anyio
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from supertokens_events import Events, hookimpl
from supertokens_events.config import ConfigurationError
from supertokens_events.outbox import OutboxUnavailable, SqliteOutbox
from supertokens_events.plugins import DISABLE_VARIABLE
from supertokens_events.server import asgi_app
from supertokens_events.server.app import OPERATIONS
from supertokens_events.server.asking import LARGEST_BODY
from supertokens_events.sink import Delivered, Rejected, Renewed, Sink, SinkSettings

API_KEY = "canary-key-of-the-api"
OTHER_KEY = "canary-other-key-of-the-api"
SECRET = "canary-5ecret-of-a-place"
CRM = {"name": "crm", "type": "box", "settings": {"events": ["*"], "token": SECRET}}


_WORDS = st.sampled_from(["events", "token", "where", "retry", "env", "file", "encrypted"])
_PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
DOCUMENTS = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | _WORDS, inner, max_size=4),
    max_leaves=12,
)


class Box(Sink):
    """Takes what its answers say."""

    type = "box"
    answers = []

    class Settings(SinkSettings):
        token: SecretStr
        tag: str = ""

    @classmethod
    def renewed(cls, table, settings, until):
        if settings is None and "token" in table:
            return None
        return Renewed({**table, "token": "canary-new-5ecret"}, {"token": "canary-new-5ecret"})

    async def deliver(self, deliveries):
        return [self.answers.pop(0) if self.answers else Delivered()] * len(deliveries)


class Post:
    @hookimpl
    def register_sink_types(self):
        return [Box]


@pytest.fixture(autouse=True)
def alone(monkeypatch):
    monkeypatch.setenv(DISABLE_VARIABLE, "*")
    monkeypatch.setattr(Box, "answers", [])


@pytest.fixture
def make_events(tmp_path):
    made = []

    def make(*, sinks=None, **server):
        url = f"sqlite://{tmp_path}/events.db"
        server = {"api_keys": [API_KEY, OTHER_KEY], "encryption_key": "A" * 43 + "=", **server}
        document = {"outbox": {"url": url}, "dispatcher": {"run": "off"}, "sinks": sinks or {}, "server": server}
        made.append(Events.from_dict(document, plugins=[Post()]))
        return made[-1]

    yield make
    for events in made:
        events.stop()


@pytest.fixture
def events(make_events):
    return make_events()


class Client:
    """Asks an application, without a socket. What it does not handle is raised."""

    def __init__(self, app, key=API_KEY):
        self._app = app
        self._headers = {} if key is None else {"authorization": f"Bearer {key}"}

    def request(self, method, path, **options):
        async def ask():
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://api", headers=self._headers) as client:
                return await client.request(method, path, **options)

        return anyio.run(ask)

    def get(self, path, **options):
        return self.request("GET", path, **options)

    def post(self, path, **options):
        return self.request("POST", path, **options)

    def patch(self, path, **options):
        return self.request("PATCH", path, **options)

    def delete(self, path):
        return self.request("DELETE", path)


@pytest.fixture
def api(events):
    return Client(asgi_app(events))


def deliver(events):
    anyio.run(events.dispatcher().run_until_empty)


def problem(answer, status):
    """The sentences of a problem."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["status"] == status
    assert set(document) == {"type", "title", "status", "detail", "errors"}
    assert "canary" not in answer.text
    return document["errors"]


class TestKeys:
    @pytest.mark.parametrize("key", [API_KEY, OTHER_KEY])
    def test_one_of_them(self, events, key):
        """Each of the keys lets in."""
        assert Client(asgi_app(events), key).get("/v1/sinks").status_code == 200

    @pytest.mark.parametrize(
        "authorization",
        [
            None,
            "",
            "Bearer",
            "Bearer ",
            f"Basic {API_KEY}",
            API_KEY,
            f"Bearer {API_KEY}x",
            "Bearer \u00e9",
            f"Bearer {API_KEY} x",
        ],
    )
    @pytest.mark.parametrize("path", ["/v1/sinks", "/v1/openapi.json", "/nothing"])
    def test_none_of_them(self, events, path, authorization):
        """Everything else is 401 and a sentence, wherever it goes."""
        client = Client(asgi_app(events), None)
        headers = {} if authorization is None else {"authorization": authorization.encode()}

        answer = client.get(path, headers=headers)

        (sentence,) = problem(answer, 401)
        assert "Authorization: Bearer" in sentence
        assert answer.headers["www-authenticate"] == "Bearer"

    def test_none_configured(self, make_events):
        """Without a key there is no API, and the error says what to write."""
        with pytest.raises(
            ConfigurationError, match=r"server\.api_keys: the management API needs at least one key, such as"
        ):
            asgi_app(make_events(api_keys=[]))

    @pytest.mark.parametrize("key", ["short", "a" * 19, "with a space in it, long", "\u00e9" * 30])
    def test_a_key_that_is_none(self, make_events, key):
        """A key that can be guessed, or cannot be sent, is refused, and not repeated."""
        with pytest.raises(ConfigurationError, match=r"server\.api_keys\.0: expected at least 20 characters") as error:
            make_events(api_keys=[key])

        assert key not in str(error.value)


class TestSinks:
    def test_life(self, api, events):
        """A sink is made, read, listed, changed, turned off and on, tested and deleted."""
        made = api.post("/v1/sinks", json=CRM)
        assert made.status_code == 201
        shown = {key: value for key, value in made.json().items() if key != "secrets"}
        assert (shown["name"], shown["origin"], shown["enabled"]) == ("crm", "api", True)
        assert shown["settings"] == {"events": ["*"], "token": {"configured": True, "last4": "lace"}}
        assert api.get("/v1/sinks/crm").json() == shown
        assert api.get("/v1/sinks").json() == {"sinks": [shown]}

        changed = api.patch("/v1/sinks/crm", json={"settings": {"tag": "a"}, "revision": shown["revision"]}).json()
        assert changed["settings"] == {**shown["settings"], "tag": "a"}
        assert api.post("/v1/sinks/crm/disable").json()["enabled"] is False
        enabled = api.post("/v1/sinks/crm/enable").json()
        assert (enabled["enabled"], enabled["was_disabled"]) == (True, None)

        sent = api.post("/v1/sinks/crm/test", json={"type": "user.deleted"})
        assert sent.status_code == 202
        (delivery,) = api.get("/v1/deliveries", params={"event": sent.json()["event_id"]}).json()["deliveries"]
        assert (delivery["sink"], delivery["event_type"], delivery["state"]) == ("crm", "user.deleted", "pending")

        assert api.delete("/v1/sinks/crm").json() == {"name": "crm", "skipped": 1}
        assert problem(api.get("/v1/sinks/crm"), 404) == ["there is no sink 'crm'"]

    def test_rotation(self, api):
        """A new secret is in the answer that made it, and in no other."""
        made = api.post("/v1/sinks", json={**CRM, "settings": {"events": ["*"]}})
        rotated = api.post("/v1/sinks/crm/rotate", json={"keep": "1d"})

        assert made.json()["secrets"] == rotated.json()["secrets"] == {"token": "canary-new-5ecret"}
        assert made.headers["cache-control"] == "no-store"
        assert "canary" not in api.get("/v1/sinks").text + api.get("/v1/sinks/crm").text

    def test_an_enabled_sink_whose_place_wanted_no_more(self, api, events):
        """Enabling says what is over."""
        api.post("/v1/sinks", json=CRM)
        api.post("/v1/sinks/crm/test")
        Box.answers.append(Rejected("410 Gone", disables=True))
        deliver(events)

        assert problem(api.post("/v1/sinks/crm/test"), 409)
        assert api.post("/v1/sinks/crm/enable").json()["was_disabled"]["reason"] == "410 Gone"

    def test_of_the_configuration(self, make_events):
        """It is listed, and changed only in its file."""
        table = {"type": "box", "events": ["*"], "token": SECRET}
        api = Client(asgi_app(make_events(sinks={"crm": table})))

        (sink,) = api.get("/v1/sinks").json()["sinks"]

        assert (sink["origin"], sink["revision"]) == ("configuration", None)
        assert problem(api.delete("/v1/sinks/crm"), 409) == ["the sink 'crm' comes from configuration; change it there"]
        assert problem(api.post("/v1/sinks", json=CRM), 409) == ["configuration has a sink 'crm'; choose another name"]

    def test_an_old_revision(self, api):
        """Whoever does not know of the last change gets 409."""
        old = api.post("/v1/sinks", json=CRM).json()["revision"]
        api.patch("/v1/sinks/crm", json={"enabled": False})

        assert problem(api.patch("/v1/sinks/crm", json={"enabled": True, "revision": old}), 409)
        assert problem(api.delete(f"/v1/sinks/crm?revision={old}"), 409)

    def test_several_problems(self, api):
        """All that is wrong with a table is said at once, naming keys."""
        settings = {"events": ["user.*", "No Type"], "tokn": SECRET, "tag": 7}

        found = problem(api.post("/v1/sinks", json={**CRM, "settings": settings}), 422)

        assert sorted(sentence.split(": ")[1] for sentence in found) == [
            "sinks.crm.events",
            "sinks.crm.tag",
            "sinks.crm.tokn",
        ]

    def test_sink_types(self, api):
        """What can be made, each with the schema of its settings."""
        document = api.get("/v1/sink-types").json()

        assert [one["type"] for one in document["sink_types"]] == ["box"]
        assert document["sink_types"][0]["settings"]["properties"]["token"]["format"] == "password"
        assert "events" in document["common"]["properties"]


class TestLooking:
    def test_events(self, api, events):
        """Stored events can be read on from where one was."""
        for number in range(3):
            events.emit_sync("app.said", data={"n": number})

        first = api.get("/v1/events?after=0&limit=2").json()
        rest = api.get("/v1/events", params={"after": first["next"]}).json()

        assert [event["event"]["data"]["n"] for event in first["events"] + rest["events"]] == [0, 1, 2]
        assert api.get("/v1/events", params={"after": rest["next"]}).json() == {"events": [], "next": 3}
        assert api.get("/v1/events?limit=1").json()["events"][0]["sequence"] == 3
        assert api.get(f"/v1/events/{first['events'][0]['id']}").json() == first["events"][0]
        assert problem(api.get("/v1/events/evt_1"), 404) == ["there is no event 'evt_1' in the outbox"]

    def test_an_erased_event(self, api, events):
        """Of an erased event the skeleton is left."""
        event = events.emit_sync("app.said", user_id="u1")
        events.outbox.erase("u1")

        found = api.get(f"/v1/events/{event.id}").json()
        assert (found["type"], found["event"]) == ("app.said", None)

    def test_pages_of_deliveries(self, api, events):
        """Page after page from the first on: every delivery once, in the order of their events."""
        for name in ("a", "b", "c"):
            api.post("/v1/sinks", json={**CRM, "name": name})
        for _ in range(3):
            events.emit_sync("app.said")

        seen, after = [], "0"
        while page := api.get("/v1/deliveries", params={"limit": 2, "after": after}).json():
            if not page["deliveries"]:
                break
            seen += [(one["sequence"], one["sink"]) for one in page["deliveries"]]
            after = page["next"]

        assert page["next"] == after
        assert seen == [(number, sink) for number in (1, 2, 3) for sink in "abc"]
        assert [one["sequence"] for one in api.get("/v1/deliveries?limit=2").json()["deliveries"]] == [3, 3]

    def test_failures(self, api, events):
        """Dead letters are found by sink and state, with their attempts and reasons."""
        api.post("/v1/sinks", json=CRM)
        event = events.emit_sync("app.said")
        events.emit_sync("app.other")
        Box.answers.append(Rejected("400 Bad", {"status": 400}))
        deliver(events)

        (dead,) = api.get("/v1/deliveries?sink=crm&state=dead&since=2026-01-01&type=app.*").json()["deliveries"]

        assert (dead["event_id"], dead["reason"], dead["used"]) == (event.id, "400 Bad", 1)
        assert [(one["number"], one["outcome"], one["detail"]) for one in dead["attempts"]] == [
            (1, "rejected", {"status": 400})
        ]

    def test_status(self, api, events):
        """Each sink, the outbox and the ledger."""
        api.post("/v1/sinks", json=CRM)
        events.emit_sync("app.said")
        deliver(events)

        document = api.get("/v1/status").json()

        (crm,) = document["sinks"]
        assert (crm["sink"], crm["configuration"], crm["done"], crm["pending"], crm["breaker"]) == (
            "crm",
            "on",
            1,
            0,
            None,
        )
        assert document["outbox"]["events"] == 1
        assert document["ledger"] == []

    def test_catalog(self, api):
        """Every event type with its schema and example."""
        found = {one["type"]: one for one in api.get("/v1/catalog").json()["event_types"]}

        assert len(found) > 90
        assert found["user.created"]["data"]["type"] == "object"


class TestReplay:
    @pytest.fixture
    def dead(self, api, events):
        """Three dead letters of one sink; returns their events."""
        api.post("/v1/sinks", json=CRM)
        Box.answers += [Rejected("400 Bad")] * 3
        made = [events.emit_sync(name) for name in ("app.one", "app.two", "other.one")]
        deliver(events)
        return made

    def test_one(self, api, events, dead):
        """One event is due again, and only that; the record says who did it."""
        answer = api.post("/v1/replay", json={"events": [dead[0].id, "evt_1"], "sink": "crm", "by": "ada"}).json()

        assert (answer["due"], answer["unknown"], answer["dry_run"]) == (1, ["evt_1"], False)
        deliver(events)
        found = api.get(f"/v1/deliveries?event={dead[0].id}").json()["deliveries"][0]
        assert found["state"] == "done"
        assert [attempt["outcome"] for attempt in found["attempts"]] == ["rejected", "replayed", "delivered"]
        assert "ada" in json.dumps(found["attempts"][1])

    def test_a_range(self, api, dead):
        """A range by sink, state, types and time is counted first without a change, then due."""
        wish = {"sink": "crm", "types": ["app.*"], "since": "2026-01-01T00:00:00Z"}

        assert api.post("/v1/replay", json={**wish, "dry_run": True}).json()["due"] == 2
        assert len(api.get("/v1/deliveries?state=dead").json()["deliveries"]) == 3
        assert api.post("/v1/replay", json=wish).json()["due"] == 2
        assert [one["event_type"] for one in api.get("/v1/deliveries?state=dead").json()["deliveries"]] == ["other.one"]

    @pytest.mark.parametrize(
        ("wish", "said"),
        [
            ({}, "say what to replay"),
            ({"sink": "crn"}, "there is no sink 'crn', did you mean 'crm'"),
            ({"sink": "crm", "state": "pending"}, "body.state"),
            ({"sink": "crm", "state": "done"}, "that is everything that 'crm' has ever got"),
            ({"sink": "crm", "types": ["A b"]}, "'A b' is not"),
            ({"sink": "crm", "by": ""}, "say who replays"),
            ({"sink": "crm", "since": "2026-02-01", "until": "2026-01-01"}, "the range of times is empty"),
        ],
    )
    def test_refused(self, api, dead, wish, said):
        """What would do nothing, or not what was meant, is refused with what to do instead."""
        assert said in problem(api.post("/v1/replay", json=wish), 422)[0]

    def test_to_a_sink_that_is_off(self, api, dead):
        """Nothing is made due for a sink that is turned off."""
        api.post("/v1/sinks/crm/disable")

        assert "turned off" in problem(api.post("/v1/replay", json={"sink": "crm"}), 422)[0]


class TestBadRequests:
    @pytest.mark.parametrize(
        ("method", "path", "options", "status", "said"),
        [
            ("POST", "/v1/sinks", {"content": b"{"}, 400, "request: body: is not JSON"),
            ("POST", "/v1/sinks", {"content": b"\xff\xfe"}, 400, "request: body: is not JSON"),
            ("POST", "/v1/sinks", {"content": b"[" * 100_000}, 400, "request: body: is not JSON"),
            ("POST", "/v1/sinks", {"content": b'{"a": NaN}'}, 400, "request: body: is not JSON"),
            ("POST", "/v1/sinks", {"content": b"[]"}, 422, "request: body: expected an object"),
            ("POST", "/v1/sinks", {}, 422, "request: body.name: is required"),
            (
                "POST",
                "/v1/sinks",
                {"json": {**CRM, "nmae": "canary"}},
                422,
                "request: body.nmae: unknown key, did you mean 'name'",
            ),
            (
                "POST",
                "/v1/sinks",
                {"json": {**CRM, "settings": ["canary"]}},
                422,
                "request: body.settings: expected a table",
            ),
            (
                "POST",
                "/v1/sinks",
                {"json": {**CRM, "name": "../etc"}},
                422,
                "request: sinks.../etc: a sink's name consists",
            ),
            ("POST", "/v1/sinks", {"json": {**CRM, "name": "a" * 101}}, 422, "request: body.name: "),
            (
                "POST",
                "/v1/sinks",
                {"content": b"a=1", "headers": {"content-type": "text/plain"}},
                415,
                "expected 'application/json'",
            ),
            ("PATCH", "/v1/sinks/crm", {"json": {"enabled": "perhaps"}}, 422, "request: body.enabled: "),
            ("POST", "/v1/sinks/crm/rotate", {"json": {"keep": "often"}}, 422, "request: body.keep: "),
            ("POST", "/v1/sinks/crm/rotate", {"json": {"keep": 1e300}}, 422, "request: body.keep: "),
            (
                "POST",
                "/v1/sinks/crm/test",
                {"json": {"type": "user.creatd"}},
                422,
                "request: body.type: there is no event type",
            ),
            ("GET", "/v1/events?after=-1", {}, 422, "request: query.after: "),
            ("GET", f"/v1/events?after={2**63}", {}, 422, "request: query.after: "),
            ("GET", "/v1/events?limit=0", {}, 422, "request: query.limit: "),
            ("GET", "/v1/events?limit=1&limit=2", {}, 422, "request: query.limit: is given twice"),
            ("GET", "/v1/events?limitt=1", {}, 422, "request: query.limitt: unknown key, did you mean 'limit'?"),
            ("GET", "/v1/deliveries?state=lost", {}, 422, "request: query.state: "),
            (
                "GET",
                "/v1/deliveries?after=x",
                {},
                422,
                "request: query.after: expected the 'next' of an earlier answer",
            ),
            ("GET", "/v1/deliveries?since=yesterday", {}, 422, "request: query.since: "),
            ("GET", "/v1/deliveries?sink=%00", {}, 422, "request: query.sink: holds a NUL"),
            ("GET", "/v1/events/%00", {}, 404, "request: path: holds a NUL"),
            ("POST", "/v1/replay", {"json": {"events": ["\0"]}}, 422, "request: body: holds a NUL"),
            ("GET", "/v1/nothing", {}, 404, "there is nothing at /v1/nothing"),
            ("PUT", "/v1/sinks", {}, 405, "PUT is not for /v1/sinks"),
        ],
    )
    def test_is_a_sentence(self, api, method, path, options, status, said):
        """What is wrong is said in a sentence, with a status of the 4xx, and no value is repeated that may be secret."""
        api.post("/v1/sinks", json=CRM)

        found = problem(api.request(method, path, **options), status)

        assert any(said in sentence for sentence in found), found

    def test_a_huge_body(self, api):
        """A body beyond the limit is refused while it comes, whatever it says of its length."""

        async def endless():
            for _ in range(LARGEST_BODY // 1024 + 2):
                yield b" " * 1024

        assert "larger than" in problem(api.post("/v1/sinks", content=endless()), 413)[0]

    @given(document=DOCUMENTS)
    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
    def test_garbage(self, api, document):
        """Whatever JSON comes as a sink, its settings or a change of it: 4xx with sentences, or it is taken. Never 500."""
        api.post("/v1/sinks", json=CRM)
        for method, path, body in (
            ("POST", "/v1/sinks", document),
            ("POST", "/v1/sinks", {**CRM, "name": "new", "settings": document}),
            ("PATCH", "/v1/sinks/crm", {"settings": document}),
            ("POST", "/v1/sinks/crm/rotate", document),
        ):
            answer = api.request(method, path, content=json.dumps(document if body is document else body))

            assert answer.status_code in {200, 201, 400, 404, 409, 422}, answer.text
        api.delete("/v1/sinks/new")

    def test_an_outbox_that_is_away(self, api, monkeypatch):
        """That is 503, in the outbox's own words."""

        def away(_outbox):
            raise OutboxUnavailable("the outbox events.db cannot be used: database is locked")

        monkeypatch.setattr(SqliteOutbox, "status", away)

        assert problem(api.get("/v1/status"), 503) == ["the outbox events.db cannot be used: database is locked"]

    def test_a_bug(self, api, monkeypatch, logged):
        """A bug of ours is 500 without a traceback; the log says where, without what the exception said."""

        def broken(_outbox):
            raise KeyError("canary")

        monkeypatch.setattr(SqliteOutbox, "status", broken)

        assert problem(api.get("/v1/status"), 500) == [
            "that is a bug in supertokens-events or in a plugin; the log has more"
        ]
        assert "GET /v1/status" in logged()
        assert "canary" not in logged()


class TestOpenapi:
    def test_valid(self, api):
        """The document is OpenAPI 3.1, by its own schema."""
        document = api.get("/v1/openapi.json").json()

        validate(document)
        assert document["openapi"] == "3.1.0"

    def test_complete(self, api):
        """It has every operation, under its name, and every parameter in a path."""
        document = api.get("/v1/openapi.json").json()
        found = {
            (method.upper(), path): operation
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        }

        assert {key: operation["operationId"] for key, operation in found.items()} == {
            (operation.method, operation.path): operation.name for operation in OPERATIONS
        }
        assert len({operation.name for operation in OPERATIONS}) == len(OPERATIONS)
        assert [one["name"] for one in found["PATCH", "/v1/sinks/{name}"]["parameters"]] == ["name"]

    def test_without_keys(self, api):
        """No key of ours is in it."""
        assert "canary" not in api.get("/v1/openapi.json").text


class TestMounted:
    def test_in_an_app(self, events):
        """In an app of somebody's own it is where it was mounted, and says so in its document."""
        app = Starlette(routes=[Mount("/admin/events", asgi_app(events))])
        client = Client(app)

        assert client.get("/admin/events/v1/sinks").json() == {"sinks": []}
        assert client.get("/admin/events/v1/openapi.json").json()["servers"] == [{"url": "/admin/events"}]

    def test_read_your_writes(self, events):
        """What the app stores right after a sink was made goes to it."""
        api = Client(asgi_app(events))
        api.post("/v1/sinks", json=CRM)

        event = events.emit_sync("app.said")

        assert [one.sink for one in events.outbox.deliveries(event_id=event.id)] == ["crm"]

    def test_side_by_side(self, events, monkeypatch):
        """A call that the outbox holds up holds up no other."""
        held, go_on = threading.Event(), threading.Event()
        status = SqliteOutbox.status

        def slow(outbox):
            held.set()
            assert go_on.wait(10)
            return status(outbox)

        monkeypatch.setattr(SqliteOutbox, "status", slow)

        async def both():
            transport = httpx.ASGITransport(asgi_app(events))
            headers = {"authorization": f"Bearer {API_KEY}"}
            client = httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)
            async with client, anyio.create_task_group() as tasks:
                tasks.start_soon(client.get, "/v1/status")
                await anyio.to_thread.run_sync(held.wait, 10)
                began = time.monotonic()
                answer = await client.get("/v1/catalog")
                go_on.set()
                return answer.status_code, time.monotonic() - began

        status_code, took = anyio.run(both)
        assert status_code == 200
        assert took < 10
