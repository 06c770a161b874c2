"""A place that is a real server, and what can go wrong on the way to it."""

from __future__ import annotations

import asyncio
import contextlib

from supertokens_events.testing.server import ServerPlace

__all__ = ["ProxyPlace"]

_CHUNK = 65536


class ProxyPlace(ServerPlace):
    """Stands in front of a server that takes TCP connections at ``upstream``, and passes on what both sides say.

    While it hangs or answers garbage, nothing reaches the server. A subclass says what the server received, and how it refuses.
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        super().__init__()
        self._upstream = upstream

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not await self.reply(reader, writer, b""):
            return
        from_server, to_server = await asyncio.open_connection(*self._upstream)
        answers = asyncio.create_task(_pass_on(from_server, writer))
        try:
            while (data := await reader.read(_CHUNK)) and await self.reply(reader, writer, b""):
                to_server.write(data)
                await to_server.drain()
        finally:
            answers.cancel()
            to_server.close()
            with contextlib.suppress(OSError):
                await to_server.wait_closed()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
        writer.close()
