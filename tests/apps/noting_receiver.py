"""A receiver that notes in a file which webhooks came and which it has answered: ``python noting_receiver.py PORT FILE``.

It prints a line once it listens. ``came ID`` is written before the answer is, ``answered ID`` after: who is killed between the
two may or may not have answered.
"""

import asyncio
import os
import sys


async def serve(reader, writer, note):
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            lines = (line.split(b": ", 1) for line in head.split(b"\r\n")[1:-2])
            headers = {name.lower(): value for name, value in lines}
            await reader.readexactly(int(headers[b"content-length"]))
            event_id = headers[b"webhook-id"]
            os.write(note, b"came " + event_id + b"\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")
            os.write(note, b"answered " + event_id + b"\n")
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def main(port, path):
    note = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    server = await asyncio.start_server(lambda *streams: serve(*streams, note), "127.0.0.1", port)
    print("listening", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
