"""Receivers that misbehave, each beside one that does not: a reason that a person understands, and nobody else waits."""

import asyncio
import datetime as dt
import re
import ssl
import tracemalloc
from contextlib import asynccontextmanager

import anyio
import pytest
import trustme
from webhook_receivers import Receiver, answering, deliver, webhook

from supertokens_events.dispatch import Dispatcher
from supertokens_events.ledger import Ledger
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, SqliteOutbox
from supertokens_events.plugins import load_plugins
from supertokens_events.testing import sample_event

pytestmark = pytest.mark.anyio

PATIENCE = 10.0  # seconds until something that should happen at once counts as not happening
MEGABYTE = 1024 * 1024


@pytest.fixture
def anyio_backend():
    return "asyncio"


class Behaving(Receiver):
    """Reads a request and then does as its behaviour says, over ``tls`` if there is one."""

    def __init__(self, behaviour, tls=None):
        super().__init__()
        self._behaviour = behaviour
        self._tls = tls

    async def __call__(self, reader, writer):
        self._writers.append(writer)
        try:
            self.requests.append(await self.read(reader))
            await self._behaviour(writer)
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            writer.close()

    async def __aenter__(self):
        self._server = await asyncio.start_server(self, "127.0.0.1", 0, ssl=self._tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self


async def floods(writer):
    """100 MB."""
    writer.write(b"HTTP/1.1 500 Oh\r\ncontent-length: 104857600\r\n\r\n")
    for _ in range(100):
        writer.write(b"x" * MEGABYTE)
        await writer.drain()


async def floods_headers(writer):
    """Headers without end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(100_000):
        writer.write(b"x-%d: %s\r\n" % (number, b"y" * 1000))
        await writer.drain()


async def drips(writer):
    """A byte, and another one much later."""
    for byte in b"HTTP/1.1 200 OK\r\n" * 100:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.2)


async def closes(writer):
    """In the middle of the status."""
    writer.write(b"HTTP/1.1 20")
    await writer.drain()


async def resets(writer):
    """At once, and not politely."""
    writer.transport.abort()


async def babbles(writer):
    """Something, but not HTTP."""
    writer.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    await writer.drain()


async def contradicts_itself(writer):
    """Two lengths."""
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 5\r\n\r\nok")
    await writer.drain()


async def says_nothing(writer):
    await asyncio.sleep(60)


def redirects(to):
    async def behave(writer):
        writer.write(answering("307 Temporary Redirect", f"location: {to}"))
        await writer.drain()

    return behave


METADATA = "http://169.254.169.254/latest/meta-data/iam/security-credentials/"
BAD = {
    "floods": (floods, r"answered 500 Internal Server Error"),
    "floods headers": (floods_headers, r"did not answer with valid HTTP"),
    "drips": (drips, r"did not answer in time"),
    "closes in the middle": (closes, r"closed the connection before it answered"),
    "resets": (resets, r"closed the connection before it answered"),
    "babbles": (babbles, r"did not answer with valid HTTP"),
    "contradicts itself": (contradicts_itself, r"did not answer with valid HTTP"),
    "says nothing": (says_nothing, r"did not answer in time"),
    "redirects inside": (
        redirects(METADATA),
        r"answered 307 .*; redirects are not followed: configure the final address",
    ),
}


@asynccontextmanager
async def dispatching(outbox, *sinks):
    """A dispatcher that runs inside the block."""
    dispatcher = Dispatcher(sinks, outbox, load_plugins((), disable="*"), Ledger(), poll_interval=0.05)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(dispatcher.run)
        try:
            yield
        finally:
            dispatcher.stop(0.2)


@pytest.fixture
def outbox(tmp_path):
    outbox = SqliteOutbox(tmp_path / "events.db")
    yield outbox
    outbox.close()


def append(outbox, *sinks, n):
    events = [sample_event() for _ in range(n)]
    outbox.append([Entry(event, event.to_bytes(), [NewDelivery(sink) for sink in sinks]) for event in events])


@pytest.mark.parametrize(("behaviour", "reason"), BAD.values(), ids=BAD)
async def test_a_bad_receiver(outbox, behaviour, reason):
    """Its deliveries are to be tried again with a reason in words, memory stays bounded, and another sink gets all of its own."""
    append(outbox, "crm", "good", n=30)
    tracemalloc.start()
    async with Behaving(behaviour) as bad, Receiver() as good:
        # Who answers something is given the time for it, on a slow machine too.
        crm, other = webhook(bad.url, timeout=1 if "in time" in reason else 20), webhook(good.url)
        other.name = "good"
        async with dispatching(outbox, crm, other):
            with anyio.fail_after(PATIENCE):
                while len(good.requests) < 30 or not said(outbox):  # noqa: ASYNC110 - what is waited for is in the outbox
                    await anyio.sleep(0.01)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert re.fullmatch(rf"127\.0\.0\.1:\d+ {reason}", said(outbox))
    assert {delivery.state for delivery in outbox.deliveries(sink="crm")} == {DeliveryState.PENDING}
    assert peak < 40 * MEGABYTE


def said(outbox):
    """What came of the bad receiver's deliveries: by an attempt, or by a probe that failed."""
    status = next(one for one in outbox.status() if one.sink == "crm")
    return status.last_reason or (status.breaker and status.breaker.reason)


async def test_a_redirect_reaches_nobody():
    """What a redirect points at is not asked, whatever its status."""
    async with Receiver() as inside:
        for status in ("301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"):
            async with Receiver(answering(status, f"location: {inside.url}")) as server:
                (outcome,) = await deliver(webhook(server.url))
            assert "redirects are not followed" in outcome.reason

    assert inside.connections == 0


# Certificates

YESTERDAY = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
CERTIFICATES = {
    "expired": (("localhost",), {"not_after": YESTERDAY}, True, "certificate has expired"),
    "another host": (("other.example.com",), {}, True, "Hostname mismatch, certificate is not valid for 'localhost'."),
    "unknown authority": (("localhost",), {}, False, "unable to get local issuer certificate"),
}


@pytest.mark.parametrize(("hosts", "options", "known", "why"), CERTIFICATES.values(), ids=CERTIFICATES)
async def test_a_certificate_that_is_not_valid(tmp_path, hosts, options, known, why):
    """Nothing is sent to a receiver that is not who it should be; the reason says what is wrong with the certificate."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    trusted = {"ca_file": str(tmp_path / "ca.pem")} if known else {}

    async with Behaving(says_nothing, tls_of(authority.issue_cert(*hosts, **options))) as server:
        sink = webhook(f"https://localhost:{server.port}/", allow_networks=["127.0.0.0/8", "::1/128"], **trusted)
        (outcome,) = await deliver(sink)
        checked = await sink.check()

    reason = outcome.reason
    assert re.fullmatch(rf"localhost:\d+ has no valid TLS certificate: {re.escape(why)}", reason)
    assert list(checked) == [reason]
    assert server.requests == []


async def test_a_client_shows_its_certificate(tmp_path):
    """A receiver that asks who we are gets the configured certificate; without one it refuses us, in words."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    authority.issue_cert("crm-client").private_key_and_cert_chain_pem.write_to_path(tmp_path / "us.pem")
    context = tls_of(authority.issue_cert("localhost"))
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    files = {"ca_file": str(tmp_path / "ca.pem"), "allow_networks": ["127.0.0.0/8", "::1/128"]}

    async def accepts(writer):
        writer.write(answering("204 No Content"))
        await writer.drain()

    async with Behaving(accepts, context) as server:
        url = f"https://localhost:{server.port}/"
        (known,) = await deliver(webhook(url, client_certificate=str(tmp_path / "us.pem"), **files))
        (stranger,) = await deliver(webhook(url, **files))

    assert known.detail == {"status": 204}
    assert re.fullmatch(
        r"localhost:\d+ (failed in the TLS handshake|closed the connection before it answered)", stranger.reason
    )


def tls_of(certificate):
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    certificate.configure_cert(context)
    return context
