"""No spelling of an address, no answer of DNS and no redirect leads to where nobody may go.

Every connection that this process makes is seen by an audit hook; a server listens on all of this machine's addresses too.
"""

import asyncio
import re
import socket
import sys
from contextlib import asynccontextmanager

import anyio
import pytest
from pydantic import ValidationError
from webhook_receivers import Receiver, answering, deliver, webhook

from supertokens_events.http import Guard
from supertokens_events.sink import Delivered, Retry

pytestmark = pytest.mark.anyio


def words(text):
    return text.split()


# What names stand for here: no test asks a server for a name.
NAMES = {
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "LOCALHOST": ["127.0.0.1"],
    "ip6-localhost": ["::1"],
    "metadata.google.internal": ["169.254.169.254"],
    "metadata.google.internal.": ["169.254.169.254"],
    "metadata": ["169.254.169.254"],
    "instance-data.ec2.internal": ["169.254.169.254"],
    "metadata.azure.internal": ["168.63.129.16"],
    "metadata.tencentyun.com": ["169.254.0.23"],
    "kubernetes.default.svc": ["10.96.0.1"],
    "host.docker.internal": ["172.17.0.1"],
    "127.0.0.1.nip.io": ["127.0.0.1"],
    "169-254-169-254.sslip.io": ["169.254.169.254"],
    "localtest.me": ["127.0.0.1"],
    "mapped.example.com": ["::ffff:127.0.0.1"],
    "nat64.example.com": ["64:ff9b::a9fe:a9fe"],
    "both.example.com": ["10.0.0.1", "fd00::1"],
    "xn--bcher-kva.example.com": ["192.168.1.1"],
}

HOSTS = {
    "IPv4": words("""
        127.0.0.1 127.0.0.2 127.1.2.3 127.255.255.254 0.0.0.0 0.0.0.1 10.0.0.1 10.255.255.255 172.16.0.1 172.31.255.255
        192.168.0.1 192.168.255.255 169.254.0.1 169.254.169.254 169.254.170.2 169.254.169.253 100.64.0.1 100.100.100.200
        168.63.129.16 192.0.0.192 192.0.0.8 198.18.0.1 198.19.255.255 192.0.2.1 198.51.100.1 203.0.113.1 224.0.0.1
        239.255.255.255 240.0.0.1 255.255.255.255 192.88.99.1
    """),
    "short": words("127.1 127.0.1 127.257 10.1 10.0.1 192.168.1 169.254.43518 0 1 172.1048577"),
    "decimal": words("2130706433 2852039166 3232235521 167772161 2886729729 0000002130706433 4294967295"),
    "octal": words(
        "0177.0.0.1 0177.1 017700000001 0251.0376.0251.0376 012.0.0.1 0300.0250.0.1 00000177.0.0.1 00 0177.0.0.01"
    ),
    "hex": words("""
        0x7f000001 0x7f.0.0.1 0x7f.1 0x7F.0X0.0x0.0x1 0xa9fea9fe 0xA9.0xFE.0xA9.0xFE 0xc0a80001 0x0a000001 0x0 0xffffffff
    """),
    "mixed": words("0x7f.0.01 0177.0x0.0.1 169.0376.0xa9fe 0xa9.254.43518 127.0x000001 10.0x000001"),
    "zeros and dots": words(
        "127.000.000.001 127.0.0.1. 169.254.169.254. 010.0.0.1 2130706433. 0x7f000001. 192.168.000.1"
    ),
    "IPv6": words("""
        [::] [::1] [0:0:0:0:0:0:0:1] [0000:0000:0000:0000:0000:0000:0000:0001] [::0001] [0::1] [fe80::1] [fe80::a9fe:a9fe]
        [fc00::1] [fd00::1] [fd00:ec2::254] [fd20:ce::254] [fec0::1] [ff02::1] [100::1] [2001:db8::1] [2001::1] [3fff::1]
        [5f00::1]
    """),
    "IPv4 in IPv6": words("""
        [::127.0.0.1] [::7f00:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::FFFF:127.0.0.1] [0:0:0:0:0:ffff:7f00:0001]
        [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [::ffff:10.0.0.1] [::ffff:0.0.0.0] [::ffff:0:127.0.0.1] [::ffff:0:a9fe:a9fe]
        [64:ff9b::127.0.0.1] [64:ff9b::7f00:1] [64:ff9b::169.254.169.254] [64:ff9b::a00:1] [64:ff9b:1::a9fe:a9fe]
        [2002:7f00:1::] [2002:a9fe:a9fe::] [2002:c0a8:1::1]
    """),
    "zones": words("[fe80::1%25lo] [fe80::1%lo] [fe80::1%251] [::1%25lo] [fe80::a9fe:a9fe%25eth0]"),
    "user names": words("""
        user@127.0.0.1 example.com@127.0.0.1 example.com:80@127.0.0.1 127.0.0.1@127.0.0.1 @127.0.0.1 example.com%40127.0.0.1
        user:hunter2@169.254.169.254 example.com%2f@127.0.0.1 example.com#@127.0.0.1 127.0.0.1#@example.com 127.0.0.1?@example.com
        127.0.0.1\\@example.com example.com\\@127.0.0.1
    """),
    "percent": words(
        "%31%32%37.0.0.1 127%2e0%2e0%2e1 %6c%6f%63%61%6c%68%6f%73%74 127.0.0.1%00 127.0.0.1%2eexample.com"
    ),
    "unicode": words("""
        １２７.０.０.１ ①②⑦.⓪.⓪.① 127。0。0。1 127．0．0．1 127｡0｡0｡1 ⓛⓞⓒⓐⓛⓗⓞⓢⓣ ｌｏｃａｌｈｏｓｔ 𝟏𝟐𝟕.𝟎.𝟎.𝟏 𝟙𝟚𝟟.0.0.1 ¹²⁷.0.0.1
        १२७.०.०.१ 1२7.0.0.1 ①⑥⑨.②⑤④.①⑥⑨.②⑤④ ١٢٧.٠.٠.١ loc\u00adalhost lo\u200bcalhost bücher.example.com ０x7f000001
    """),
    "names": list(NAMES),
}
CORPUS = [(kind, host) for kind, hosts in HOSTS.items() for host in hosts]


