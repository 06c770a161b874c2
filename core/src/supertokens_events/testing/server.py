"""A place that is a server on loopback, in a thread of its own: over real connections, which can hang, break and be refused."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, Self, TypeVar

from supertokens_events.testing.place import Place

__all__ = ["ServerPlace"]

HANGS_FOR = 15.0
"""Seconds after which a server that hangs closes the connection: a sink that waits for ever must not stop the tests."""

_PATIENCE = 10.0  # seconds for what the server's thread is asked to do

T = TypeVar("T")


class ServerPlace(Place):
    """A TCP server on ``127.0.0.1``, as a context manager. A subclass writes :meth:`serve`, and in it leaves each answer to
    :meth:`reply`.
    """

    host = "127.0.0.1"
    port = 0
    """Its port, from when it is entered; the same after it was away."""

    def __init__(self) -> None:
        self._mode: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]] | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._server: asyncio.Server | None = None
        self._loop: asyncio.AbstractEventLoop
        self._stopped: asyncio.Event
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), name=type(self).__name__, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(_PATIENCE)
        self._ask(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(_PATIENCE)

    @abstractmethod
    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until the other side closes it (an end of file here may raise)."""

    async def reply(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: bytes) -> bool:
        """Send ``answer``, unless the place hangs or answers garbage; returns whether it was sent."""
        if self._mode is not None:
            await self._mode(reader, writer)
            writer.close()
            return False
        writer.write(answer)
        await writer.drain()
        return True

    # As a place ----------------------------------------------------------------------------------------------------

    def take(self) -> None:
        self._mode = None
        self._ask(self._listen)

    def hang(self) -> None:
        self.take()
        self._mode = _hang

    def go_away(self) -> None:
        self._ask(self._leave)

    def connections(self) -> int:
        return len(self._connections)

    def answer_bytes(self, garbage: bytes) -> None:
        """Answer everybody these bytes, and close the connection."""

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(garbage)
            await writer.drain()

        self.take()
        self._mode = answer

    # Its thread ----------------------------------------------------------------------------------------------------

    def _ask(self, what: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(what(), self._loop).result(_PATIENCE)

    async def _live(self) -> None:
        self._loop, self._stopped = asyncio.get_running_loop(), asyncio.Event()
        self._ready.set()
        await self._stopped.wait()
        await self._leave()

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _leave(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for writer in self._connections.values():
            writer.transport.abort()
        if self._connections:
            await asyncio.wait(self._connections)
        if server is not None:
            await server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                await self.serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
            del self._connections[task]


async def _hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Until the other side goes: whoever hangs still sees that."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(HANGS_FOR):
            while await reader.read(65536):
                pass
