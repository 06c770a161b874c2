"""HTTP for sinks: which addresses are dialled, how one exchange is bounded, and what an answer means."""

import asyncio
import contextlib
import datetime as dt
import errno
import gzip
import ipaddress
import re
import socket
import ssl
import subprocess
import sys
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from supertokens_events.http import (
    MAX_BODY,
    AddressRefusedError,
    Answer,
    Guard,
    open_transport,
    outcome_of,
    parse_retry_after,
    probe,
    send,
)
from supertokens_events.http import post as post_request
from supertokens_events.http.failure import reason_for
from supertokens_events.sink import Delivered, Rejected, Retry

LOOPBACK = Guard([ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")])
NOW = 1_800_000_000.0
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Loopback:
    """A server on 127.0.0.1. It keeps each request, counts its connections, and gives the answer it was made with.

    ``answer`` is bytes, or a coroutine function that is given the stream to write to; the connection ends after it.
    """

    tls = None

    def __init__(self, answer=OK):
        self.answer = answer
        self.requests = []
        self.connections = 0
        self._writers = []

    async def __call__(self, reader, writer):
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                await self.serve(reader, writer)
        writer.close()

    async def serve(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0
        )
        self.requests.append(head + await reader.readexactly(length))
        if callable(self.answer):
            await self.answer(writer)
            writer.close()
        else:
            writer.write(self.answer)
            await writer.drain()

    def listen(self):
        return socket.create_server(("127.0.0.1", 0))

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/hook"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self, sock=self.listen(), ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()


@asynccontextmanager
async def opened(guard=LOOPBACK, **options):
    transport = open_transport(guard, **options)
    try:
        yield transport
    finally:
        await transport.aclose()


async def post(url, *, guard=LOOPBACK, within=5.0, headers=None, **options):
    async with opened(guard, **options) as transport:
        return await send(transport, httpx.Request("POST", url, headers=headers, content=b"{}"), within=within)


@pytest.fixture
def anyio_backend():
    return "asyncio"


# Which addresses


def words(text):
    return text.split()


NOT_PUBLIC = words("""
    127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.254 192.168.0.1
    169.254.169.254 169.254.170.2 100.64.0.1 100.100.100.200 168.63.129.16 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1
    198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.250 240.0.0.1 255.255.255.255
    :: ::1 ::127.0.0.1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:0:127.0.0.1
    64:ff9b::127.0.0.1 64:ff9b::a9fe:a9fe 64:ff9b:1::1 2001::1 2001:db8::1 2002:7f00:1:: 2002:a9fe:a9fe::1
    3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fe80::1%1 fec0::1 ff02::1 100::1
""")
PUBLIC = words("""
    1.1.1.1 8.8.8.8 172.32.0.1 172.15.255.255 100.63.255.255 100.128.0.1 169.253.0.1 192.0.1.1 223.255.255.255
    2606:4700::1111 2a00:1450::1 2003::1 ::ffff:8.8.8.8 64:ff9b::8.8.8.8
""")


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public_are_refused(address):
    """Loopback, private, link-local, metadata, multicast, reserved: refused, in IPv4 and in what IPv6 makes of it."""
    assert not Guard().permits(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_permitted(address):
    """A public address may be dialled, also where it is written inside an IPv6 address."""
    assert Guard().permits(address)


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_every_dress(address):
    """Mapped into IPv6 or behind NAT64, an IPv4 address is permitted exactly when it is permitted bare."""
    bare = Guard().permits(str(address))

    assert Guard().permits(f"::ffff:{address}") == bare
    assert Guard().permits(f"64:ff9b::{address}") == bare


@pytest.mark.parametrize("address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::10.1.2.3", "fd00::1"])
def test_an_allowed_network_is_permitted(address):
    """A network in the list may be dialled, whichever way its addresses are written."""
    guard = Guard([ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("fd00::/8")])

    assert guard.permits(address)
    assert not guard.permits("192.168.0.1")


def test_a_refused_address_makes_no_socket():
    """The refusal comes before there is a socket, and says which address it was."""
    with pytest.raises(AddressRefusedError) as caught:
        Guard().socket((socket.AF_INET, socket.SOCK_STREAM, 0, "", ("10.0.0.1", 80)))

    assert caught.value.address == "10.0.0.1"


SPELLINGS = words("""
    127.0.0.1 127.0.0.2 127.1 127.0.1 127.000.000.001 2130706433 0x7f000001 0x7f.0.0.1 0x7f.1 0X7F.0x0.0x0.0x1
    017700000001 0177.0.0.1 0177.1 0177.0x0.0.1 127.0.0.1. 0 0.0.0.0 0x0 00 localhost LOCALHOST LocalHost localhost.
    ip6-localhost ip6-loopback [::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::ffff:0:127.0.0.1]
    [::127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [2002:7f00:1::] [::ffff:0.0.0.0] [fe80::1] %31%32%37.0.0.1
    127.0.0.1%2e 1२7.0.0.1 \uff11\uff12\uff17.\uff10.\uff10.\uff11 ①②⑦.⓪.⓪.① ⓛⓞⓒⓐⓛⓗⓞⓢⓣ 127。0。0。1
    user@127.0.0.1 example.com@127.0.0.1
""")


class Everywhere(Loopback):
    """A server on every address of this machine, of both families."""

    def listen(self):
        return socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)


@pytest.mark.anyio
@pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="needs one socket for IPv4 and IPv6")
@pytest.mark.parametrize("host", SPELLINGS)
async def test_no_spelling_of_loopback_is_connected_to(host):
    """However a URL writes a loopback address, no connection reaches a server that listens on all of them."""
    async with Everywhere() as server:
        try:
            answer = await post(f"http://{host}:{server.port}/", guard=Guard(), within=3.0)
        except httpx.InvalidURL:
            answer = None

    assert not isinstance(answer, Answer)
    assert server.connections == 0