class Connections:
    """Every address that this process connects a socket to. Audit hooks stay for ever, so there is one."""

    made: list | None = None

    def hook(self, event, arguments):
        if event == "socket.connect" and self.made is not None:
            self.made.append(arguments[1])


CONNECTIONS = Connections()
sys.addaudithook(CONNECTIONS.hook)


@pytest.fixture
def connections():
    """Those of this test, by host."""
    CONNECTIONS.made = []
    yield CONNECTIONS.made
    CONNECTIONS.made = None


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def dns(monkeypatch):
    """A double of DNS. ``answers`` maps a name to addresses, or to a list of those that are given one after the other; what is
    an address itself is left to the system, which asks nobody.
    """
    answers = dict(NAMES)
    real = socket.getaddrinfo
    asked = []

    def getaddrinfo(host, port, family=0, type=0, proto=0, flags=0):  # noqa: A002 - so they are called
        name = host.decode() if isinstance(host, bytes) else host
        asked.append(name)
        found = answers.get(name, answers.get(name.lower()))
        if found is None:
            return real(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
        addresses = found.pop(0) if isinstance(found[0], list) and len(found) > 1 else found
        addresses = addresses[0] if isinstance(addresses[0], list) else addresses
        return [entry for address in addresses for entry in real(address, port, type=socket.SOCK_STREAM)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    getaddrinfo.answers, getaddrinfo.asked = answers, asked
    return getaddrinfo


class Everywhere(Receiver):
    """A server on every address of this machine."""

    async def __aenter__(self):
        dual = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
        listening = socket.create_server(("", 0), family=family, dualstack_ipv6=dual)
        self._server = await asyncio.start_server(self, sock=listening)
        self.port = listening.getsockname()[1]
        return self


def sink_for(url, **settings):
    """A sink that may go to public addresses only."""
    return webhook(url, allow_networks=[], timeout=2, **settings)


def test_the_corpus_is_large():
    """At least 120 spellings, each once."""
    assert len({host for _, host in CORPUS}) == len(CORPUS) >= 120


@pytest.mark.parametrize(("kind", "host"), CORPUS, ids=[f"{kind}: {host!a}" for kind, host in CORPUS])
async def test_no_spelling_gets_through(connections, dns, kind, host):
    """A delivery, and the check, connect to nothing: the URL is refused, or its host is."""
    async with Everywhere() as server:
        try:
            sink = sink_for(f"http://{host}:{server.port}/latest/meta-data/")
        except ValidationError:
            return
        (outcome,) = await deliver(sink)
        checked = await sink.check()

    assert server.connections == 0
    assert not [address for address in connections if not Guard().permits(address[0])]
    assert isinstance(outcome, Retry)
    assert checked


async def test_rebinding(connections, dns):
    """A name that was public when it was asked first, and is not when it is asked again, is judged every time."""
    async with Everywhere() as server:
        dns.answers["rebinding.example.com"] = [["93.184.216.34"], ["127.0.0.1"]]
        url = f"http://rebinding.example.com:{server.port}/"
        public = [address for *_, (address, *_) in dns("rebinding.example.com", 80)]  # what somebody checked before
        outcomes = await deliver(sink_for(url)) + await deliver(sink_for(url))
        checked = await sink_for(url).check()

    assert public == ["93.184.216.34"]
    assert {outcome.reason for outcome in outcomes} == {
        f"rebinding.example.com:{server.port} is at 127.0.0.1, which is not a public address: allow_networks can permit it"
    }
    assert list(checked) == [outcomes[0].reason]
    assert (server.connections, connections) == (0, [])


async def test_one_answer_decides(connections, dns):
    """DNS is asked once for a connection, and what it says is what is dialled: nobody can change it in between."""
    dns.answers["once.example.com"] = ["127.0.0.1"]
    async with Everywhere() as server:
        (outcome,) = await deliver(
            webhook(f"http://once.example.com:{server.port}/", allow_networks=["127.0.0.0/8"], timeout=2)
        )

    assert isinstance(outcome, Delivered)
    assert dns.asked.count("once.example.com") == 1


async def test_redirects_inside(connections, dns):
    """Whatever a receiver points at, nobody goes there."""
    async with Everywhere() as inside:
        for host in ("127.0.0.1", "[::1]", "2130706433", "localhost"):
            async with Receiver(answering("302 Found", f"location: http://{host}:{inside.port}/")) as server:
                await deliver(webhook(server.url, timeout=2))

    assert inside.connections == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "0x7f.1", "[::ffff:127.0.0.1]", "localtest.me", "[::1]"])
