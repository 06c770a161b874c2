"""What the tests of the file sink share: deliveries, calls as the dispatcher makes them, and readers of what was written."""

import gzip
import json

from supertokens_events.event import with_sequence
from supertokens_events.sink import Delivery
from supertokens_events.testing import sample_event
from supertokens_events_file import FileSettings, FileSink
from supertokens_events_file.rotation import PART, closed_files


def delivery(number=1, body=None):
    """A delivery with a short body of its own."""
    return Delivery("audit", f"evt_{number}", "user.created", number, None, None, body or b'{"n":%d}' % number)


def stored(event_type="user.created", sequence=7, **fields):
    """A delivery of a sample event, as the outbox stores it."""
    event = sample_event(event_type, **fields)
    body = with_sequence(event.to_bytes(), sequence)
    return Delivery("audit", event.id, event.type, sequence, event.tenant_id, event.user_id, body)


async def deliver(path, *deliveries, **settings):
    """The outcomes of one call, as the dispatcher would make it."""
    sink = FileSink("audit", FileSettings.model_validate({"path": path, **settings}))
    await sink.open()
    try:
        return await sink.deliver(deliveries or [delivery()])
    finally:
        await sink.close()


async def said(tmp_path, one, format_):
    """What a format says of one delivery."""
    path = tmp_path / f"{one.event_id}.{format_}"
    await deliver(path, one, format=format_)
    (line,) = path.read_bytes().splitlines()
    return json.loads(line)


def contents(one):
    """What is in a file, compressed or not."""
    return gzip.decompress(one.read_bytes()) if one.suffix == ".gz" else one.read_bytes()


def written(path):
    """All that was written under a path, oldest first. A file that is there plain and compressed is read once."""
    whole = {closed.at: closed.path for closed in closed_files(path) if closed.ending != PART}
    return b"".join(map(contents, whole.values())) + (path.read_bytes() if path.exists() else b"")


def names(path):
    """The names of the files that there are, in order."""
    return sorted(entry.name for entry in path.parent.iterdir())
