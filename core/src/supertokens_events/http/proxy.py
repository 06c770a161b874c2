"""A proxy between us and the destination: it is dialled instead, and asked for the destination by name.

So the guard cannot see the address that is connected to in the end. What it can do is done before the proxy is asked, at
every attempt: a destination that is an address is judged, and one that is a name is resolved here and refused when any of
its addresses is. What it cannot know: an answer that DNS gives to the proxy and not to us, a moment later or always; and a
name that only the proxy can resolve, which is let through. Where that matters the proxy must filter, as smokescreen does.

The proxy's own address is not judged: whoever configures it means it.
"""

from __future__ import annotations

import asyncio
import base64
import re
import socket
import ssl
from dataclasses import dataclass, field

import httpx

from supertokens_events.http.guard import AddressRefusedError, Guard

__all__ = ["PORTS", "Proxy", "ProxyError", "ThroughProxy", "check_destination", "tunnel"]

PORTS = {"http": 80, "https": 443}
_NUMBER = re.compile(r"[0-9]*|0[xX][0-9a-fA-F]*")  # as the last part of a host: WHATWG's URLs have it be IPv4
_LONGEST_HEAD = 16 * 1024  # bytes of a proxy's answer


class ProxyError(OSError):
    """The proxy does not connect us. ``why`` is the end of a sentence about it."""

    def __init__(self, why: str) -> None:
        super().__init__("the proxy does not connect")  # one text for all, as for AddressRefusedError
        self.why = why


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy, with or without TLS, and who we are to it."""

    url: httpx.URL
    credentials: tuple[str, str] | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """From ``http://user:password@proxy.example.com:3128``. Raises ``ValueError``, which never repeats it."""
        expected = "expected a proxy such as 'http://proxy.example.com:3128' or 'https://user:password@…'"
        try:
            url = httpx.URL(text)
        except (httpx.InvalidURL, ValueError):
            raise ValueError(expected) from None
        if url.scheme not in PORTS or not url.host or url.raw_path not in (b"", b"/"):
            raise ValueError(expected)
        bare = url.copy_with(username=None, password=None)
        return cls(bare, (url.username, url.password) if url.userinfo else None)

    @property
    def headers(self) -> dict[str, str]:
        """What it is told besides the request: ``Proxy-Authorization``, if we are anybody to it."""
        if self.credentials is None:
            return {}
        token = base64.b64encode(":".join(self.credentials).encode()).decode("ascii")
        return {"Proxy-Authorization": f"Basic {token}"}


class ThroughProxy(httpx.AsyncBaseTransport):
    """Judges each request's destination before ``inner``, which dials the proxy, may ask for it."""

    def __init__(self, inner: httpx.AsyncBaseTransport, guard: Guard, proxy: Proxy) -> None:
        self._inner = inner
        self._guard = guard
        self._proxy = proxy

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await check_destination(request.url, self._guard)
        if request.url.scheme == "http":  # else it stands in the request to connect, which alone the proxy reads
            request.headers.update(self._proxy.headers)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


async def check_destination(url: httpx.URL, guard: Guard) -> None:
    """Raises :class:`AddressRefusedError` when any address of the host, as far as it is known here, may not be dialled."""
    host = url.raw_host.decode("ascii")
    addresses = [host] if _may_be_an_address(host) else await _resolved(host, url.port or PORTS[url.scheme])
    for address in addresses:
        if not _permits(guard, address):
            raise AddressRefusedError(address)


def _may_be_an_address(host: str) -> bool:
    """Whether a proxy might read ``host`` as an address: how it reads octal numbers, zones or escapes is not known here."""
    return any(sign in host for sign in ":%") or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]) is not None


def _permits(guard: Guard, address: str) -> bool:
    try:
        return guard.permits(address)
    except ValueError:  # no address in the one form that everybody reads alike
        return False


async def _resolved(host: str, port: int) -> list[str]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror:
        return []  # a name that only the proxy knows
    return [str(address) for *_, (address, *_) in found]


async def tunnel(proxy: Proxy, url: httpx.URL, *, tls: ssl.SSLContext, trust: ssl.SSLContext) -> None:
    """Connect through ``proxy`` as far as a request to ``url`` would, and close: to the proxy, and for ``https`` through it, with
    ``tls``. ``trust`` is for the proxy itself.

    Raises :class:`ProxyError`, and whatever a connection may fail with.
    """
    secure = proxy.url.scheme == "https"
    try:
        reader, writer = await asyncio.open_connection(
            proxy.url.host,
            proxy.url.port or PORTS[proxy.url.scheme],
            ssl=trust if secure else None,
            limit=_LONGEST_HEAD,
        )
    except OSError as error:
        raise ProxyError("could not be reached: the proxy cannot be connected to") from error
    try:
        if url.scheme == "https":
            await _connect(reader, writer, proxy, url)
            await writer.start_tls(tls, server_hostname=url.raw_host.decode("ascii"))
    finally:
        writer.transport.abort()  # nothing was said that would have to arrive


async def _connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, proxy: Proxy, url: httpx.URL) -> None:
    there = url.netloc.decode("ascii") + ("" if url.port else f":{PORTS[url.scheme]}")
    headers = {"Host": there} | proxy.headers
    lines = [f"CONNECT {there} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    await writer.drain()
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        raise ProxyError("could not be reached: the proxy did not answer with valid HTTP") from None
    status = head.split(b" ", 2)[1:2]
    if not status or not status[0].startswith(b"2"):
        raise ProxyError(f"could not be reached: the proxy answered {b''.join(status).decode('latin-1')[:3]}")