async def test_what_is_allowed_works(dns, host):
    """A network in ``allow_networks`` is reached, however its address is written, and by the check too."""
    async with Everywhere() as server:
        sink = webhook(f"http://{host}:{server.port}/", allow_networks=["127.0.0.0/8", "::1/128"], timeout=2)
        (outcome,) = await deliver(sink)
        checked = await sink.check()

    assert (type(outcome), list(checked)) == (Delivered, [])


async def test_an_allowed_network_opens_no_other(connections, dns):
    """To allow one network is to allow that one."""
    (outcome,) = await deliver(webhook("http://10.0.0.1/", allow_networks=["192.168.0.0/16"], timeout=2))

    assert outcome.reason == "10.0.0.1 is at 10.0.0.1, which is not a public address: allow_networks can permit it"
    assert connections == []


# Through a proxy


@asynccontextmanager
async def proxying(*answers):
    """A proxy that answers by itself, and keeps what it was asked."""
    async with Receiver(*answers) as proxy:
        yield proxy


@pytest.mark.parametrize(("kind", "host"), CORPUS, ids=[f"{kind}: {host!a}" for kind, host in CORPUS])
async def test_a_proxy_is_asked_for_no_spelling(connections, dns, kind, host):
    """What may not be dialled is not asked of a proxy either, as far as the name can be resolved here."""
    async with proxying() as proxy:
        try:
            sink = sink_for(f"http://{host}/latest/meta-data/", proxy=f"http://{proxy.host}")
        except ValidationError:
            return
        await deliver(sink)
        await sink.check()

    assert all(is_a_name_that_only_the_proxy_knows(request, dns) for request in proxy.requests)


def is_a_name_that_only_the_proxy_knows(request, dns):
    host = request.line.split()[1].removeprefix("http://").split("/")[0]
    return host not in dns.answers and re.fullmatch(r"([a-z0-9-]+\.)*[a-z][a-z0-9-]*", host)


