"""A place for webhooks: it keeps what it was sent, head and body, or answers by repeating that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


class Receiver(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *, echoes: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.echoes = echoes
        self.received: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks"


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((dict(self.headers), body))
        if self.server.echoes:
            self._echo()
        else:
            self.send_response(204)
            self.end_headers()

    def _echo(self) -> None:
        """Not now, says it, and what was asked: such as a proxy does that shows what it could not pass on."""
        said = f"{self.requestline} {dict(self.headers)}".encode()
        self.send_response(503)
        self.send_header("content-length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        """Silent."""


@contextmanager
def receiver(*, echoes: bool = False) -> Iterator[Receiver]:
    """One that answers 204; or, if it ``echoes``, 503 and the request's head."""
    with Receiver(echoes=echoes) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
