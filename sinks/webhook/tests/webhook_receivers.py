"""What the tests of the webhook sink talk to: a server that keeps requests and answers as told, and sinks that may reach it."""

import asyncio
import contextlib
import time
from dataclasses import dataclass, field

import anyio

from supertokens_events.sink import Delivery
from supertokens_events_webhook import WebhookSettings, WebhookSink

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "whsec_" + "b" * 44
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NOW = 1_800_000_000.9
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")


@dataclass
class Received:
    """One request: its first line, its headers with names in lower case, its body."""

    line: str
    headers: dict
    body: bytes = field(repr=False)

    @property
    def signed(self):
        return [self.headers[name] for name in SIGNED]


class Receiver:
    """A server on 127.0.0.1. It keeps each request and gives the next of its answers, the last of them for ever."""

    def __init__(self, *answers):
        self.answers = list(answers) or [OK]
        self.requests = []
        self.connections = 0
        self._writers = []

    async def __call__(self, reader, writer):
        self.connections += 1
        self._writers.append(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while True:
                self.requests.append(await self.read(reader))
                writer.write(self.answers.pop(0) if len(self.answers) > 1 else self.answers[0])
                await writer.drain()
        writer.close()

    async def read(self, reader):
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (header.split(": ", 1) for header in lines)}
        return Received(line, headers, await reader.readexactly(int(headers.get("content-length", 0))))

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    @property
    def url(self):
        return f"http://{self.host}/hooks/auth?token=t0ken"

    async def __aenter__(self):
        self._server = await asyncio.start_server(self, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_):
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()
        await self._server.wait_closed()


def webhook(url, *, now=time.time, **changes):
    """A webhook sink that may talk to loopback."""
    values = {"url": url, "secret": SECRET, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
    return WebhookSink("crm", WebhookSettings.model_validate(values | changes), now=now)


def delivery(body=b'{"id":"evt_1"}', event_id="evt_1", attempt=1):
    return Delivery("crm", event_id, "user.created", 1, "public", "u1", body, attempt)


async def deliver(sink, *deliveries):
    """The outcomes of one call, with the sink opened before and closed after it."""
    await sink.open()
    try:
        with anyio.fail_after(10):
            return await sink.deliver(deliveries or [delivery()])
    finally:
        await sink.close()


def answering(status, *headers, body=b""):
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body
