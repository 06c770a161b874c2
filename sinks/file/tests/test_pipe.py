"""A named pipe as the file: its reader may be missing, slow, or gone."""

import os

import pytest
from filing import delivery

from supertokens_events.sink import Delivered, Retry
from supertokens_events_file import FileSettings, FileSink, lines

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    return path


@pytest.fixture
def reader(path):
    """The other end of the pipe."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    yield file
    os.close(file)


@pytest.fixture
async def sink(path):
    """A sink that waits for its reader for a quarter of a second."""
    sink = FileSink("audit", FileSettings(path=path))
    sink.deadline = 0.5
    await sink.open()
    yield sink
    await sink.close()


def unread(reader):
    """What is in the pipe."""
    pieces = []
    try:
        while piece := os.read(reader, 65536):
            pieces.append(piece)
    except BlockingIOError:
        pass
    return b"".join(pieces)


def long(number, size):
    """A delivery with a body of so many bytes."""
    return delivery(number, b'{"n":%d,"pad":"%s"}' % (number, b"x" * (size - 16)))


async def test_without_a_reader_the_event_waits(path, sink):
    """What nobody reads is not delivered; an attempt and a check both say so."""
    assert (
        await sink.deliver([delivery(1), delivery(2)]) == [Retry(f"{path}: no program reads this pipe", away=True)] * 2
    )
    assert await sink.check() == [f"{path}: no program reads this pipe"]


async def test_a_reader_gets_whole_lines(sink, reader):
    """Where somebody reads, the events are delivered and a check finds nothing wrong."""
    outcomes = await sink.deliver([delivery(1), delivery(2)])

    assert (outcomes, await sink.check()) == ([Delivered()] * 2, [])
    assert unread(reader) == b'{"n":1}\n{"n":2}\n'


async def test_its_end_is_the_sinks(sink, reader):
    """A reader sees no end between two calls, as it would if the pipe were opened each time."""
    await sink.deliver([delivery(1)])
    os.read(reader, 65536)

    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    await sink.close()
    assert os.read(reader, 1) == b""


async def test_another_reader_goes_on(path, sink, reader):
    """While a reader is replaced by another, events wait, and what the first one had not read is there for the next."""
    await sink.deliver([delivery(1)])
    os.dup2(os.open(os.devnull, os.O_RDONLY), reader)  # the reader is gone
    (between,) = await sink.deliver([delivery(2)])
    other = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    (after,) = await sink.deliver([delivery(2)])

    assert (between, after) == (Retry(f"{path}: no program reads this pipe", away=True), Delivered())
    assert unread(other) == b'{"n":1}\n{"n":2}\n'
    os.close(other)


async def test_a_pipe_that_is_made_anew_is_opened_anew(path, sink, reader):
    """What is at the path now gets the next event."""
    await sink.deliver([delivery(1)])
    path.unlink()
    os.mkfifo(path)
    other = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    assert await sink.deliver([delivery(2)]) == [Delivered()]
    assert (unread(reader), unread(other)) == (b'{"n":1}\n', b'{"n":2}\n')
    os.close(other)


@pytest.mark.parametrize(("size", "count"), [(600, 200), (5000, 8), (40_000, 4)])
async def test_a_full_pipe_has_no_half_a_line(path, sink, reader, size, count):
    """When the reader does not read on, what is in the pipe is whole and delivered, and only the rest comes again."""
    events = [long(number, size) for number in range(count)]
    whole = b"".join(event.body + b"\n" for event in events)
    full = Retry(f"{path}: the pipe is full, and its reader does not read on", away=True)
    got, waited = b"", 0

    while events:
        outcomes = await sink.deliver(events)
        got += unread(reader)
        assert got == whole[: len(got)]
        assert got.endswith(b"\n")
        assert all(outcome in (Delivered(), full) for outcome in outcomes)
        events = [event for event, outcome in zip(events, outcomes, strict=True) if outcome != Delivered()]
        waited += bool(events)
        sink.deadline = 0.2

    assert got == whole
    assert waited


async def test_a_line_that_is_longer_than_the_pipe(sink, reader):
    """An event for which the pipe is too small is whole all the same: it is made larger."""
    event = long(1, 200_000)

    assert await sink.deliver([event]) == [Delivered()]
    assert unread(reader) == event.body + b"\n"


async def test_a_line_in_pieces(sink, reader, monkeypatch):
    """Where the system makes no pipe larger, a long line goes in pieces. When its reader stops in the middle, it is ended before
    anything else, and the event comes again.
    """
    monkeypatch.setattr(lines.fcntl, "F_SETPIPE_SZ", -1)
    event = long(1, 100_000)

    outcomes = [*await sink.deliver([event])]
    begin = unread(reader)
    outcomes += await sink.deliver([delivery(2)])

    assert [type(outcome) for outcome in outcomes] == [Retry, Delivered]
    assert begin + unread(reader) == event.body + b'\n{"n":2}\n'
