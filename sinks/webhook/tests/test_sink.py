"""The webhook sink against a real server: what it sends, how it is verified, and what each answer comes to."""

import logging
import subprocess
import sys

import anyio
import pytest
import standardwebhooks
from webhook_receivers import NOW, OK, OLD_SECRET, SECRET, Receiver, answering, deliver, delivery, webhook

from supertokens_events.event import Event, with_sequence
from supertokens_events.sink import Delivered, Rejected, Retry, RetryPolicy
from supertokens_events_webhook import WebhookSink, register_sink_types

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_an_event_is_posted_as_it_was_stored():
    """The body on the wire is the stored bytes, byte for byte, odd ones too, in a POST of JSON to the URL."""
    event = Event(type="user.created", data={"name": "Zoë \N{GRINNING FACE} \x7f\u2028", "n": 1.0, "empty": None})
    body = with_sequence(event.to_bytes(), 7)
    async with Receiver() as server:
        await deliver(webhook(server.url), delivery(body))

    (request,) = server.requests
    assert request.body == body
    assert request.line == "POST /hooks/auth?token=t0ken HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["user-agent"].startswith("supertokens-events-webhook")
    assert Event.from_bytes(request.body).data == event.data


async def test_the_reference_library_verifies_it():
    """A receiver that uses the reference library accepts the request as it came over the wire."""
    async with Receiver() as server:
        outcomes = await deliver(webhook(server.url), delivery(b'{"id":"evt_1","name":"Zo\xc3\xab"}'))

    (request,) = server.requests
    verified = standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)
    assert verified == {"id": "evt_1", "name": "Zoë"}
    assert outcomes == [Delivered({"status": 200, "answer": "ok"})]


async def test_the_vector_of_the_specification_goes_over_the_wire():
    """The specification's example arrives with the headers printed there; the time is in whole seconds."""
    example = delivery(b'{"test": 2432232314}', "msg_p5jXN8AQM9LWM0D4loKWxJek")
    async with Receiver() as server:
        await deliver(webhook(server.url, now=lambda: 1614265330.9), example)

    assert server.requests[0].signed == [
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "1614265330",
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ]


async def test_every_attempt_is_signed_anew():
    """Two attempts have the id and the body in common, and each its own time and its own signature, both valid."""
    times = iter([NOW, NOW, NOW + 300, NOW + 300])
    async with Receiver(answering("503 Busy"), OK) as server:
        sink = webhook(server.url, now=lambda: next(times))
        await deliver(sink, delivery(attempt=1), delivery(attempt=2))

    first, second = server.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert (first.signed[1], second.signed[1]) == ("1800000000", "1800000300")
    assert first.signed[2] != second.signed[2]


@pytest.mark.parametrize("secret", [SECRET, OLD_SECRET])
async def test_rotation_satisfies_both_secrets(secret):
    """While two secrets are configured, a receiver that knows either of them verifies the event."""
    async with Receiver() as server:
        await deliver(webhook(server.url, secret=[SECRET, OLD_SECRET]))

    (request,) = server.requests
    assert request.signed[2].count("v1,") == 2
    assert standardwebhooks.Webhook(secret).verify(request.body, request.headers)


async def test_headers_of_the_settings_are_sent():
    """Extra headers go with every request, and change none of the sink's own but the user agent."""
    async with Receiver() as server:
        await deliver(webhook(server.url, headers={"Authorization": "Bearer hunter22", "User-Agent": "crm"}))

    headers = server.requests[0].headers
    assert (headers["authorization"], headers["user-agent"]) == ("Bearer hunter22", "crm")


async def test_each_delivery_has_its_outcome():
    """Outcomes are in the order of the deliveries, one for each."""
    async with Receiver(OK, answering("503 Busy"), OK) as server:
        outcomes = await deliver(webhook(server.url), *(delivery(event_id=f"evt_{n}") for n in range(3)))

    assert [type(outcome) for outcome in outcomes] == [Delivered, Retry, Delivered]
    assert [request.headers["webhook-id"] for request in server.requests] == ["evt_0", "evt_1", "evt_2"]


@pytest.mark.parametrize("status", ["300 Choices", "304 Same", "404 No", "408 Slow", "500 Oh", "502 Bad", "504 Late"])
async def test_only_2xx_is_success(status):
    """Any other status is tried again, with the status in the reason and the detail."""
    async with Receiver(answering(status)) as server:
        (outcome,) = await deliver(webhook(server.url))

    assert isinstance(outcome, Retry)
    assert outcome.counts
    assert outcome.reason.startswith(f"{server.host} answered {status[:3]} ")
    assert outcome.detail == {"status": int(status[:3])}


async def test_what_the_receiver_says_is_kept():
    """The text of an answer is kept with the attempt, for the person who asks why."""
    async with Receiver(answering("400 No", body=b'{"error": "no such tenant"}')) as server:
        (outcome,) = await deliver(webhook(server.url))

    assert outcome.detail == {"status": 400, "answer": '{"error": "no such tenant"}'}


async def test_an_interim_status_is_no_answer():
    """A 199 is interim: the real status after it decides."""
    async with Receiver(b"HTTP/1.1 199 Wait\r\n\r\n" + answering("500 Oh")) as server:
        (outcome,) = await deliver(webhook(server.url))

    assert outcome.reason == f"{server.host} answered 500 Internal Server Error"


