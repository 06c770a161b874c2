"""A double of Segment's HTTP tracking API: ``POST /v1/batch`` with its documented limits, checks and answers.

``python -m doubles.segment [--port PORT] [--write-key KEY] [--rate REQUESTS_A_SECOND]`` prints its URL and serves until it is
killed; ``GET /report`` tells, as JSON, how many messages came and what was dropped. In a test::

    async with SegmentDouble() as segment:
        ...  # segment.url, segment.messages, segment.dropped, segment.requests

What Segment documents, and so this does:

- 401 without the source's write key as the user name of Basic authentication, and an empty password.
- 400 for what is no JSON, for a body of more than 500 KB, and for one message of more than 32 KB.
- 429 with ``Retry-After`` and ``X-RateLimit-Reset``, in seconds, above the rate.
- 200 for all else, and what cannot be used is dropped afterwards (:attr:`SegmentDouble.dropped` says why): more than 2,500
  messages at once, no ``userId`` and no ``anonymousId``, a track call without ``event``, a ``messageId`` of 100 characters
  or more, a type that does not exist. A ``messageId`` that it has seen is dropped as a repeat.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic_core import from_json, to_json  # so that a benchmark does not wait for the double

__all__ = ["WRITE_KEY", "Received", "SegmentDouble", "answer"]

WRITE_KEY = "wK3yOfTheDouble0123456789abcdef0"
MAX_BODY = 500_000
MAX_MESSAGE = 32 * 1024
MAX_MESSAGES = 2500
LONG_ID = 100
REQUIRED = {"identify": "", "track": "event", "group": "groupId", "alias": "previousId", "page": "", "screen": ""}

Message = dict[str, Any]


def answer(status: str, *headers: str, body: bytes = b"") -> bytes:
    """A whole HTTP response."""
    head = [f"HTTP/1.1 {status}", "Content-Type: application/json", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def said(success: bool, message: str = "", code: str = "") -> bytes:
    document = {"success": success} | ({"message": message, "code": code} if message else {})
    return json.dumps(document).encode()


SUCCESS = answer("200 OK", body=said(True))


@dataclass
class Received:
    """One request: its first line, its headers with names in lower case, its body."""

    line: str
    headers: dict[str, str]
    body: bytes = field(repr=False)

    @property
    def batch(self) -> list[Message]:
        found: list[Message] = json.loads(self.body)["batch"]
        return found


class SegmentDouble:
    """The API on 127.0.0.1. ``rate`` is in requests a second; ``refuses`` says of a message whether Segment answers 400 for any
    batch with it; ``answers`` are whole responses, given instead of its own, one for each request, as long as there are any
    (``None``: no response, the connection is closed).
    """

    def __init__(
        self,
        *,
        write_key: str = WRITE_KEY,
        rate: float | None = None,
        refuses: Callable[[Message], bool] = lambda _message: False,
        keep: bool = True,
    ) -> None:
        self._authorization = "Basic " + base64.b64encode(f"{write_key}:".encode()).decode()
        self._rate = rate
        self._refuses = refuses
        self._keep = keep
        self._second = (0, 0)
        self._seen: set[str] = set()
        self._connections: set[asyncio.Transport] = set()
        self.answers: deque[bytes | None] = deque()
        self.requests: list[Received] = []
        self.messages: list[Message] = []
        """What Segment would pass on."""
        self.dropped: list[tuple[str, Message]] = []
        """What it answered 200 for and does not pass on, each with the reason."""
        self.came: list[tuple[float, int]] = []
        """Of each batch that was taken: when its first byte came (CLOCK_MONOTONIC), and how many messages were new in it."""

    async def __aenter__(self) -> Self:
        return await self.start()

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in [*self._connections]:
            connection.abort()
        await self._server.wait_closed()

    async def start(self, port: int = 0) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}/v1/batch"

    def respond(self, request: Received, began: float) -> bytes | None:
        """The whole response to a request; ``None``: there is none."""
        if request.line.startswith("GET /report "):
            return answer("200 OK", body=json.dumps(self._report()).encode())
        if self._keep:
            self.requests.append(request)
        return self.answers.popleft() if self.answers else self._judged(request, began)

    def _judged(self, request: Received, began: float) -> bytes:
        if request.line.split(" ")[:2] != ["POST", "/v1/batch"]:
            return answer("404 Not Found", body=said(False, "not found", "not_found"))
        if request.headers.get("authorization") != self._authorization:
            return answer("401 Unauthorized", body=said(False, "invalid write key", "unauthorized"))
        if wait := self._wait():
            headers = (f"Retry-After: {wait}", f"X-RateLimit-Reset: {wait}")
            return answer("429 Too Many Requests", *headers, body=said(False, "rate limited", "rate_limited"))
        if len(request.body) > MAX_BODY:
            return answer("400 Bad Request", body=said(False, "the request is too large", "request_too_large"))
        try:
            document = from_json(request.body, allow_inf_nan=False)
            batch = [message for message in document["batch"] if isinstance(message["type"], str)]
        except (ValueError, TypeError, KeyError):
            return answer("400 Bad Request", body=said(False, "malformed JSON", "malformed_json"))
        return self._taken(batch, len(request.body), began)

    def _taken(self, batch: list[Message], size: int, began: float) -> bytes:
        too_large = size > MAX_MESSAGE and any(len(to_json(message)) > MAX_MESSAGE for message in batch)
        if too_large or any(map(self._refuses, batch)):
            return answer("400 Bad Request", body=said(False, "a message is not acceptable", "bad_request"))
        before = len(self._seen)
        for message in batch:
            self._take(message, "too many messages" if len(batch) > MAX_MESSAGES else _flaw(message))
        self.came.append((began, len(self._seen) - before))
        return SUCCESS

    def _take(self, message: Message, flaw: str | None) -> None:
        message_id = message.get("messageId") or f"made-{len(self._seen)}"
        if flaw is None and message_id in self._seen:
            flaw = "repeated"
        if flaw is not None:
            self.dropped.append((flaw, message))
            return
        self._seen.add(message_id)
        if self._keep:
            self.messages.append(message)

    def _wait(self) -> int:
        """Seconds to wait when this second has had its requests."""
        if self._rate is None:
            return 0
        second, count = self._second
        now = int(time.monotonic())
        self._second = (now, count + 1 if now == second else 1)
        return 1 if self._second[1] > self._rate else 0

    def _report(self) -> dict[str, Any]:
        return {"came": self.came, "dropped": Counter(flaw for flaw, _ in self.dropped)}


class _Connection(asyncio.Protocol):
    """Requests come whole or in pieces, one after the other."""

    def __init__(self, double: SegmentDouble) -> None:
        self._double = double
        self._data = bytearray()
        self._began = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._double._connections.add(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._double._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        if not self._data:
            self._began = time.monotonic()
        self._data += data
        while (request := self._next()) is not None:
            response = self._double.respond(request, self._began)
            if response is None:
                self._transport.abort()
                return
            self._transport.write(response)

    def _next(self) -> Received | None:
        end = self._data.find(b"\r\n\r\n")
        if end < 0:
            return None
        line, *lines = self._data[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (one.partition(":") for one in lines)}
        size = end + 4 + int(headers.get("content-length", 0))
        if len(self._data) < size:
            return None
        body = bytes(self._data[end + 4 : size])
        del self._data[:size]
        return Received(line, headers, body)


def _flaw(message: Message) -> str | None:
    """Why Segment cannot use a message, though it takes it."""
    if message["type"] not in REQUIRED:
        return "no such type"
    if not message.get("userId") and not message.get("anonymousId"):
        return "no_user_anon_id"
    needs = REQUIRED[message["type"]]
    if needs and not message.get(needs):
        return f"no {needs}"
    return "messageId" if len(str(message.get("messageId", ""))) >= LONG_ID else None


async def main() -> None:
    parser = argparse.ArgumentParser(description="A double of Segment's HTTP tracking API.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--write-key", default=WRITE_KEY)
    parser.add_argument("--rate", type=float)
    given = parser.parse_args()
    double = await SegmentDouble(write_key=given.write_key, rate=given.rate, keep=False).start(given.port)
    print(double.url, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
