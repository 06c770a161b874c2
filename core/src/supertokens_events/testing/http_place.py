"""A place that speaks HTTP: a small real server whose answers are told to it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus

from supertokens_events.testing.server import ServerPlace

__all__ = ["HttpAnswer", "HttpPlace", "HttpRequest"]


@dataclass(frozen=True)
class HttpRequest:
    """A request. Names of headers are in lower case."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def text(self) -> str:
        """The body as text; a body in gzip is unpacked."""
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode("utf-8", "replace")


@dataclass(frozen=True)
class HttpAnswer:
    """An answer. The length of its body is added."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """As it goes over the wire."""
        phrase = HTTPStatus(self.status).phrase if self.status in set(HTTPStatus) else "Unknown"
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {self.status} {phrase}", f"content-length: {len(self.body)}", *lines])
        return head.encode("latin-1") + b"\r\n\r\n" + self.body


class HttpPlace(ServerPlace):
    """Keeps every request in :attr:`requests` and answers as told: 200 at first.

    For a place of your own set :attr:`taken` and :attr:`refused`, and override :meth:`busy`, :meth:`answer_to` (which knows
    the place's rules, its limits say), :meth:`takes` or :meth:`text_of`.
    """

    taken: HttpAnswer = HttpAnswer(200, b"ok")
    """To what it takes."""
    refused: HttpAnswer = HttpAnswer(400, b"no")
    """To what it never takes."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[HttpRequest] = []
        self._taken: list[str] = []
        self._answer_to: Callable[[HttpRequest], HttpAnswer] = self.answer_to
        self._nonsense: Callable[[HttpRequest], HttpAnswer | bytes] | None = None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``."""
        return f"http://{self.host}:{self.port}"

    def answer_to(self, request: HttpRequest) -> HttpAnswer:  # noqa: ARG002 - for those who override it
        """What it answers while it takes everything."""
        return self.taken

    def takes(self, answer: HttpAnswer) -> bool:
        """Whether it has taken what it answers so: with 2xx. Some say in the body that they have not."""
        return answer.status // 100 == 2

    def busy(self, after: float) -> HttpAnswer:
        """How it asks for patience."""
        return HttpAnswer(429, b"busy", {"retry-after": f"{after:.0f}"})

    def text_of(self, request: HttpRequest) -> str:
        """What :meth:`received` tells of a request, and :meth:`refuse` looks into."""
        return request.text

    # As a place ----------------------------------------------------------------------------------------------------

    def received(self) -> Sequence[str]:
        return list(self._taken)

    def take(self) -> None:
        self._answer_to, self._nonsense = self.answer_to, None
        super().take()

    def refuse(self, *texts: str) -> None:
        self.take()

        def answer(request: HttpRequest) -> HttpAnswer:
            told = self.text_of(request)
            return self.refused if not texts or any(text in told for text in texts) else self.answer_to(request)

        self._answer_to = answer

    def be_busy(self, after: float) -> None:
        self.take()
        self._answer_to = lambda _request: self.busy(after)

    def answer(self, garbage: str) -> None:
        self.take()
        self._nonsense = _GARBAGE[garbage]

    # One connection ------------------------------------------------------------------------------------------------

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            request = await _read(reader)
            self.requests.append(request)
            if self._nonsense is not None:
                nonsense = self._nonsense(request)
                if self._takes_nonsense(nonsense):
                    self._taken.append(self.text_of(request))
                writer.write(nonsense if isinstance(nonsense, bytes) else nonsense.to_bytes())
                await writer.drain()
                return
            answer = self._answer_to(request)
            if self.answering and self.takes(answer):
                self._taken.append(self.text_of(request))
            await self.reply(reader, writer, answer.to_bytes())

    def _takes_nonsense(self, nonsense: HttpAnswer | bytes) -> bool:
        """Where only the body is broken, its head says whether it has taken the request."""
        if isinstance(nonsense, HttpAnswer):
            return self.takes(nonsense)
        return nonsense.startswith(b"HTTP/1.1 200 ") and b"\r\n\r\n" in nonsense


async def _read(reader: asyncio.StreamReader) -> HttpRequest:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in lines)}
    method, target, *_ = line.split(" ")
    if headers.get("transfer-encoding") == "chunked":
        return HttpRequest(method, target, headers, await _chunks(reader))
    return HttpRequest(method, target, headers, await reader.readexactly(int(headers.get("content-length", 0))))


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readline()).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _always(answer: HttpAnswer | bytes) -> Callable[[HttpRequest], HttpAnswer | bytes]:
    return lambda _request: answer


def _echo(status: int) -> Callable[[HttpRequest], HttpAnswer]:
    """What it was sent, all of it: a place that debugs."""

    def answer(request: HttpRequest) -> HttpAnswer:
        head = [f"{request.method} {request.target}", *(f"{name}: {value}" for name, value in request.headers.items())]
        return HttpAnswer(status, "\n".join(head).encode() + b"\n\n" + request.body)

    return answer


def _json(body: bytes) -> HttpAnswer:
    return HttpAnswer(200, body, {"content-type": "application/json"})


_GARBAGE: Mapping[str, Callable[[HttpRequest], HttpAnswer | bytes]] = {
    "nothing": _always(b""),
    "something that is not HTTP": _always(b"220 mail.example.com ESMTP\r\n"),
    "half a head": _always(b"HTTP/1.1 200 OK\r\ncontent-le"),
    "half a body": _always(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nok"),
    "chunks that are none": _always(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nok\r\n"),
    "a web page": _always(HttpAnswer(200, b"<!doctype html><title>Welcome</title>", {"content-type": "text/html"})),
    "bytes that are no text": _always(HttpAnswer(200, b"\xff\xfe\x00\xd8" * 20)),
    "half of some JSON": _always(_json(b'{"ok": tru')),
    "JSON of another kind": _always(_json(b'[null, 1e999, {"ok": []}]')),
    "JSON that is no JSON": _always(_json(b"\xed\xa0\x80")),
    "gzip that is none": _always(HttpAnswer(200, b"ok", {"content-encoding": "gzip"})),
    "a redirect": _always(HttpAnswer(302, b"", {"location": "http://127.0.0.1:1/elsewhere"})),
    "a status that nobody knows": _always(HttpAnswer(799, b"?")),
    "a Retry-After that is none": _always(HttpAnswer(503, b"", {"retry-after": "soon"})),
    "a very long answer": _always(HttpAnswer(500, b"no " * 400_000)),
    "an error with what it was sent": _echo(500),
    "a refusal with what it was sent": _echo(400),
    "success with what it was sent": _echo(200),
}

HttpPlace.garbage = tuple(_GARBAGE)
