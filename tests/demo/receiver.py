"""The receiver: an HTTP server that verifies each webhook with ``standardwebhooks``, the reference library."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from standardwebhooks import Webhook, WebhookVerificationError

__all__ = ["Post", "Receiver"]

HOST = "127.0.0.1"


@dataclass(frozen=True)
class Post:
    """One request that came in, and when, by the monotonic clock. ``refused`` is why its signature is not accepted; empty
    when it is.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    refused: str = ""
    at: float = field(default_factory=time.monotonic)


class Receiver:
    """Answers 204 to what it verified, 401 to the rest, and remembers both. It can go away and come back on its port."""

    def __init__(self, secret: str) -> None:
        self.posts: list[Post] = []
        self._webhook = Webhook(secret)
        self._socket = _bound(0)
        self.port: int = self._socket.getsockname()[1]
        self._server: _Server | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._socket.close()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.address}/hooks/auth"

    def start(self) -> None:
        """Listen."""
        self._server = _Server(self._socket, self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Stop listening and close every connection: from now on whoever calls is refused."""
        if self._server is not None:
            self._server.stop()
            self._server = None
            self._socket = _bound(self.port)  # nobody listens on it, and nobody else can take it meanwhile

    def take(self, path: str, headers: Mapping[str, str], body: bytes) -> Post:
        """Verify one request and remember it."""
        post = Post(path, headers, body, self._refusal(headers, body))
        self.posts.append(post)
        return post

    def first_of(self, event_id: str) -> Post | None:
        """The first request that brought this event."""
        return next((post for post in list(self.posts) if post.headers.get("webhook-id") == event_id), None)

    def accepted(self, event_id: str) -> Post | None:
        """The first request that brought this event with a signature that is accepted."""
        brought = (post for post in list(self.posts) if post.headers.get("webhook-id") == event_id)
        return next((post for post in brought if not post.refused), None)

    def _refusal(self, headers: Mapping[str, str], body: bytes) -> str:
        try:
            self._webhook.verify(body, dict(headers))
        except (WebhookVerificationError, ValueError) as error:
            return str(error)
        return ""


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, bound: socket.socket, receiver: Receiver) -> None:
        super().__init__(bound.getsockname(), _Connection, bind_and_activate=False)
        self.socket.close()
        self.socket = bound
        self.receiver = receiver
        self.connections: set[socket.socket] = set()
        self.server_activate()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        for connection in list(self.connections):
            with suppress(OSError):  # the other side was quicker
                connection.shutdown(socket.SHUT_RDWR)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        refused = self.server.receiver.take(self.path, headers, body).refused.encode()
        self.send_response(HTTPStatus.UNAUTHORIZED if refused else HTTPStatus.NO_CONTENT)
        if refused:
            self.send_header("Content-Length", str(len(refused)))
        self.end_headers()
        self.wfile.write(refused)

    def log_message(self, *_: object) -> None:
        """Silent: the story tells what came in."""


def _bound(port: int) -> socket.socket:
    """A socket that has the port, and does not listen yet."""
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    return bound
