"""The sending side of Standard Webhooks 1.0.0, a test for each row of the table in docs/guide/webhook.md."""

import json
import re
from datetime import datetime

import anyio
import anyio.to_thread
import httpx
import pytest
import standardwebhooks
from webhook_receivers import NOW, OK, OLD_SECRET, SECRET, Receiver, answering, deliver, webhook

from supertokens_events import Events
from supertokens_events.catalog import builtin_types
from supertokens_events.catalog.schema import data_schema, event_example
from supertokens_events.event import new_event_id, with_sequence
from supertokens_events.operate.replay import Asked, Replay, select
from supertokens_events.outbox import DeliveryState
from supertokens_events.retry import RetryPolicy
from supertokens_events.server import asgi_app
from supertokens_events.sink import Delivered, Delivery, Rejected, Retry
from supertokens_events.subscription import Patterns
from supertokens_events.testing import sample_event
from supertokens_events_webhook.signing import key_from, new_key_pair, signature_header

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


def stored(**fields):
    event = sample_event(**fields)
    return Delivery("crm", event.id, event.type, 1, event.tenant_id, event.user_id, with_sequence(event.to_bytes(), 1))


async def answered(*answers, n=1, **settings):
    """The outcomes of deliveries to a receiver with these answers, and what it got."""
    async with Receiver(*answers) as server:
        outcomes = await deliver(webhook(server.url, **settings), *(stored() for _ in range(n)))
    return outcomes, server.requests


async def test_row_01_a_post_with_the_payload_in_its_body():
    """HTTP POST, the payload is the body."""
    one = stored()
    async with Receiver() as server:
        await deliver(webhook(server.url), one)

    assert (server.requests[0].line.split()[0], server.requests[0].body) == ("POST", one.body)


async def test_row_02_json():
    """The payload is JSON and says so."""
    _, (request,) = await answered()

    assert request.headers["content-type"] == "application/json"
    assert isinstance(json.loads(request.body), dict)


@pytest.mark.parametrize("data_model", builtin_types(), ids=lambda data_model: data_model.event_type)
def test_row_03_type_timestamp_data(data_model):
    """Every type has ``type``, ``timestamp`` (when it happened) and ``data`` on top."""
    event = sample_event(data_model.event_type)
    document = json.loads(event.to_bytes())

    assert document["type"] == data_model.event_type
    assert datetime.fromisoformat(document["timestamp"]) == event.timestamp
    assert isinstance(document["data"], dict)


def test_row_04_names_of_types():
    """Types are full-stop delimited identifiers of letters, digits and underscores, each with one schema."""
    types = builtin_types()

    assert all(re.fullmatch(r"[a-zA-Z0-9_]+(\.[a-zA-Z0-9_]+)+", one.event_type) for one in types)
    assert len({one.event_type for one in types}) == len(types)


@pytest.mark.parametrize("data_model", builtin_types(), ids=lambda data_model: data_model.event_type)
def test_row_05_schema_and_example(data_model):
    """Every type has a JSON Schema and an example."""
    assert data_schema(data_model)["type"] == "object"
    assert event_example(data_model)["type"] == data_model.event_type


async def test_row_06_size():
    """A payload of more than 20 kB is noted; one beyond ``max_size`` is not sent."""
    large = stored(data={"text": "x" * 21_000})
    async with Receiver() as server:
        (noted,) = await deliver(webhook(server.url), large)
        (refused,) = await deliver(webhook(server.url, max_size="20kB"), large)

    assert noted.detail["large"]
    assert isinstance(refused, Rejected)
    assert len(server.requests) == 1


async def test_row_07_thin_or_full():
    """``format`` chooses for each sink."""
    _, (full,) = await answered()
    _, (thin,) = await answered(format="thin")

    assert "data" in json.loads(full.body)
    assert "data" not in json.loads(thin.body)


async def test_row_08_the_id():
    """``webhook-id`` is the event's id: unique, the same at every attempt, without a full stop."""
    one = stored()
    async with Receiver(answering("500 Oh")) as server:
        await deliver(webhook(server.url), one, one)

    assert [request.headers["webhook-id"] for request in server.requests] == [one.event_id] * 2
    assert all(re.fullmatch(r"evt_[0-9A-Z]{26}", new_event_id()) for _ in range(100))


