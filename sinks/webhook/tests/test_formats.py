"""What each format puts on the wire, read by libraries that are not ours."""

import gzip
import json
import re
import threading

import anyio
import jwt
import pytest
import standardwebhooks
from cloudevents.core.bindings.http import HTTPMessage, from_http_event
from cloudevents.core.formats.json import JSONFormat
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from webhook_receivers import NOW, SECRET, Receiver, answering, deliver, webhook

from supertokens_events.catalog import builtin_types
from supertokens_events.event import Event, with_sequence
from supertokens_events.sink import Delivered, Delivery, Rejected
from supertokens_events.testing import sample_event

pytestmark = pytest.mark.anyio

CAEP = "https://schemas.openid.net/secevent/caep/event-type/"
RISC = "https://schemas.openid.net/secevent/risc/event-type/"


@pytest.fixture
def anyio_backend():
    return "asyncio"


def stored(event_type="user.created", sequence=7, **fields):
    """A delivery of an event as an outbox stores it."""
    event = sample_event(event_type, **{"source": "https://api.example.com", "correlation_id": "c1"} | fields)
    body = with_sequence(event.to_bytes(), sequence)
    return Delivery("crm", event.id, event.type, sequence, event.tenant_id, event.user_id, body)


async def posted(*deliveries, **settings):
    """The requests that a sink with these settings makes, as they came over the wire."""
    async with Receiver() as server:
        outcomes = await deliver(webhook(server.url, **settings), *deliveries)
    assert {type(outcome) for outcome in outcomes} == {Delivered}
    return server.requests


# full and thin


async def test_full_is_what_was_stored():
    """The default sends the stored bytes."""
    one = stored()

    (request,) = await posted(one)

    assert (request.body, request.headers["content-type"]) == (one.body, "application/json")


async def test_thin_has_ids_only():
    """A thin payload says what, when and to whom; nothing of the data, the actor or the context."""
    one = stored(context={"ip": "203.0.113.9"})

    (request,) = await posted(one, format="thin")

    event = one.event
    assert json.loads(request.body) == {
        "id": event.id,
        "type": "user.created",
        "timestamp": json.loads(one.body)["timestamp"],
        "tenant_id": "public",
        "user_id": event.user_id,
        "correlation_id": "c1",
        "sequence": 7,
    }
    assert standardwebhooks.Webhook(SECRET).verify(request.body, request.headers)


async def test_thin_is_an_event():
    """Who reads events reads a thin one too."""
    one = stored()

    (request,) = await posted(one, format="thin")

    assert (Event.from_bytes(request.body).id, Event.from_bytes(request.body).data) == (one.event_id, {})


@pytest.mark.parametrize("format_", ["full", "thin", "cloudevents", "cloudevents-binary", "cloudevents-batch"])
async def test_every_format_is_signed(format_):
    """Whatever is sent, the signature is over it, and the reference library agrees."""
    (request,) = await posted(stored(), format=format_)

    assert standardwebhooks.Webhook(SECRET).verify(request.body, request.headers) is not None


# CloudEvents


def cloud_event(request):
    """As the CloudEvents SDK reads it."""
    return from_http_event(HTTPMessage(request.headers, request.body))


@pytest.mark.parametrize("format_", ["cloudevents", "cloudevents-binary"])
async def test_a_cloudevent_says_the_same(format_):
    """The SDK finds the attributes and, as data, the event as it was stored."""
    one = stored()

    (request,) = await posted(one, format=format_)

    event = cloud_event(request)
    assert (event.get_specversion(), event.get_id(), event.get_type()) == ("1.0", one.event_id, "user.created")
    assert (event.get_source(), event.get_subject()) == ("https://api.example.com", one.user_id)
    assert event.get_time() == one.event.timestamp
    assert event.get_datacontenttype() == "application/json"
    assert event.get_data() == json.loads(one.body)
    assert event.get_extension("tenantid") == "public"
    assert event.get_extension("correlationid") == "c1"
    assert str(event.get_extension("sequence")) == "7"


async def test_structured_keeps_the_bytes():
    """The stored bytes stand in a structured CloudEvent as they are."""
    one = stored(data={"n": 1.0, "name": "Zoë \N{GRINNING FACE}"})

    (request,) = await posted(one, format="cloudevents")

    assert request.headers["content-type"] == "application/cloudevents+json"
    assert b'"data":' + one.body + b"}" in request.body


async def test_binary_keeps_the_bytes():
    """The body of binary mode is the stored event; the attributes are headers, and none of them repeats its type."""
    one = stored()

    (request,) = await posted(one, format="cloudevents-binary")

    assert (request.body, request.headers["content-type"]) == (one.body, "application/json")
    assert request.headers["ce-specversion"] == "1.0"
    assert "ce-datacontenttype" not in request.headers


