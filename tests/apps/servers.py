"""Real servers on loopback, one per framework.

The SDK looks up its instance in every request, so one app outlives many ``init``.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from socketserver import TCPServer
from typing import Any, NamedTuple

import uvicorn
from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

HOST = "127.0.0.1"


class Framework(NamedTuple):
    """``framework`` and ``mode`` are what ``init`` is told; ``views`` is where the app's own routes are."""

    name: str
    framework: str
    mode: str
    views: str
    make_app: Callable[[], Any]


def _fastapi() -> Any:
    from apps.fastapi_app import make_app

    return make_app()


def _flask() -> Any:
    from apps.flask_app import make_app

    return make_app()


def _django_wsgi() -> Any:
    from apps.django_app import make_wsgi_app

    return make_wsgi_app()


def _django_asgi() -> Any:
    from apps.django_app import make_asgi_app

    return make_asgi_app()


FRAMEWORKS = {
    framework.name: framework
    for framework in (
        Framework("fastapi", "fastapi", "asgi", "/app", _fastapi),
        Framework("flask", "flask", "wsgi", "/app", _flask),
        Framework("django-wsgi", "django", "wsgi", "/app", _django_wsgi),
        Framework("django-asgi", "django", "asgi", "/async", _django_asgi),
    )
}


class Servers:
    """Starts a framework's server when it is first asked for, and stops them all at the end."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._urls: dict[str, str] = {}

    def url(self, name: str) -> str:
        """Where the app of this framework answers."""
        if name not in self._urls:
            framework = FRAMEWORKS[name]
            serve = serve_asgi if framework.mode == "asgi" else serve_wsgi
            self._urls[name] = self._stack.enter_context(serve(framework.make_app()))
        return self._urls[name]

    def stop(self) -> None:
        self._stack.close()


@contextmanager
def serve_asgi(app: Any) -> Any:
    """Uvicorn in a thread. The socket listens before the thread starts, so the first request only waits."""
    listener = socket.create_server((HOST, 0), backlog=1024)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, loop="asyncio"))
    thread = threading.Thread(target=server.run, args=([listener],), name="uvicorn", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def serve_wsgi(app: Any) -> Any:
    """Werkzeug's threaded server: one thread per connection, which is kept open."""
    server = WsgiServer(HOST, 0, app, handler=QuietHandler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="werkzeug", daemon=True)
    thread.start()
    try:
        yield f"http://{HOST}:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class WsgiServer(ThreadedWSGIServer):
    """The SDK makes an event loop in every thread and leaves it there; a thread that ends closes its own."""

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            close_loop()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Loud: werkzeug would pass over a connection that broke off."""
        TCPServer.handle_error(self, request, client_address)


class QuietHandler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, *_: Any) -> None:
        """Silent: a test's output is not the place for an access log."""


def close_loop() -> None:
    """Close this thread's event loop, if it has one."""
    with suppress(RuntimeError):
        asyncio.get_event_loop().close()
