"""A receiver of webhooks that costs next to nothing: it notes when each event's first byte came, and answers 200.

``python _receiver.py [--port PORT] [--delay SECONDS]`` prints its port; it answers after the delay. ``GET /report`` answers
with ``{event id: CLOCK_MONOTONIC seconds}`` and forgets.
"""

import argparse
import asyncio
import json
import time

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Receiver(asyncio.Protocol):
    """One connection. Requests come whole or in pieces, one after the other."""

    came: dict[str, float] = {}
    delay = 0.0  # seconds

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.data = b""
        self.began = 0.0

    def data_received(self, data: bytes) -> None:
        if not self.data:
            self.began = time.monotonic()
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = self.data[:end]
            length = int(header(head, b"content-length") or 0)
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length :]
            self.answer(head)

    def answer(self, head: bytes) -> None:
        if head.startswith(b"GET "):
            body = json.dumps(self.came).encode()
            self.came.clear()
            self.transport.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
            return
        event_id = header(head, b"webhook-id").decode()
        self.came.setdefault(event_id, self.began)
        if self.delay:
            asyncio.get_running_loop().call_later(self.delay, self.transport.write, OK)
        else:
            self.transport.write(OK)


def header(head: bytes, name: bytes) -> bytes:
    at = head.lower().find(b"\r\n" + name + b":")
    return head[at + len(name) + 3 :].partition(b"\r\n")[0].strip() if at >= 0 else b""


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    given = parser.parse_args()
    Receiver.delay = given.delay
    server = await asyncio.get_running_loop().create_server(Receiver, "127.0.0.1", given.port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