@pytest.mark.parametrize("user_id", ['Zoë "50 %" \N{GRINNING FACE}', "a b", "a\r\nx-evil: 1", "\0", "%41"])
async def test_binary_escapes_what_a_header_cannot_hold(user_id):
    """Any text arrives as it was, but for control characters, which a CloudEvent may not have; no header is smuggled in."""
    (request,) = await posted(stored(user_id=user_id), format="cloudevents-binary")

    assert cloud_event(request).get_subject() == re.sub(r"[\x00-\x1f]", "\ufffd", user_id)
    assert re.fullmatch(r"[!#-~]+", request.headers["ce-subject"])
    assert "x-evil" not in request.headers


async def test_what_is_not_known_is_left_out():
    """No user, no tenant, no request: no such attribute; the source, which is required, has a value that says so."""
    one = stored(user_id=None, tenant_id=None, correlation_id=None, source=None)

    (request,) = await posted(one, format="cloudevents")

    event = cloud_event(request)
    assert (event.get_subject(), event.get_source()) == (None, "urn:supertokens-events:unknown")
    assert not {"tenantid", "correlationid"} & json.loads(request.body).keys()


@pytest.mark.parametrize("data_model", builtin_types(), ids=lambda data_model: data_model.event_type)
def test_every_type_is_a_cloudevent(data_model):
    """The SDK parses the CloudEvent of every type in the catalog."""
    from supertokens_events import cloudevents

    one = stored(data_model.event_type)

    parsed = JSONFormat().read(None, cloudevents.structured(one, one.body))

    assert parsed.get_type() == data_model.event_type


# Batches


async def test_a_batch_is_one_request():
    """Events that are due together go out as one array, in order, each a CloudEvent."""
    many = [stored(sequence=number) for number in range(1, 6)]

    (request,) = await posted(*many, format="cloudevents-batch")

    assert request.headers["content-type"] == "application/cloudevents-batch+json"
    events = [JSONFormat().read(None, json.dumps(item)) for item in json.loads(request.body)]
    assert [event.get_id() for event in events] == [one.event_id for one in many]


async def test_a_batch_has_an_id_of_its_own():
    """The same events have the same webhook-id at every attempt, others another, and none contains a full stop."""
    first, second, third = (stored(sequence=number) for number in range(3))

    requests = [
        *await posted(first, second, format="cloudevents-batch"),
        *await posted(first, second, format="cloudevents-batch"),
        *await posted(first, second, third, format="cloudevents-batch"),
    ]

    ids = [request.headers["webhook-id"] for request in requests]
    assert ids[0] == ids[1] != ids[2]
    assert all(re.fullmatch(r"batch_[0-9a-f]{32}", id_) for id_ in ids)


async def test_a_batch_has_one_answer():
    """What the receiver says of a batch is the outcome of each of its events."""
    async with Receiver(answering("503 Busy")) as server:
        outcomes = await deliver(webhook(server.url, format="cloudevents-batch"), stored(), stored(), stored())

    assert [outcome.detail["status"] for outcome in outcomes] == [503, 503, 503]
    assert len(server.requests) == 1


async def test_a_batch_that_is_too_large_is_divided():
    """Events that do not fit into one request go out in several; one that fits into none is rejected alone."""
    large = stored(data={"text": "x" * 3000})
    many = [stored(data={"text": "x" * 400}) for _ in range(8)]
    async with Receiver() as server:
        outcomes = await deliver(webhook(server.url, format="cloudevents-batch", max_size="2500B"), *many, large)

    assert [type(outcome) for outcome in outcomes] == [Delivered] * 8 + [Rejected]
    assert sum(len(json.loads(request.body)) for request in server.requests) == 8
    assert all(len(request.body) <= 2500 for request in server.requests)


def test_only_the_batch_format_takes_batches():
    """The dispatcher gives several deliveries at once to no other format."""
    assert webhook("https://crm.example.com").batch is None
    assert webhook("https://crm.example.com", format="cloudevents-batch").batch.size == 100


# Security event tokens

ED25519 = ed25519.Ed25519PrivateKey.generate()
P256 = ec.generate_private_key(ec.SECP256R1())


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


async def token(one, key=ED25519, algorithm="EdDSA", **settings):
    """The header and the claims of the token that is sent for a delivery, verified by PyJWT."""
    table = {"issuer": "https://api.example.com", "audience": "https://siem.example.com", "key": pem(key)}
    async with Receiver(answering("202 Accepted")) as server:
        (outcome,) = await deliver(webhook(server.url, format="set", now=lambda: NOW, token=table | settings), one)
    (request,) = server.requests
    assert outcome == Delivered({"status": 202})
    assert request.headers["content-type"] == "application/secevent+jwt"
    assert request.headers["accept"] == "application/json"
    claims = jwt.decode(
        request.body,
        key.public_key(),
        [algorithm],
        audience="https://siem.example.com",
        issuer="https://api.example.com",
        options={"verify_iat": False},
    )
    return jwt.get_unverified_header(request.body), claims


