"""A place that is a server on loopback, in a thread of its own: over real connections, which can hang, break and be refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
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
        self._connections: dict[asyncio.Task[None], socket.socket] = {}
        self._listener: socket.socket | None = None
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

    @property
    def answering(self) -> bool:
        """Whether :meth:`reply` sends what it is given: the place neither hangs nor talks nonsense."""
        return self._mode is None

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
        if self._listener is None:
            self._listener = socket.create_server((self.host, self.port))
            self._listener.setblocking(False)
            self.port = self._listener.getsockname()[1]
            self._loop.add_reader(self._listener, self._accept, self._listener)

    # asyncio's own server may have a connection that nobody knows of yet when it is closed.

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
            connection, _ = listener.accept()
            task = self._loop.create_task(self._connected(connection))
            self._connections[task] = connection
            task.add_done_callback(self._connections.pop)

    async def _connected(self, connection: socket.socket) -> None:
        try:
            reader, writer = await asyncio.open_connection(sock=connection)
        except OSError:  # the other side has gone already
            connection.close()
            return
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, OSError):
                await self.serve(reader, writer)
            writer.close()
        finally:
            if not writer.is_closing():
                writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _leave(self) -> None:
        if self._listener is not None:
            self._loop.remove_reader(self._listener)
            self._listener.close()
            self._listener = None
        left = dict(self._connections)
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left)
        for connection in left.values():
            connection.close()  # of a task that had not begun


async def _hang(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Until the other side goes: whoever hangs still sees that."""
    with contextlib.suppress(TimeoutError, OSError):
        async with asyncio.timeout(HANGS_FOR):
            while await reader.read(65536):
                pass
