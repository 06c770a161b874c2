"""One small pool of guarded connections per destination, and one bounded exchange over it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from functools import lru_cache
from typing import cast

import anyio
import httpx

from supertokens_events.http.answer import Answer
from supertokens_events.http.failure import destination, failure_types, reason_for
from supertokens_events.http.guard import Guard
from supertokens_events.http.proxy import PORTS, Proxy, ThroughProxy, check_destination, tunnel
from supertokens_events.sink import Retry

__all__ = ["MAX_BODY", "open_transport", "probe", "send"]

MAX_BODY = 64 * 1024
"""How many bytes of an answer's body are read."""


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The certificates that httpx trusts (``SSL_CERT_FILE`` changes them), read once: that takes some 30 ms of CPU."""
    return httpx.create_ssl_context()


def open_transport(
    guard: Guard, *, connections: int = 10, tls: ssl.SSLContext | None = None, proxy: Proxy | None = None
) -> httpx.AsyncBaseTransport:
    """At most ``connections`` connections, each dialled through ``guard``. Give it back with ``aclose()``.

    With a ``proxy`` that is what is dialled, and the guard judges what it is asked for (see
    :mod:`supertokens_events.http.proxy`); none is taken from the environment. It keeps no cookies, follows no redirects,
    unpacks nothing, and runs on asyncio.
    """
    import aiohttp
    from httpx_aiohttp import AiohttpTransport

    trust = tls or _trust()

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=connections, ssl=trust, socket_factory=guard.socket if proxy is None else None
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("accept", "accept-encoding", "content-type", "user-agent"),
            auto_decompress=False,
        )

    if proxy is None:
        return AiohttpTransport(verify=trust, client=session)
    inner = AiohttpTransport(verify=trust, client=session, proxy=httpx.Proxy(proxy.url, headers=proxy.headers))
    return ThroughProxy(inner, guard, proxy)


async def send(transport: httpx.AsyncBaseTransport, request: httpx.Request, *, within: float) -> Answer | Retry:
    """One request and what came of it: the answer, or why there is none.

    ``within`` is in seconds and bounds everything: waiting for a connection, DNS, TLS, sending, the answer and its
    body. Once the status is here it decides, whether or not the body ends well.
    """
    response: httpx.Response | None = None
    body = bytearray()
    try:
        async with asyncio.timeout(within):
            response = await transport.handle_async_request(request)
            await _read(response, body)
    except failure_types() as error:
        if response is None:
            return Retry(reason_for(error, destination(request.url)), away=True)
    return Answer(destination(request.url), response.status_code, response.headers, bytes(body))


async def _read(response: httpx.Response, body: bytearray) -> None:
    stream = cast("httpx.AsyncByteStream", response.stream)
    try:
        async with aclosing(cast("AsyncGenerator[bytes, None]", aiter(stream))) as chunks:
            async for chunk in chunks:
                body += chunk[: MAX_BODY - len(body)]
                if len(body) == MAX_BODY:
                    break
    finally:
        await stream.aclose()  # what was not read goes with its connection


async def probe(
    url: httpx.URL,
    guard: Guard,
    *,
    within: float = 10.0,
    tls: ssl.SSLContext | None = None,
    proxy: Proxy | None = None,
) -> Sequence[str]:
    """Why no connection (TCP, and TLS for ``https``) can be made to ``url``, as sentences; none when it can.

    ``within`` is in seconds. Nothing is sent over the connection. Behind a ``proxy`` an ``http`` URL is not connected to: only
    a request would do that.
    """
    try:
        with anyio.fail_after(within):
            if proxy is not None:
                await check_destination(url, guard)
                await tunnel(proxy, url, tls=tls or _trust(), trust=tls or _trust())
            else:
                await _connect(url, guard, (tls or _trust()) if url.scheme == "https" else None)
    except failure_types() as error:
        return [reason_for(error, destination(url))]
    return []


async def _connect(url: httpx.URL, guard: Guard, tls: ssl.SSLContext | None) -> None:
    from aiohappyeyeballs import start_connection

    loop = asyncio.get_running_loop()
    host = url.raw_host.decode("ascii")
    addresses = await loop.getaddrinfo(host, url.port or PORTS[url.scheme], type=socket.SOCK_STREAM)
    dialled = await start_connection(addresses, happy_eyeballs_delay=0.25, socket_factory=guard.socket)
    connection, _ = await loop.create_connection(
        asyncio.Protocol, sock=dialled, ssl=tls, server_hostname=host if tls else None
    )
    connection.close()
