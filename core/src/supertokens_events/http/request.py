"""A POST, made without what httpx would look for in it: that is most of what such an object costs."""

from __future__ import annotations

from collections.abc import Iterable

import httpx

__all__ = ["post"]


def post(url: httpx.URL, headers: Iterable[tuple[bytes, bytes]], body: bytes) -> httpx.Request:
    """``body`` for ``url``. ``headers`` say everything but the host and the length of the body."""
    own = [(b"Host", url.netloc), (b"Content-Length", b"%d" % len(body))]
    request = httpx.Request("POST", url, headers=[*own, *headers], stream=httpx.ByteStream(body))
    request.read()  # a transport then sends it whole, and not as a stream
    return request