async def test_row_09_the_timestamp():
    """``webhook-timestamp`` is the attempt's, in whole seconds."""
    times = iter([NOW, NOW, NOW + 300, NOW + 300])
    async with Receiver(answering("500 Oh")) as server:
        await deliver(webhook(server.url, now=lambda: next(times)), stored(), stored())

    assert [request.headers["webhook-timestamp"] for request in server.requests] == ["1800000000", "1800000300"]


async def test_row_10_what_is_signed():
    """The signature is over ``id.timestamp.body`` as the receiver got them."""
    _, (request,) = await answered()

    id_, timestamp, signature = request.signed
    assert signature == signature_header([key_from(SECRET)], id_, int(timestamp), request.body)
    assert standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)


async def test_row_11_the_signature():
    """``webhook-signature`` is a list of ``version,base64``, divided by spaces."""
    _, (request,) = await answered(secret=[SECRET, OLD_SECRET])

    assert re.fullmatch(r"v1,[A-Za-z0-9+/]{43}= v1,[A-Za-z0-9+/]{43}=", request.headers["webhook-signature"])


def test_row_21_retries():
    """Ten attempts over 75 h 35 min 5 s, the waits moved by up to a fifth."""
    policy = webhook("https://crm.example.com/").retry

    assert (policy.attempts, policy.span, policy.jitter) == (10, 75 * 3600 + 35 * 60 + 5, 0.2)
    assert all(4 <= policy.wait_after(1) <= 6 for _ in range(100))
    assert policy.wait_after(10) is None


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_row_22_success(status):
    """2xx is success."""
    outcomes, _ = await answered(answering(f"{status} Fine"))

    assert isinstance(outcomes[0], Delivered)


@pytest.mark.parametrize("status", [300, 304, 400, 401, 404, 422, 500, 503, 599, 600, 999])
async def test_row_22_everything_else_is_none(status):
    """Nothing else is."""
    outcomes, _ = await answered(answering(f"{status} Other"))

    assert isinstance(outcomes[0], Retry)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_row_23_no_redirects(status):
    """A redirect is a failure, and is not followed."""
    async with Receiver() as other:
        outcomes, _ = await answered(answering(f"{status} There", f"location: {other.url}"))

    assert "redirects are not followed" in outcomes[0].reason
    assert other.connections == 0


async def test_row_24_gone():
    """410 disables the sink. What the dispatcher does then: core/tests/test_dispatch.py, ``test_disables``."""
    outcomes, _ = await answered(answering("410 Gone"))

    assert outcomes[0].disables


@pytest.mark.parametrize("status", [429, 502, 504])
async def test_row_25_throttling(status):
    """429, 502 and 504 hold the whole lane, for as long as ``Retry-After`` says, in seconds or as a date."""
    for header, wait in (("120", 120.0), ("Fri, 15 Jan 2027 08:02:00 GMT", pytest.approx(119.1))):
        outcomes, _ = await answered(answering(f"{status} Slow", f"retry-after: {header}"), now=lambda: NOW)
        assert (outcomes[0].away, outcomes[0].after) == (True, wait)


def test_row_25_retry_after_is_capped():
    """Nobody makes us wait longer than ``max_retry_after``, a day unless set."""
    policy = RetryPolicy()

    assert policy.wait_after(1, 9_999_999.0) == policy.wait_uncounted(1, 9_999_999.0) == 86400.0


def test_row_26_timeout():
    """An attempt takes at most 20 s, unless the settings say otherwise."""
    assert webhook("https://crm.example.com/").settings.timeout == 20.0


def test_row_27_https():
    """HTTP without TLS has to be allowed."""
    with pytest.raises(ValueError, match="expected 'https://'"):
        webhook("http://crm.example.com/", allow_http=False)


