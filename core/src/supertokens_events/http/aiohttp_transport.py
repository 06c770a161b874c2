"""httpx's requests and responses over aiohttp's connections.

As the package httpx-aiohttp does it, but for what a sink sends: a body of bytes, one address over and over. That is worth
a quarter of the time that a request takes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import httpx
from multidict import CIMultiDict
from yarl import URL

from supertokens_events.http.proxy import Proxy

__all__ = ["AiohttpTransport"]

_CHUNK = 16 * 1024
_NO_TIMEOUT = aiohttp.ClientTimeout(total=None)  # who calls bounds all of it


class AiohttpTransport(httpx.AsyncBaseTransport):
    """One session, opened by the first request: aiohttp wants its event loop to run. With a ``proxy``, that is asked."""

    def __init__(self, session: Callable[[], aiohttp.ClientSession], *, proxy: Proxy | None = None) -> None:
        self._make_session = session
        self._proxy: dict[str, Any] = (
            {} if proxy is None else {"proxy": URL(str(proxy.url)), "proxy_headers": proxy.headers}
        )
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Raises ``httpx.TransportError``, with what happened as its cause."""
        if self._session is None:
            self._session = self._make_session()
        try:
            response = await self._session.request(
                request.method,
                URL(str(request.url), encoded=True),  # httpx has quoted it
                headers=_headers(request.headers),
                data=await _content(request) or None,
                allow_redirects=False,
                timeout=_NO_TIMEOUT,
                **self._proxy,
            )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise httpx.TransportError(type(error).__name__) from error
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Body(response), request=request)

    async def aclose(self) -> None:
        if self._session is not None:
            await self._session.close()


class _Body(httpx.AsyncByteStream):
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        try:
            chunk = await self._response.content.read(_CHUNK)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise httpx.ReadError(type(error).__name__) from error
        if not chunk:
            raise StopAsyncIteration
        return chunk

    async def aclose(self) -> None:
        """What was not read goes with its connection."""
        self._response.release()


async def _content(request: httpx.Request) -> bytes:
    return request.read() if isinstance(request.stream, httpx.SyncByteStream) else await request.aread()


def _headers(headers: httpx.Headers) -> CIMultiDict[str]:
    try:
        return CIMultiDict([(name.decode("ascii"), value.decode("utf-8")) for name, value in headers.raw])
    except UnicodeDecodeError:
        raise httpx.LocalProtocolError("a header is not UTF-8, which is all that aiohttp sends") from None