async def test_a_public_destination_is_asked_of_the_proxy(connections, dns):
    """The proxy gets the request, with the full URL and our credentials, and is all that is dialled."""
    dns.answers["crm.example.com"] = ["93.184.216.34"]
    async with proxying() as proxy:
        sink = sink_for("http://crm.example.com/hook", proxy=f"http://us:hunter2@{proxy.host}")
        (outcome,) = await deliver(sink)

    (request,) = proxy.requests
    assert isinstance(outcome, Delivered)
    assert request.line == "POST http://crm.example.com/hook HTTP/1.1"
    assert request.headers["proxy-authorization"] == "Basic dXM6aHVudGVyMg=="
    assert {address[0] for address in connections} == {"127.0.0.1"}


async def test_rebinding_behind_a_proxy(connections, dns):
    """Before every attempt the name is resolved anew: the second one is refused, and the proxy not asked."""
    dns.answers["rebinding.example.com"] = [["93.184.216.34"], ["127.0.0.1"]]
    async with proxying() as proxy:
        sink = sink_for("http://rebinding.example.com/", proxy=f"http://{proxy.host}")
        first, second = [*await deliver(sink), *await deliver(sink)]

    assert isinstance(first, Delivered)
    assert "is at 127.0.0.1" in second.reason
    assert len(proxy.requests) == 1


async def test_a_name_that_only_the_proxy_knows(dns):
    """It is let through: behind such a proxy it is the proxy that filters. The guide says so."""
    async with proxying() as proxy:
        (outcome,) = await deliver(sink_for("http://crm.internal.example/", proxy=f"http://{proxy.host}"))

    assert isinstance(outcome, Delivered)


@pytest.mark.parametrize(("status", "said"), [("407 Who", "407"), ("403 No", "403"), ("502 Bad", "502")])
async def test_a_proxy_that_refuses(dns, status, said):
    """For TLS a proxy is asked to connect; its refusal is told as the proxy's, to a delivery and to a check."""
    dns.answers["crm.example.com"] = ["93.184.216.34"]
    async with proxying(answering(status)) as proxy:
        sink = sink_for("https://crm.example.com/hook", proxy=f"http://us:hunter2@{proxy.host}")
        (outcome,) = await deliver(sink)
        checked = await sink.check()

    assert outcome.reason == f"crm.example.com could not be reached: the proxy answered {said}"
    assert list(checked) == [outcome.reason]
    assert proxy.requests[0].line == "CONNECT crm.example.com:443 HTTP/1.1"
    assert "hunter2" not in repr((outcome, sink, sink.settings))


async def test_a_proxy_that_is_down(dns):
    """That the proxy cannot be reached is not said of the destination."""
    dns.answers["crm.example.com"] = ["93.184.216.34"]
    async with proxying() as proxy:
        pass
    sink = sink_for("https://crm.example.com/hook", proxy=f"http://{proxy.host}")
    (outcome,) = await deliver(sink)

    assert outcome.reason == "crm.example.com could not be reached: the proxy cannot be connected to"
    assert outcome.away
    assert list(await sink.check()) == [outcome.reason]


async def test_a_tunnel(tmp_path, dns):
    """Through a proxy that connects, TLS is spoken with the destination, and the check goes as far."""
    import trustme
    from test_bad_receivers import Behaving, tls_of

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    dns.answers["crm.example.com"] = ["93.184.216.34"]

    async def answers(writer):
        writer.write(answering("204 No Content"))
        await writer.drain()

    async with (
        Behaving(answers, tls_of(authority.issue_cert("crm.example.com"))) as server,
        tunnelling(server) as proxy,
    ):
        sink = sink_for("https://crm.example.com/hook", proxy=f"http://{proxy}", ca_file=str(tmp_path / "ca.pem"))
        checked = await sink.check()
        (outcome,) = await deliver(sink)

    assert list(checked) == []
    assert isinstance(outcome, Delivered)
    assert server.requests[0].line == "POST /hook HTTP/1.1"


@asynccontextmanager
async def tunnelling(server):
    """A proxy that connects everybody to ``server``; its address."""

    async def copy(reader, writer):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.close()

    async def connect(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(copy, reader, back)
            tasks.start_soon(copy, there, writer)

    listening = await asyncio.start_server(connect, "127.0.0.1", 0)
    async with listening:
        yield f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