async def test_row_28_a_static_address():
    """A proxy gives requests one address to come from."""
    async with Receiver() as proxy:
        await deliver(webhook("http://93.184.216.34/hook", proxy=f"http://{proxy.host}"))

    assert proxy.requests[0].line == "POST http://93.184.216.34/hook HTTP/1.1"


async def test_row_29_no_internal_addresses():
    """An address that is not public is not connected to. The whole corpus: test_ssrf.py."""
    async with Receiver() as server:
        (outcome,) = await deliver(webhook(server.url, allow_networks=[]))

    assert "is not a public address" in outcome.reason
    assert server.connections == 0


def test_row_30_another_way(tmp_path, monkeypatch):
    """That a sink is disabled is told to another sink. Loops and the rest: core/tests/test_notices.py."""
    monkeypatch.chdir(tmp_path)

    async def run():
        async with Receiver(answering("410 Gone")) as gone, Receiver() as oncall:
            table = {"type": "webhook", "secret": SECRET, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
            sinks = {
                "crm": table | {"url": gone.url, "events": ["user.*"]},
                "oncall": table | {"url": oncall.url, "events": ["sink.disabled"]},
            }
            tables = {"outbox": {"url": "sqlite:events.db"}, "dispatcher": {"run": "off"}, "sinks": sinks}
            events = Events.from_dict(tables)
            await events.emit("user.created", data=dict(sample_event().data))
            for _ in range(2):
                await events.dispatcher().run_until_empty()
                await anyio.to_thread.run_sync(events.emitter.stop)
            events.stop()
            return [json.loads(request.body) for request in oncall.requests]

    (told,) = anyio.run(run)
    assert (told["type"], told["data"]["sink"]) == ("sink.disabled", "crm")


def test_row_31_selection():
    """Each of several sinks says which types it wants."""
    crm, audit = Patterns(["user.*", "!user.metadata.*"]), Patterns(["*"])

    assert [name for name in ("user.created", "user.metadata.updated", "role.created") if crm.matches(name)] == [
        "user.created"
    ]
    assert audit.matches("role.created")


def test_row_32_listed_and_sent_again(tmp_path, monkeypatch):
    """What failed is listed; one and a range are sent again under the same id. More: core/tests/outbox/test_replay.py."""
    monkeypatch.chdir(tmp_path)

    async def run():
        async with Receiver(*[answering("400 Bad Request")] * 3, answering("204 No Content")) as receiver:
            table = {"type": "webhook", "secret": SECRET, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
            crm = table | {"url": receiver.url, "events": ["user.*"], "retry": {"schedule": []}}
            events = Events.from_dict(
                {"outbox": {"url": "sqlite:events.db"}, "dispatcher": {"run": "off"}, "sinks": {"crm": crm}}
            )
            ids = [(await events.emit("user.created", data=dict(sample_event().data))).id for _ in range(3)]
            await events.dispatcher().run_until_empty()
            failed = [one.event_id for one in events.outbox.deliveries(state=DeliveryState.DEAD)]
            for asked in (Asked([ids[1]]), Asked(sink="crm", types=["user.*"])):
                selection = select(events.outbox, events.settings.sinks, asked)
                list(Replay(events.outbox, selection, by="ada").steps())
                await events.dispatcher().run_until_empty()
            events.stop()
            return ids, failed, [request.headers["webhook-id"] for request in receiver.requests]

    ids, failed, requests = anyio.run(run)
    assert failed == ids
    assert sorted(requests[:3]) == sorted(ids)
    assert [requests[3], *sorted(requests[4:])] == [ids[1], *sorted([ids[0], ids[2]])]


API_KEY = "a-key-of-the-management-api"


class Api:
    """The management API of an outbox in ``folder``, and a dispatcher beside it."""

    def __init__(self, folder):
        server = {"api_keys": [API_KEY], "encryption_key": "A" * 43 + "="}
        document = {"outbox": {"url": f"sqlite://{folder}/events.db"}, "dispatcher": {"run": "off"}, "server": server}
        self.events = Events.from_dict(document)
        transport, headers = httpx.ASGITransport(asgi_app(self.events)), {"authorization": f"Bearer {API_KEY}"}
        self._client = httpx.AsyncClient(transport=transport, base_url="http://api", headers=headers)

    async def ask(self, method, path, **body):
        answer = await self._client.request(method, path, json=body or None)
        assert answer.is_success, answer.text
        return answer.json()

    async def make(self, url, **settings):
        own = {"events": ["app.*"], "url": url, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
        return await self.ask("POST", "/v1/sinks", name="crm", type="webhook", settings=own | settings)

    async def deliver(self):
        await self.events.dispatcher().run_until_empty()


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    yield api
    api.events.stop()


async def test_row_32_over_http(api):
    """Failures are listed with their reasons; one of them, or a range, is sent again, with the same ids."""
    async with Receiver(*[answering("400 Bad")] * 3, OK) as server:
        await api.make(server.url, retry={"schedule": []})
        made = [await api.events.emit(name) for name in ("app.one", "app.two", "app.two")]
        await api.deliver()
        failed = (await api.ask("GET", "/v1/deliveries?sink=crm&state=dead"))["deliveries"]
        one = await api.ask("POST", "/v1/replay", events=[made[0].id])
        await api.deliver()
        wish = {"sink": "crm", "types": ["app.two"], "since": "2026-01-01T00:00:00Z"}
        counted = await api.ask("POST", "/v1/replay", **wish, dry_run=True)
        several = await api.ask("POST", "/v1/replay", **wish)
        await api.deliver()

    assert [(one["event_id"], one["attempts"][0]["detail"]["status"]) for one in failed] == [(e.id, 400) for e in made]
    assert (one["due"], counted["due"], several["due"]) == (1, 2, 2)
    sent = [request.headers["webhook-id"] for request in server.requests]
    assert sorted(sent[:3]) == sorted(sent[3:]) == sorted(event.id for event in made)
    assert sent[3] == made[0].id
    assert (await api.ask("GET", "/v1/deliveries?state=dead"))["deliveries"] == []


async def test_row_33_an_api_for_endpoints(api):
    """Endpoints are made, listed, changed, turned off and on, tried, given another key and deleted over HTTP; a key is made
    where none is given, and shown once.
    """
    async with Receiver() as server:
        made = await api.make("https://wrong.example.com/")
        secret = made["secrets"]["secret"]
        await api.ask("PATCH", "/v1/sinks/crm", settings={"url": server.url})
        await api.ask("POST", "/v1/sinks/crm/disable")
        await api.ask("POST", "/v1/sinks/crm/enable")
        await api.ask("POST", "/v1/sinks/crm/test", type="user.created")
        await api.deliver()
        renewed = (await api.ask("POST", "/v1/sinks/crm/rotate", keep="1h"))["secrets"]["secret"]
        await api.ask("POST", "/v1/sinks/crm/test")
        await api.deliver()
        listed = (await api.ask("GET", "/v1/sinks"))["sinks"]
        await api.ask("DELETE", "/v1/sinks/crm")

    first, second = server.requests
    assert json.loads(first.body)["type"] == "user.created"
    for key, request in ((secret, first), (secret, second), (renewed, second)):
        standardwebhooks.Webhook(key).verify(request.body, request.headers)
    assert [sink["name"] for sink in listed] == ["crm"]
    assert listed[0]["settings"]["secret"][0] == {"configured": True, "last4": renewed[-4:]}
    assert secret not in str(listed)
    assert (await api.ask("GET", "/v1/sinks"))["sinks"] == []


async def test_row_33_an_asymmetric_key_stays_here(api):
    """Of an ed25519 key only the public half is ever shown, also when it is replaced."""
    made = await api.make("https://crm.example.com/", secret=new_key_pair().to_text())
    rotated = await api.ask("POST", "/v1/sinks/crm/rotate")

    assert made["secrets"] == {}
    assert [*rotated["secrets"]] == ["public_key"]
    assert rotated["secrets"]["public_key"].startswith("whpk_")
    assert "whsk_" not in str(rotated)


async def test_row_34_legacy_headers():
    """Our headers may go out under other names too."""
    _, (request,) = await answered(legacy_headers=["svix"])

    assert request.headers["svix-signature"] == request.headers["webhook-signature"]