@pytest.mark.anyio
async def test_a_name_that_leads_to_loopback_is_refused_after_dns(monkeypatch):
    """A public name whose addresses are private is refused, and the reason names the address and the way out."""
    private = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 80)) for address in ("10.0.0.1", "192.168.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: private)

    answer = await post("http://crm.example.com/", guard=Guard())

    assert re.fullmatch(
        "crm.example.com is at (10.0.0.1|192.168.0.1), which is not a public address: allow_networks can permit it",
        answer.reason,
    )


@pytest.mark.anyio
async def test_every_dial_is_checked_again(monkeypatch):
    """A name that was permitted is refused when a later dial finds it at another address (DNS rebinding)."""
    async with Loopback(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")) as server, opened() as transport:
        request = httpx.Request("POST", f"http://localhost:{server.port}/")
        first = await send(transport, request, within=5.0)
        monkeypatch.setattr(LOOPBACK, "allowed", ())
        second = await send(transport, request, within=5.0)

    assert isinstance(first, Answer)
    assert isinstance(second, Retry)
    assert server.connections == 1


@pytest.mark.anyio
async def test_an_allowed_network_is_connected_to():
    """With 127.0.0.0/8 allowed, a server there is reached, by address and by name."""
    async with Loopback() as server:
        by_address = await post(server.url)
        by_name = await post(server.url.replace("127.0.0.1", "localhost"))

    assert [by_address.status, by_name.status] == [200, 200]


# One exchange


@pytest.mark.anyio
async def test_the_request_arrives_as_it_was_made():
    """What the sink says is on the wire, and nothing else: no cookie, no agent, no encoding of the library's own."""
    async with Loopback() as server:
        await post(server.url, headers={"x-one": "1"})

    head, body = server.requests[0].split(b"\r\n\r\n")
    names = {line.split(b":")[0].lower() for line in head.split(b"\r\n")[1:]}
    assert (head.split(b"\r\n")[0], body) == (b"POST /hook HTTP/1.1", b"{}")
    assert names == {b"host", b"x-one", b"content-length"}


@pytest.mark.anyio
async def test_a_post_says_the_same_on_the_wire_as_httpx():
    """What is made quicker than httpx makes it is the same request, with every byte of its address and its headers."""
    headers = [(b"x-one", b"1"), (b"x-name", b"J\xc3\xb6rg")]
    async with Loopback() as server, opened() as transport:
        url = httpx.URL(f"{server.url}/a%2Fb%20c/{chr(0xE9)}?q=a+b&e=")
        await send(transport, post_request(url, headers, b"{}"), within=5)
        await send(transport, httpx.Request("POST", url, headers=headers, content=b"{}"), within=5)

    quick, usual = (sorted(request.lower().split(b"\r\n")) for request in server.requests)
    assert quick == usual
    assert b"x-name: j\xc3\xb6rg" in quick
    assert url.raw_path in server.requests[0]


@pytest.mark.anyio
async def test_connections_are_kept_and_few():
    """Exchanges side by side share the pool's connections, and never have more than it may have."""
    async with Loopback() as server, opened(connections=2) as transport, anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(lambda: send(transport, httpx.Request("POST", server.url), within=5.0))

    assert len(server.requests) == 20
    assert server.connections <= 2


@pytest.mark.anyio
async def test_a_cookie_is_not_kept():
    """What an answer sets as a cookie does not come back with the next request on the same connection."""
    async with Loopback(OK.replace(b"\r\n\r\n", b"\r\nset-cookie: a=b\r\n\r\n")) as server, opened() as transport:
        for _ in range(2):
            await send(transport, httpx.Request("POST", server.url), within=5.0)

    assert server.connections == 1
    assert b"cookie" not in server.requests[1].lower()


@pytest.mark.anyio
async def test_a_redirect_is_not_followed():
    """A redirect, to a metadata service or anywhere, is an answer like any other: nobody is asked a second time."""
    async with Loopback() as elsewhere:
        moved = f"HTTP/1.1 307 Moved\r\nlocation: {elsewhere.url}\r\ncontent-length: 0\r\n\r\n".encode()
        async with Loopback(moved) as server:
            answer = await post(server.url)

    assert answer.status == 307
    assert elsewhere.connections == 0


@pytest.mark.anyio
async def test_no_proxy_of_the_environment_is_used(monkeypatch):
    """HTTP_PROXY changes nothing: the guard must see the address that is dialled."""
    async with Loopback() as proxy, Loopback() as server:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        monkeypatch.setenv("http_proxy", proxy.url)
        await post(server.url)

    assert (proxy.connections, server.connections) == (0, 1)


@pytest.mark.anyio
async def test_a_huge_answer_is_read_to_the_cap_only():
    """Of 100 MB answered, 64 KiB are kept, and the rest is not waited for."""
    sent = 0

    async def flood(writer):
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        for _ in range(1000):
            writer.write(b"x" * 100_000)
            await writer.drain()
            sent += 100_000

    async with Loopback(flood) as server:
        answer = await post(server.url)

    assert (answer.status, len(answer.body)) == (200, MAX_BODY)
    assert sent < 50_000_000


@pytest.mark.anyio
async def test_a_packed_answer_is_not_unpacked():
    """A small gzip body that unpacks to 100 MB stays small, and no text is made of it."""
    bomb = gzip.compress(bytes(100_000_000), 9)[:MAX_BODY]
    head = f"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {len(bomb)}\r\n\r\n".encode()
    async with Loopback(head + bomb) as server:
        answer = await post(server.url)

    assert answer.body == bomb
    assert outcome_of(answer) == Delivered({"status": 200})


async def drip(writer, *, head=b"HTTP/1.1 200 OK\r\n"):
    """Writes ``head``, then a header a byte at a time, for ever."""
    writer.write(head + b"x-slow: ")
    while not writer.is_closing():
        writer.write(b"x")
        await writer.drain()
        await anyio.sleep(0.01)


async def drip_body(writer):
    await drip(writer, head=b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")


async def silence(writer):
    with contextlib.suppress(asyncio.CancelledError):
        await writer.wait_closed()


@pytest.mark.anyio
@pytest.mark.parametrize("behaviour", [silence, drip])
async def test_an_answer_that_does_not_come_in_time_is_a_retry(behaviour):
    """The time limit holds for the whole exchange: a server that sends one byte after another does not stretch it."""
    async with Loopback(behaviour) as server:
        with anyio.fail_after(5):
            answer = await post(server.url, within=0.2)

        assert answer == Retry(f"127.0.0.1:{server.port} did not answer in time", away=True)


@pytest.mark.anyio
async def test_a_status_decides_though_its_body_drips():
    """Once the status is here the outcome is known; the body is read for as long as the time limit allows."""
    async with Loopback(drip_body) as server:
        with anyio.fail_after(5):
            answer = await post(server.url, within=0.3)

    assert answer.status == 200
    assert set(answer.body) <= set(b"x-slow: ")


def ending_with(data):
    async def answer(writer):
        writer.write(data)
        await writer.drain()

    return answer


@pytest.mark.anyio
async def test_a_status_decides_though_its_body_breaks_off():
    """A connection that ends in the middle of a body does not take back the status."""
    async with Loopback(ending_with(b"HTTP/1.1 503 Oh\r\ncontent-length: 100\r\n\r\nhalf")) as server:
        answer = await post(server.url)

    assert (answer.status, answer.body) == (503, b"half")


CLOSED = "closed the connection before it answered"
BROKEN = "did not answer with valid HTTP"
BAD_ANSWERS = {
    "nothing": (b"", CLOSED),
    "half a head": (b"HTTP/1.1 200 OK\r\ncontent-le", CLOSED),
    "only an interim status": (b"HTTP/1.1 199 Odd\r\n\r\n", CLOSED),
    "another protocol": (b"SSH-2.0-OpenSSH_9.6\r\n", BROKEN),
    "no number as status": (b"HTTP/1.1 banana\r\n\r\n", BROKEN),
    "no colon in a header": (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", BROKEN),
    "a header without end": (b"HTTP/1.1 200 OK\r\nx: " + b"x" * 100_000 + b"\r\n\r\n", BROKEN),
    "a negative length": (b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", BROKEN),
}


@pytest.mark.anyio
@pytest.mark.parametrize(("data", "reason"), BAD_ANSWERS.values(), ids=BAD_ANSWERS)
async def test_no_or_broken_http_is_a_retry(data, reason):
    """An answer that is cut off, or is not HTTP, or has no end, is a retry with its reason."""
    async with Loopback(ending_with(data)) as server:
        answer = await post(server.url)

    assert answer == Retry(f"127.0.0.1:{server.port} {reason}", away=True)


@pytest.mark.anyio
async def test_headers_without_end_are_not_collected():
    """A server that sends header after header is given up within the time limit, and no status comes of it."""

    async def flood(writer):
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"x: 1\r\n" * 1000)
            await writer.drain()

    async with Loopback(flood) as server:
        with anyio.fail_after(5):
            answer = await post(server.url, within=0.3)

    assert isinstance(answer, Retry)


@pytest.mark.anyio
async def test_a_refused_connection_is_a_retry():
    """Where nobody listens, the reason says so."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        answer = await post(f"http://127.0.0.1:{port}/")

    assert answer == Retry(f"127.0.0.1:{port} refused the connection", away=True)


@pytest.mark.anyio
async def test_a_name_that_cannot_be_asked_for_is_a_retry():
    """A host name that DNS cannot have is a retry like one that DNS does not know."""
    answer = await post(f"http://{'x' * 64}.example/")

    assert answer == Retry(f"{'x' * 64}.example cannot be resolved: is the host name right?", away=True)


@pytest.mark.anyio
@pytest.mark.parametrize("host", ["127.1", "2130706433"])
async def test_a_number_that_is_no_address_is_a_retry(host):
    """A short or whole number for an address is not guessed at."""
    answer = await post(f"http://{host}/")

    assert answer == Retry(f"{host} cannot be resolved: is the host name right?", away=True)


@pytest.mark.anyio
async def test_a_cancelled_exchange_gives_its_connection_back():
    """When the sink is cancelled, nothing of its exchange stays open."""
    async with Loopback(drip_body) as server, opened(connections=1) as transport:
        with anyio.move_on_after(0.1):
            await send(transport, httpx.Request("POST", server.url), within=5.0)
        server.answer = OK
        answer = await send(transport, httpx.Request("POST", server.url), within=5.0)

    assert answer.status == 200


SECRETS = "http://user:pa55word@127.0.0.1:1/path?token=t0ken#fragment"


@pytest.mark.anyio
async def test_a_reason_never_repeats_the_url():
    """User, password, path and query of the URL are in no reason and in no detail."""
    failure = await post(SECRETS)

    assert failure == Retry("127.0.0.1:1 refused the connection", away=True)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (socket.gaierror(socket.EAI_NONAME, "pa55word"), "cannot be resolved: is the host name right?"),
        (OSError(errno.EHOSTUNREACH, "pa55word"), f"could not be reached: {'No route to host'}"),
        (ConnectionResetError(errno.ECONNRESET, "pa55word"), "closed the connection before it answered"),
        (ssl.SSLError("pa55word"), "failed in the TLS handshake"),
        (httpx.RemoteProtocolError("pa55word"), "did not answer with valid HTTP"),
        (httpx.ReadError("pa55word"), "could not be reached"),
        (UnicodeError("pa55word"), "cannot be resolved: is the host name right?"),
    ],
)
def test_every_failure_has_a_sentence_of_our_own(error, sentence):
    """A reason is made from the kind of the failure; the text of the exception, which may hold secrets, is left out."""
    assert reason_for(error, "crm.example.com") == f"crm.example.com {sentence}"


# TLS


def certificate(host, *, days=1):
    """A self-signed certificate for ``host``, with its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=30))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(encoding) + key.private_bytes(encoding, *plain)


class TLSLoopback(Loopback):
    """A loopback server with a certificate, that keeps the names it was asked for."""

    def __init__(self, folder, host, **options):
        super().__init__()
        file = folder / "certificate.pem"
        file.write_bytes(certificate(host, **options))
        self.tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.tls.load_cert_chain(file)
        self.tls.sni_callback = lambda _, name, __: self.names.append(name)
        self.names = []
        self.trusted = ssl.create_default_context(cafile=file)

    @property
    def url(self):
        return f"https://localhost:{self.port}/hook"


@pytest.mark.anyio
async def test_the_host_name_is_kept_under_tls(tmp_path):
    """The checked address is dialled, and the certificate is asked for and compared by the URL's host name."""
    async with TLSLoopback(tmp_path, "localhost") as server:
        answer = await post(server.url, tls=server.trusted)

    assert answer.status == 200
    assert server.names == ["localhost"]


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("host", "days", "trusted", "complaint"),
    [
        ("localhost", 1, False, "self-signed certificate"),
        ("localhost", -1, True, "certificate has expired"),
        ("other.example", 1, True, "Hostname mismatch, certificate is not valid for 'localhost'."),
    ],
)
async def test_a_bad_certificate_is_a_retry(tmp_path, host, days, trusted, complaint):
    """A certificate that is unknown, too old or somebody else's ends the attempt before a request is sent."""
    async with TLSLoopback(tmp_path, host, days=days) as server:
        answer = await post(server.url, tls=server.trusted if trusted else None)

    assert answer == Retry(f"localhost:{server.port} has no valid TLS certificate: {complaint}", away=True)
    assert server.requests == []


# What an answer means


def answered(status, *, body=b"", **headers):
    return Answer("crm.example.com", status, httpx.Headers({k.replace("_", "-"): v for k, v in headers.items()}), body)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 226, 299])