async def test_a_redirect_to_a_metadata_service_is_not_followed():
    """A redirect is a retry that says so, and nobody is asked for what it points at."""
    async with Receiver() as inside:
        redirect = answering("302 Found", f"location: http://{inside.host}/latest/meta-data/")
        async with Receiver(redirect) as server:
            (outcome,) = await deliver(webhook(server.url))

    assert outcome.reason.endswith("302 Found; redirects are not followed: configure the final address")
    assert inside.connections == 0


async def test_410_is_final():
    """A receiver that is gone is not asked again for this event."""
    async with Receiver(answering("410 Gone")) as server:
        (outcome,) = await deliver(webhook(server.url))

    assert isinstance(outcome, Rejected)


@pytest.mark.parametrize(
    ("retry_after", "after"),
    [("retry-after: 120", 120.0), ("Retry-After: Fri, 15 Jan 2027 08:01:30 GMT", 89.1), ("retry-after: soon", None)],
)
async def test_429_uses_up_no_attempt(retry_after, after):
    """Too many requests: the wait is what the receiver asks for, in either form, and the attempt does not count."""
    async with Receiver(answering("429 Slow Down", retry_after)) as server:
        (outcome,) = await deliver(webhook(server.url, now=lambda: NOW))

    assert not outcome.counts
    assert outcome.after == (None if after is None else pytest.approx(after))


async def test_the_time_limit_is_the_settings():
    """A receiver that does not answer within ``timeout`` is a retry."""
    async with Receiver(b"") as server:
        (outcome,) = await deliver(webhook(server.url, timeout="100ms"))

    assert outcome == Retry(f"{server.host} did not answer in time", away=True)


async def test_a_closed_port_is_a_retry():
    """A receiver that is down is a retry, and the reason has neither path nor query of the URL."""
    async with Receiver() as server:
        pass
    (outcome,) = await deliver(webhook(server.url))

    assert outcome == Retry(f"{server.host} refused the connection", away=True)


async def test_loopback_is_refused_unless_allowed():
    """Without ``allow_networks`` no connection reaches a server inside, and the reason names the setting."""
    async with Receiver() as server:
        (outcome,) = await deliver(webhook(server.url, allow_networks=[]))

    assert outcome.reason.endswith("which is not a public address: allow_networks can permit it")
    assert server.connections == 0


async def test_ten_at_once_share_ten_connections():
    """Deliveries go out side by side, over no more connections than the sink's concurrency, and those are kept."""
    async with Receiver() as server:
        sink = webhook(server.url)
        await sink.open()
        async with anyio.create_task_group() as tasks:
            for number in range(50):
                tasks.start_soon(sink.deliver, [delivery(event_id=f"evt_{number}")])
        await sink.close()

    assert len(server.requests) == 50
    assert server.connections <= sink.concurrency == 10


async def test_check_finds_a_receiver_that_is_there():
    """A check connects and sends no request."""
    async with Receiver() as server:
        problems = await webhook(server.url).check()

    assert list(problems) == []
    assert server.requests == []


async def test_check_names_what_is_in_the_way():
    """A check says in a sentence what a delivery would run into."""
    async with Receiver() as server:
        refused = await webhook(server.url, allow_networks=[]).check()
    down = await webhook(server.url).check()

    assert refused == [f"{server.host} is at 127.0.0.1, which is not a public address: allow_networks can permit it"]
    assert down == [f"{server.host} refused the connection"]


async def test_no_secret_is_told(caplog):
    """Secrets, header values and the URL's query are in no repr, outcome or log line, also when they are echoed."""
    caplog.set_level(logging.DEBUG)
    told = []
    for answer in (answering("500 Oh", body=f"got {SECRET} and Bearer hunter22".encode()), b"garbage\r\n\r\n"):
        async with Receiver(answer) as server:
            sink = webhook(server.url, headers={"authorization": "Bearer hunter22"})
            told += [sink, sink.settings, *await deliver(sink)]

    text = f"{told!r} {told!s} {caplog.text}"
    assert "got *** and ***" in text
    assert not any(secret in text for secret in ("MfKQ9r8", "hunter22", "t0ken"))


async def test_a_token_in_the_url_is_not_kept():
    """What may be a token in the URL is not in the kept answer of a receiver that repeats it."""
    async with Receiver(answering("404 Not Found", body=b"Cannot POST /hooks?key=abcdefgh-1234")) as server:
        address = server.url.partition("?")[0]
        (outcome,) = await deliver(webhook(f"{address}?key=abcdefgh-1234"))

    assert "Cannot POST" in str(outcome)
    assert "abcdefgh-1234" not in str(outcome)


def test_the_schedule_is_the_standard_one():
    """A webhook has ten attempts."""
    assert WebhookSink.retry == RetryPolicy()
    assert WebhookSink.retry.attempts == 10


def test_an_attempt_ends_before_the_dispatcher_gives_up():
    """The longest timeout that the settings accept is shorter than the sink's deadline."""
    assert webhook("http://crm.example.com", timeout=40).settings.timeout < WebhookSink.deadline


def test_the_plugin_brings_the_webhook():
    """The entry point's module registers one sink type, ``webhook``."""
    assert [sink_type.type for sink_type in register_sink_types()] == ["webhook"]


def test_importing_it_loads_no_client():
    """The plugin is cheap to load: aiohttp comes with the first open sink."""
    check = "import sys, supertokens_events_webhook; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
