"""The file sink: whole lines at the end of a file, whoever else writes to it and whatever goes wrong."""

import json
import os
import resource
import signal
import stat
import subprocess
import sys
import threading
import time
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import anyio
import pytest
from filing import deliver, delivery

from supertokens_events.sink import Delivered, Retry
from supertokens_events_file import FileSettings, FileSink, lines, register_sink_types
from supertokens_events_file.turn import Turn

pytestmark = pytest.mark.anyio


async def test_an_event_is_a_line(path):
    """Each event is one line, in order, in the bytes that were stored."""
    outcomes = await deliver(path, delivery(1), delivery(2, body='{"name":"Zoë"}'.encode()))

    assert path.read_bytes() == b'{"n":1}\n{"name":"Zo\xc3\xab"}\n'
    assert outcomes == [Delivered(), Delivered()]


async def test_what_is_there_stays(path):
    """Events go to the end of a file; nothing in it is touched."""
    path.write_bytes(b"before\n")

    await deliver(path)

    assert path.read_bytes() == b'before\n{"n":1}\n'


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o277, 0o777])
async def test_a_new_file_is_its_owners_alone(path, umask):
    """A new file has mode 0600, whatever the umask: events are personal data."""
    before = os.umask(umask)
    try:
        await deliver(path)
    finally:
        os.umask(before)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_the_mode_of_a_file_is_left_alone(path):
    """A file that an administrator opened to a log shipper stays open to it."""
    path.touch(mode=0o600)
    path.chmod(0o640)

    await deliver(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize(
    "torn", [b'{"n":', b'{"n":{}', b'{"name":"Zo\xc3', b"\0" * 9, b"x" * 200_000, b"[" * 200_000], ids=len
)
async def test_a_torn_line_is_ended_and_marked(path, torn):
    """What a crash left without its end does not spoil the next event, and says what it is."""
    path.write_bytes(b'{"n":0}\n' + torn)

    await deliver(path)

    assert path.read_bytes() == b'{"n":0}\n' + torn + b' <torn>\n{"n":1}\n'


async def test_what_is_longer_than_any_line_is_torn(path):
    """Of a file that ends in a hole, which some file systems leave after a power cut, not all is read."""
    path.write_bytes(b'{"n":0}\n')
    os.truncate(path, 2**30)

    await deliver(path, fsync="never")

    with path.open("rb") as file:
        file.seek(2**30)
        assert file.read() == b' <torn>\n{"n":1}\n'


async def test_a_line_that_lacks_only_its_end_is_completed(path):
    """An event that is all there is an event: only its end is added."""
    path.write_bytes(b'{"n":0}\n{"pad":"%s"}' % (b"x" * 200_000))

    await deliver(path)

    assert path.read_bytes() == b'{"n":0}\n{"pad":"%s"}\n{"n":1}\n' % (b"x" * 200_000)


async def test_a_torn_line_is_ended_when_the_sink_starts(path):
    """A reader need not wait for the next event: the sink looks at the end of the file when it opens."""
    path.write_bytes(b'{"n":0}\n{"n":')
    sink = FileSink("audit", FileSettings(path=path))

    await sink.open()
    await sink.close()

    assert path.read_bytes() == b'{"n":0}\n{"n": <torn>\n'


async def test_opening_makes_no_file(path):
    """A sink without events leaves no trace, and one whose directory is missing opens all the same."""
    for place in (path, path.parent / "gone" / "events.jsonl"):
        sink = FileSink("audit", FileSettings(path=place))
        await sink.open()
        await sink.close()

    assert list(path.parent.iterdir()) == []


async def test_a_file_that_was_moved_is_made_again(path):
    """After a rotation by renaming, events go to a new file at the path."""
    await deliver(path, delivery(1))
    path.rename(path.with_suffix(".1"))
    await deliver(path, delivery(2))

    assert path.read_bytes() == b'{"n":2}\n'


WRITER = """
import sys, anyio
from supertokens_events.sink import Delivery
from supertokens_events_file import FileSettings, FileSink

name, path = sys.argv[1:]

def delivery(n):
    body = b'{"writer":"%s","n":%d,"pad":"%s"}' % (name.encode(), n, b"x" * (n * 7 % 6000))
    return Delivery("audit", f"evt_{n}", "user.created", n, None, None, body)

async def main():
    sink = FileSink("audit", FileSettings(path=path))
    for first in range(0, 2000, 8):
        await sink.deliver([delivery(n) for n in range(first, first + 8)])

print("ready", flush=True)
sys.stdin.readline()
anyio.run(main)
"""


def writer(name, path):
    """A process that says when it is ready, and begins to write when its input ends."""
    command = [sys.executable, "-c", WRITER, name, path]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def test_two_processes_tear_no_line(path):
    """Two processes that write 2,000 events each at once leave 4,000 whole lines, each process's in its order."""
    with writer("a", path) as one, writer("b", path) as other:
        ready = one.stdout.readline(), other.stdout.readline()
        one.stdin.close()
        other.stdin.close()

    assert ready == (b"ready\n", b"ready\n")
    assert (one.returncode, other.returncode) == (0, 0)
    written = [json.loads(line) for line in path.read_bytes().splitlines()]
    for name in ("a", "b"):
        assert [line["n"] for line in written if line["writer"] == name] == list(range(2000))


def test_renaming_loses_no_line(path):
    """While two processes write, another renames the file time and again, as logrotate does: no line is lost or doubled."""
    moved = []
    with writer("a", path) as one, writer("b", path) as other:
        for process in (one, other):
            process.stdout.readline()
            process.stdin.close()
        while one.poll() is None or other.poll() is None:
            if path.exists():
                moved.append(path.rename(path.with_name(f"events.jsonl.{len(moved)}")))
            time.sleep(0.001)

    files = [file for file in (*moved, path) if file.exists()]
    written = [json.loads(line) for file in files for line in file.read_bytes().splitlines()]
    assert len(moved) > 2
    for name in ("a", "b"):
        assert [line["n"] for line in written if line["writer"] == name] == list(range(2000))


async def test_a_missing_directory_is_a_retry(path):
    """Nobody makes a directory that an administrator forgot or took away: the event waits, and the reason names it."""
    path = path.parent / "gone" / path.name

    assert (
        await deliver(path, delivery(1), delivery(2))
        == [Retry(f"{path}: the directory {path.parent} does not exist", away=True)] * 2
    )
    assert not path.parent.exists()


async def test_a_directory_that_comes_back_is_used(path):
    """A vanished directory costs no restart."""
    folder = path.parent / "mount"
    sink = FileSink("audit", FileSettings(path=folder / "events.jsonl"))
    (before,) = await sink.deliver([delivery()])
    folder.mkdir()
    (after,) = await sink.deliver([delivery()])

    assert (type(before), after) == (Retry, Delivered())


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a device of Linux")
async def test_a_full_disk_is_a_retry():
    """A disk without room is a retry with its reason."""
    assert await deliver(Path("/dev/full")) == [Retry("/dev/full: No space left on device", away=True)]


@contextmanager
def largest_file(size):
    """This process may write no file that is longer. Only around a call: pytest's own output may go to a file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


async def test_a_write_that_is_cut_short_leaves_nothing(path):
    """Where only a part of the lines has room, none of them stays: the file ends where it ended before."""
    path.write_bytes(b"x" * 90 + b"\n")

    with largest_file(100):
        outcomes = await deliver(path, delivery(1), delivery(2), delivery(3))

    assert outcomes == [Retry(f"{path}: File too large", away=True)] * 3
    assert path.read_bytes() == b"x" * 90 + b"\n"


async def test_a_write_in_pieces_is_whole_in_the_end(path, monkeypatch):
    """A write that takes only some bytes is continued."""
    write = os.write
    monkeypatch.setattr(lines.os, "write", lambda file, data: write(file, data[:3]))

    await deliver(path, delivery(1), delivery(2))

    assert path.read_bytes() == b'{"n":1}\n{"n":2}\n'


HOLDER = """
import fcntl, sys

with open(sys.argv[1], "a") as file:
    fcntl.flock(file, fcntl.LOCK_EX)
    print(flush=True)
    sys.stdin.read()
"""


@asynccontextmanager
async def held(path):
    """Another process has the file."""
    async with await anyio.open_process([sys.executable, "-c", HOLDER, path]) as holder:
        await holder.stdout.receive()
        yield
        await holder.stdin.aclose()


def hurried(path, **settings):
    """A sink whose calls may take only half a second."""
    sink = FileSink("audit", FileSettings(path=path, **settings))
    sink.deadline = 0.5
    return sink


def ended(sink):
    """Wait for the thread of a call that has ended before it."""
    with sink._writes:
        pass


async def test_a_lock_that_is_held_is_a_retry(path):
    """While another process has the file, the event waits: the sink says so before its deadline, and writes nothing later."""
    sink = hurried(path)

    async with held(path):
        with anyio.fail_after(sink.deadline):
            outcomes = await sink.deliver([delivery(1), delivery(2)])
    await sink.deliver([delivery(3)])
    await sink.close()

    assert outcomes == [Retry(f"{path}: it is locked by another process", away=True)] * 2
    assert path.read_bytes() == b'{"n":3}\n'


async def test_a_call_that_is_cancelled_writes_nothing_later(path):
    """While another process has the file, the event loop goes on, and a call that was cancelled does not write afterwards."""
    sink = FileSink("audit", FileSettings(path=path))

    async with held(path):
        with anyio.move_on_after(0.1) as scope:
            await sink.deliver([delivery(1)])
    ended(sink)
    await sink.deliver([delivery(2)])
    await sink.close()

    assert scope.cancelled_caught
    assert path.read_bytes() == b'{"n":2}\n'


def test_a_lock_that_comes_too_late_is_given_back(path):
    """Whose outcome nobody waits for any more writes nothing, though it is its turn, and keeps the file from nobody."""
    late = Turn(10)
    late.give_up()

    with pytest.raises(TimeoutError, match="too late"), lines.locked(path, late):
        pytest.fail("it may write")

    with lines.locked(path, Turn(0)) as file:
        assert os.fstat(file).st_size == 0


async def test_a_disk_that_hangs_has_one_thread(path, monkeypatch):
    """While a write hangs, each call says so in its time, and none begins another one; then it goes on."""
    begun, goes_on = [], threading.Event()
    write = os.write

    def hangs(file, data):
        begun.append(data)
        goes_on.wait(10)
        return write(file, data)

    monkeypatch.setattr(lines.os, "write", hangs)
    sink = hurried(path)
    with anyio.fail_after(sink.deadline):
        outcomes = [*await sink.deliver([delivery(1)])]
    outcomes += [(await sink.deliver([delivery(1)]))[0] for _ in range(50)]
    count = len(begun)
    goes_on.set()
    ended(sink)
    await sink.deliver([delivery(2)])
    await sink.close()

    assert outcomes == [Retry(f"{path}: a write to it has not come to its end", away=True)] * 51
    assert (count, path.read_bytes()) == (1, b'{"n":1}\n{"n":2}\n')


async def test_check_finds_nothing_wrong(path):
    """A path that can be written is no problem, whether its file is there or not, and a check makes none."""
    sink = FileSink("audit", FileSettings(path=path))

    assert list(await sink.check()) == []
    assert not path.exists()
    path.touch()
    assert list(await sink.check()) == []


async def test_check_names_what_is_in_the_way(tmp_path):
    """A missing directory, and a path that is a directory, are named."""
    missing = FileSink("audit", FileSettings(path=tmp_path / "gone" / "events.jsonl"))
    directory = FileSink("audit", FileSettings(path=tmp_path))

    assert await missing.check() == [f"the directory {tmp_path / 'gone'} does not exist"]
    assert await directory.check() == [f"{tmp_path} is a directory: name a file in it"]


async def test_a_file_of_somebody_else_is_a_retry(open_folder, as_nobody):
    """Where this user may not write, the event waits, and a check says so."""
    path = open_folder / "events.jsonl"
    path.touch(mode=0o400)
    theirs, missing = (FileSink("audit", FileSettings(path=one)) for one in (path, open_folder / "new.jsonl"))

    with as_nobody():
        outcomes = [*await theirs.deliver([delivery()]), *await missing.deliver([delivery()])]
        problems = [*await theirs.check(), *await missing.check()]

    assert outcomes == [
        Retry(f"{path}: Permission denied", away=True),
        Retry(f"{open_folder / 'new.jsonl'}: Permission denied", away=True),
    ]
    assert problems == [f"this user may not write to {path}", f"this user may not write to {open_folder}"]


async def test_a_folder_that_is_closed_to_us(open_folder, as_nobody):
    """Where this user may not even look, the event waits, and a check says so."""
    path = open_folder / "secret" / "events.jsonl"
    path.parent.mkdir(mode=0o700)
    sink = FileSink("audit", FileSettings(path=path))

    with as_nobody():
        outcomes, problems = await sink.deliver([delivery()]), await sink.check()

    assert outcomes == [Retry(f"{path}: Permission denied", away=True)]
    assert problems == [f"{path}: Permission denied"]


async def test_a_device_is_not_put_aside():
    """A check says that what is no plain file cannot be put aside; it is written nevertheless."""
    settings = {"path": "/dev/null", "rotate": {"size": "1B", "every": "hour"}}
    sink = FileSink("audit", FileSettings.model_validate(settings))

    assert await sink.deliver([delivery(), delivery()]) == [Delivered()] * 2
    assert await sink.check() == ["/dev/null is not a plain file, and cannot be put aside: take away rotate"]
    await sink.close()


def test_the_plugin_brings_the_file():
    """The entry point's module registers one sink type, ``file``."""
    assert [sink_type.type for sink_type in register_sink_types()] == ["file"]
