"""The API in a process of its own, until a signal."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import uvicorn
from starlette.applications import Starlette

__all__ = ["serve"]

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_GRACE = 10  # seconds that requests have to finish


def serve(app: Starlette, host: str, port: int, listening: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight get 10 s to finish. ``listening`` is told the URL; port 0: any that is
    free. Raises ``OSError`` when the address cannot be used.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.create_server((host, port), family=family)) as listener, _raised_in_vain():
        listening(_url(host, listener.getsockname()[1]))
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        uvicorn.Server(config).run(sockets=[listener])


def _url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def _raised_in_vain() -> Iterator[None]:
    """uvicorn raises the signal that has ended it once more; there is something left to do, though."""
    before = {signum: signal.signal(signum, lambda *_: None) for signum in _SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