def test_2xx_is_delivered(status):
    """Every 2xx is success."""
    assert outcome_of(answered(status)) == Delivered({"status": status})


@pytest.mark.parametrize(
    "status", [101, 199, 300, 301, 304, 308, 400, 401, 403, 404, 408, 425, 500, 502, 504, 599, 999]
)
def test_anything_else_is_tried_again(status):
    """Only 2xx is success; a receiver that answers anything else may be repaired within the schedule."""
    outcome = outcome_of(answered(status))

    assert isinstance(outcome, Retry)
    assert outcome.counts
    assert outcome.reason.startswith(f"crm.example.com answered {status}")
    assert outcome.detail == {"status": status}


def test_a_redirect_says_what_to_do():
    """The reason for a 3xx says that redirects are not followed."""
    assert outcome_of(answered(302)).reason == (
        "crm.example.com answered 302 Found; redirects are not followed: configure the final address"
    )


def test_a_few_headers_are_kept():
    """With an attempt stay the headers that lead to the request in the receiver's log: shortened, no cookie, no secret."""
    answer = Answer(
        "crm.example.com",
        503,
        httpx.Headers(
            [
                ("Server", "nginx"),
                ("Retry-After", "120"),
                ("X-Request-ID", "s3cr3t-token " + "r" * 300),
                ("Set-Cookie", "session=1"),
                ("Authorization", "Bearer x"),
            ]
        ),
    )

    detail = outcome_of(answer, hide=["s3cr3t-token"]).detail

    assert detail == {
        "status": 503,
        "headers": {"server": "nginx", "retry-after": "120", "x-request-id": "*** " + "r" * 196},
    }


