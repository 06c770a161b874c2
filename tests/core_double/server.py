"""``CoreDouble``: the state behind a real HTTP/1.1 server, with seams for tests."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qsl, urlsplit

from core_double import routes
from core_double.secret_values import SecretValues
from core_double.state import State, system_clock
from core_double.wire import CoreError, Json, Request

STOP_WITHIN = 0.01
"""Seconds that ``stop`` may take: many tests start a core of their own."""


class Recorded(NamedTuple):
    """One request that reached the core, its path as sent (tenant included, query left out)."""

    method: str
    path: str


class CoreDouble:
    """An in-memory SuperTokens core on 127.0.0.1.

    ``clock`` gives milliseconds since the epoch; ``secrets`` makes every random value. Both are there for tests that
    must agree with recorded values: nothing the core verifies is ever skipped. ``delay`` is how many seconds every
    answer takes; ``ahead``, how many milliseconds the core is ahead of its clock, for what expires.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        clock: Callable[[], int] = system_clock,
        secrets: SecretValues | None = None,
    ) -> None:
        self.delay = 0.0
        self.ahead = 0
        self._clock = clock
        self._secrets = secrets or SecretValues()
        self._state = State(self._now, self._secrets)
        self._recorded: list[Recorded] = []
        self._failures: list[tuple[str, int]] = []
        self._seams = threading.Lock()
        self._server = _Server((host, port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(STOP_WITHIN,), daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops listening and closes every open connection."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()
        self._server.close_connections()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host!s}:{port}"

    @property
    def requests(self) -> list[Recorded]:
        """A copy of what was asked so far, in order of arrival."""
        with self._seams:
            return list(self._recorded)

    def reset(self) -> None:
        """Forgets all users, sessions, tenants, requests and planned failures; no delay, and its clock's time."""
        with self._seams:
            self._recorded.clear()
            self._failures.clear()
        self.delay = 0.0
        self.ahead = 0
        self._state = State(self._now, self._secrets)

    def _now(self) -> int:
        return self._clock() + self.ahead

    def fail_next(self, path_suffix: str, status: int = 500) -> None:
        """The next request whose path ends so is answered with ``status`` and changes nothing."""
        with self._seams:
            self._failures.append((path_suffix, status))

    def answer(self, request: Request, recorded: Recorded) -> tuple[int, Json | str]:
        """One request, from the wire's view: an HTTP status and a JSON object or plain text."""
        if self.delay:
            time.sleep(self.delay)
        try:
            self._note(recorded)
            state = self._state
            with state.lock:
                return 200, routes.handler_for(state, request)(state, request)
        except CoreError as error:
            return error.status, f"{error.message}\n"
        except Exception as error:
            # A core that stumbles still answers; the SDK puts the text into what it raises.
            return 500, f"{type(error).__name__}: {error}\n"

    def _note(self, recorded: Recorded) -> None:
        with self._seams:
            self._recorded.append(recorded)
            for failure in self._failures:
                if recorded.path.endswith(failure[0]):
                    self._failures.remove(failure)
                    raise CoreError("Failure asked for by the test", failure[1])


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # The default backlog of 5 refuses connections when a benchmark opens many at once.
    request_queue_size = 1024

    def __init__(self, address: tuple[str, int], core: CoreDouble) -> None:
        self.core = core
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    def close_connections(self) -> None:
        for connection in list(self.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                self.connections.discard(connection)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # One write for head and body: two small packets would wait for each other's acknowledgement.
    wbufsize = -1
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        self.server.connections.discard(self.connection)
        super().finish()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def do_DELETE(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Silent: a test's output is not the place for an access log."""

    def _serve(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        url = urlsplit(self.path)
        try:
            request = self._request(url.path, url.query, raw)
        except (ValueError, TypeError):
            self._reply(400, "Invalid Json Input\n")
            return
        self._reply(*self.server.core.answer(request, Recorded(self.command, url.path)))

    def _request(self, full_path: str, query: str, raw: bytes) -> Request:
        tenant, path = routes.split_tenant(full_path)
        major, _, minor = (self.headers.get("cdi-version") or "5.4").partition(".")
        return Request(
            method=self.command,
            path=path,
            tenant=tenant,
            query=dict(parse_qsl(query, keep_blank_values=True)),
            body=dict(json.loads(raw)) if raw else {},
            rid=self.headers.get("rid") or "",
            cdi=(int(major), int(minor or 0)),
        )

    def _reply(self, status: int, answer: Json | str) -> None:
        is_text = isinstance(answer, str)
        body = answer.encode() if isinstance(answer, str) else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8" if is_text else "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
