"""Where the webhooks go: a process that lists every request it has answered, by event and by who sent it."""

import asyncio
import json
import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


class Connection(asyncio.Protocol):
    came = []

    def connection_made(self, transport):
        self.transport = transport
        self.data = b""

    def data_received(self, data):
        self.data += data
        while (end := self.data.find(b"\r\n\r\n")) >= 0:
            head = dict(
                line.lower().split(": ", 1) if not line.lower().startswith("webhook-id") else line.split(": ", 1)
                for line in self.data[:end].decode("latin-1").split("\r\n")[1:]
            )
            length = int(head.get("content-length", "0"))
            if len(self.data) < end + 4 + length:
                return
            self.data = self.data[end + 4 + length :]
            event_id = next(value for name, value in head.items() if name.lower() == "webhook-id")
            self.came.append((event_id, int(head["x-process"])))
            self.transport.write(ANSWER)


async def serve(port_to, report_to):
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Connection, "127.0.0.1", 0)
    end = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, end.set)
    os.write(port_to, str(server.sockets[0].getsockname()[1]).encode())
    await end.wait()
    report_to.write_text(json.dumps(Connection.came))


@contextmanager
def receiver(folder):
    """Runs in a child; gives its URL, and what it noted once it has ended: ``[(event id, process id), …]``."""
    reading, writing = os.pipe()
    report = Path(folder) / "received.json"
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(serve(writing, report))
        finally:
            os._exit(0)
    os.close(writing)
    port = int(os.read(reading, 10))
    os.close(reading)
    ended = []

    def received():
        if not ended:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)
            ended.append(pid)
        return [tuple(one) for one in json.loads(report.read_text())]

    try:
        yield f"http://127.0.0.1:{port}/", received
    finally:
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit("import it")