def test_410_disables():
    """A receiver that is gone gets the event no more, nor any other."""
    assert outcome_of(answered(410)) == Rejected(
        "crm.example.com answered 410 Gone: it wants no more events", {"status": 410}, disables=True
    )


def test_429_asks_for_patience():
    """Too many requests use up no attempt, and the wait is the receiver's."""
    outcome = outcome_of(answered(429, retry_after="30"))

    assert outcome == Retry(
        "crm.example.com answered 429 Too Many Requests",
        after=30.0,
        counts=False,
        away=True,
        detail={"status": 429, "headers": {"retry-after": "30"}},
    )


@pytest.mark.parametrize(
    ("status", "away"), [(400, False), (404, False), (500, False), (502, True), (503, True), (504, True)]
)
def test_who_is_away(status, away):
    """What would befall every event is said to, so that the breaker knows; one event's fault is not."""
    assert outcome_of(answered(status)).away is away


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_retry_after_is_heeded_as_a_date(status):
    """A date in Retry-After becomes the seconds until then, by the sink's clock."""
    outcome = outcome_of(answered(status, retry_after="Fri, 15 Jan 2027 08:01:30 GMT"), now=lambda: NOW)

    assert outcome.after == 90.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0),
        ("120", 120.0),
        (" 120 ", 120.0),
        ("Fri, 15 Jan 2027 08:01:30 GMT", 90.0),
        ("Friday, 15-Jan-27 08:01:30 GMT", 90.0),
        ("Fri Jan 15 08:01:30 2027", 90.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("9" * 400, 366 * 86400.0),
        (None, None),
        ("", None),
        ("-1", None),
        ("1.5", None),
        ("1e3", None),
        ("\uff11\uff12", None),
        ("soon", None),
        ("30, 60", None),
        ("Fri, 99 Jan 2027 08:01:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    """Retry-After is read in both its forms, bounded; whatever else stands there is ignored."""
    assert parse_retry_after(value, NOW) == seconds


@given(st.text() | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+]?\w*"))
def test_no_retry_after_does_harm(value):
    """Any text is a wait of zero or more seconds, or none."""
    wait = parse_retry_after(value, NOW)

    assert wait is None or 0 <= wait <= 366 * 86400


def test_a_body_is_kept_short_and_printable():
    """Of an answer's body 500 printable characters are kept, on one line: no terminal or log is led astray by it."""
    detail = outcome_of(answered(500, body=b"oh \x1b[31m\r\n\xff " + b"x" * 1000)).detail

    assert detail["answer"].startswith("oh \N{REPLACEMENT CHARACTER}[31m \N{REPLACEMENT CHARACTER} xxx")
    assert len(detail["answer"]) == 500


def test_a_secret_that_is_echoed_is_hidden():
    """A receiver that answers with our own headers does not get them into the outbox."""
    outcome = outcome_of(answered(500, body=b"bad header: Bearer hunter22"), hide=["Bearer hunter22", "a"])

    assert outcome.detail == {"status": 500, "answer": "bad header: ***"}


# Before the first event


@pytest.mark.anyio
async def test_a_probe_connects_and_sends_nothing():
    """A probe opens a connection, closes it, and finds no problem."""
    async with Loopback() as server:
        problems = await probe(httpx.URL(server.url), LOOPBACK)

    assert list(problems) == []
    assert server.requests == []


@pytest.mark.anyio
async def test_a_probe_names_what_is_in_the_way(tmp_path):
    """A refused address, a closed port and a bad certificate are named, each in a sentence."""
    async with Loopback() as server, TLSLoopback(tmp_path, "localhost") as secure:
        refused = await probe(httpx.URL(server.url), Guard())
        untrusted = await probe(httpx.URL(secure.url), LOOPBACK)
        trusted = await probe(httpx.URL(secure.url), LOOPBACK, tls=secure.trusted)
    closed = await probe(httpx.URL(server.url), LOOPBACK)

    assert refused == [
        f"127.0.0.1:{server.port} is at 127.0.0.1, which is not a public address: allow_networks can permit it"
    ]
    assert untrusted == [f"localhost:{secure.port} has no valid TLS certificate: self-signed certificate"]
    assert trusted == []
    assert closed == [f"127.0.0.1:{server.port} refused the connection"]
    assert server.connections == 0


def test_importing_it_loads_no_client():
    """The module is cheap until a sink opens its transport: aiohttp is not loaded with it."""
    check = "import sys, supertokens_events.http; sys.exit('aiohttp' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