@pytest.mark.parametrize(("key", "algorithm"), [(ED25519, "EdDSA"), (P256, "ES256")])
async def test_a_token_is_a_signed_jwt(key, algorithm):
    """PyJWT verifies it; its type is that of RFC 8417, its id the event's, and the times are the attempt's and the event's."""
    one = stored("role.assigned")

    header, claims = await token(one, key, algorithm, key_id="k1")

    assert header == {"typ": "secevent+jwt", "alg": algorithm, "kid": "k1"}
    assert (claims["jti"], claims["iat"], claims["toe"]) == (
        one.event_id,
        int(NOW),
        int(one.event.timestamp.timestamp()),
    )
    assert claims["txn"] == "c1"
    assert "exp" not in claims
    assert claims["sub_id"] == {"format": "iss_sub", "iss": "https://api.example.com", "sub": one.user_id}


async def test_a_type_without_a_uri_of_theirs_has_one_of_ours():
    """The event stands in the token as it was stored."""
    one = stored("role.assigned")

    _, claims = await token(one)

    assert claims["events"] == {"urn:supertokens-events:event-type:role.assigned": json.loads(one.body)}


@pytest.mark.parametrize(
    ("one", "uri", "told"),
    [
        (stored("session.revoked"), f"{CAEP}session-revoked", {}),
        (
            stored("password.changed"),
            f"{CAEP}credential-change",
            {"change_type": "update", "credential_type": "password"},
        ),
        (
            stored("mfa.totp_device.removed"),
            f"{CAEP}credential-change",
            {"change_type": "delete", "credential_type": "app"},
        ),
        (stored("user.deleted"), f"{RISC}account-purged", {}),
        (stored("session.token_theft_detected"), f"{RISC}credential-compromise", {"credential_type": "session"}),
        (stored("user.email.changed"), f"{RISC}identifier-changed", {"new-value": "ada.lovelace@example.com"}),
    ],
    ids=lambda value: value.event_type if isinstance(value, Delivery) else None,
)
async def test_caep_and_risc_where_they_fit(one, uri, told):
    """What OpenID has an event for is said in its words, with one event in each token."""
    _, claims = await token(one)

    ((found, event),) = claims["events"].items()
    moment = {"event_timestamp": int(one.event.timestamp.timestamp())} if uri.startswith(CAEP) else {}
    assert (found, event) == (uri, told | moment)


async def test_who_did_it_is_said():
    """CAEP's initiating entity is the actor, where that is known."""
    _, claims = await token(stored("session.revoked", actor={"type": "admin"}))

    assert claims["events"][f"{CAEP}session-revoked"]["initiating_entity"] == "admin"


async def test_a_session_is_one_session():
    """That a session was revoked is not said of all the user's sessions."""
    _, claims = await token(stored("session.revoked", data={"session_handle": "h1"}))

    assert claims["sub_id"]["format"] == "complex"
    assert claims["sub_id"]["session"] == {"format": "opaque", "id": "h1"}
    assert claims["sub_id"]["user"]["format"] == "iss_sub"


async def test_a_changed_address_is_said_of_the_old_one():
    """RISC's subject is the identifier as it was."""
    _, claims = await token(stored("user.email.changed"))

    assert claims["sub_id"] == {"format": "email", "email": "ada@example.com"}


@pytest.mark.parametrize(
    "one",
    [
        stored("user.deleted", data={"extent": "login_method"}),
        stored("user.deleted", data={}),
        stored("user.email.changed", data={"email": "ada@example.com"}),
        stored("session.revoked", user_id=None),
    ],
    ids=["one login method", "unknown", "no old address", "nobody"],
)
async def test_nothing_more_is_said_than_happened(one):
    """Where their event would claim more than we know, ours is sent."""
    _, claims = await token(one)

    assert list(claims["events"]) == [f"urn:supertokens-events:event-type:{one.event_type}"]


# Transforms


def shaped(event):
    """A transform, as an app writes it."""
    return {"kind": event.type, "who": event.user_id, "at": event.timestamp}


def skipping(event):
    return None if event.type.startswith("session.") else {"type": event.type}


def raising(event):
    raise KeyError("hunter2")


def listing(event):
    return [event.id]


def odd(event):
    return {"key": object()}


SKIPPED = Delivered({"skipped": "the transform 'test_formats_transforms:skipping' returned None"})


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    """The functions above, as a module that can be imported by name."""
    import sys
    from types import ModuleType

    module = ModuleType("test_formats_transforms")
    functions = (shaped, skipping, raising, listing, odd)
    vars(module).update({function.__name__: function for function in functions} | {"number": 1, "hanging": hanging})
    monkeypatch.setitem(sys.modules, module.__name__, module)


def transform(name):
    return f"test_formats_transforms:{name}"


async def test_a_transform_says_what_is_sent():
    """Its mapping is the body, signed as any other."""
    one = stored()

    (request,) = await posted(one, transform=transform("shaped"))

    body = json.loads(request.body)
    assert (body["kind"], body["who"]) == ("user.created", one.user_id)
    assert standardwebhooks.Webhook(SECRET).verify(request.body, request.headers) == body


async def test_a_transform_inside_a_cloudevent():
    """In a CloudEvent its mapping is the data."""
    (request,) = await posted(stored(), format="cloudevents", transform=transform("skipping"))

    assert cloud_event(request).get_data() == {"type": "user.created"}


async def test_a_transform_that_skips():
    """``None`` sends nothing, and the attempt says why the delivery is done."""
    async with Receiver() as server:
        outcomes = await deliver(
            webhook(server.url, transform=transform("skipping")), stored("session.created"), stored("user.created")
        )

    assert outcomes[0] == SKIPPED
    assert len(server.requests) == 1


async def test_a_transform_in_a_batch():
    """What is skipped or fails in a batch is not in it, and does not keep the others out."""
    one, other = stored("user.created"), stored("session.created")
    async with Receiver() as server:
        outcomes = await deliver(
            webhook(server.url, format="cloudevents-batch", transform=transform("skipping")), one, other, stored()
        )

    assert [outcome == SKIPPED for outcome in outcomes] == [False, True, False]
    assert len(json.loads(server.requests[0].body)) == 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("raising", r"raised KeyError at test_formats\.py:\d+ in raising"),
        ("listing", r"returned no mapping but a value of type 'list'"),
        ("odd", r"returned what is not JSON"),
    ],
)
async def test_a_transform_that_fails_is_final(name, reason):
    """It would fail again: the delivery is rejected, the reason holds no value, and nothing is sent."""
    async with Receiver() as server:
        (outcome,) = await deliver(webhook(server.url, transform=transform(name)), stored())

    assert isinstance(outcome, Rejected)
    assert re.fullmatch(rf"the transform '{transform(name)}' {reason}", outcome.reason)
    assert server.requests == []


RELEASED = threading.Event()


def hanging(event):
    """Blocks until the test ends it."""
    return {} if RELEASED.wait(20) else None


async def test_a_transform_that_hangs_holds_up_nobody():
    """It blocks a thread, not the loop: the delivery is tried again, and another sink delivers meanwhile."""
    outcomes = {}

    async def call(name, sink):
        outcomes[name] = await deliver(sink, stored())
        order.append(name)

    order = []
    async with Receiver() as server, anyio.create_task_group() as tasks:
        tasks.start_soon(call, "hanging", webhook(server.url, transform=transform("hanging"), timeout=1))
        tasks.start_soon(call, "other", webhook(server.url))
    RELEASED.set()

    assert order == ["other", "hanging"]
    assert outcomes["hanging"][0].reason == f"the transform {transform('hanging')!r} took longer than 0.5 s"


# Size


async def test_a_large_payload_is_noted(caplog):
    """More than 20 kB is sent, noted with the attempt, and logged for the first event of its type."""
    async with Receiver() as server:
        outcomes = await deliver(webhook(server.url), *(stored(data={"text": "x" * 30_000}) for _ in range(3)))

    assert all(outcome.detail["large"] and outcome.detail["bytes"] > 30_000 for outcome in outcomes)
    assert caplog.text.count("larger than 20 kB") == 1


async def test_a_payload_that_is_too_large_is_rejected():
    """Beyond ``max_size`` nothing is sent, and the sentence says how large it is and what to do."""
    async with Receiver() as server:
        (outcome,) = await deliver(webhook(server.url, max_size="1KiB"), stored(data={"text": "x" * 2000}))

    assert isinstance(outcome, Rejected)
    assert re.match(r"the payload has 2,\d{3} bytes, and max_size is 1,024: raise it, or send less", outcome.reason)
    assert server.requests == []


# gzip


async def test_gzip_is_signed_as_sent():
    """With ``gzip`` the body is compressed and says so, and the signature is over the bytes on the wire."""
    one = stored(data={"text": "x" * 5000})

    (request,) = await posted(one, gzip=True)

    assert request.headers["content-encoding"] == "gzip"
    assert gzip.decompress(request.body) == one.body
    signed = f"{one.event_id}.{request.headers['webhook-timestamp']}.".encode() + request.body
    assert request.headers["webhook-signature"] == signature(signed)


def signature(content):
    import base64
    import hmac

    secret = base64.b64decode(SECRET.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(secret, content, "sha256")).decode()
