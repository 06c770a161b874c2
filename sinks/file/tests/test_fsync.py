"""When lines are forced to the disk."""

import errno
import os
import sys
import threading
from pathlib import Path

import anyio
import pytest
from filing import deliver, delivery

from supertokens_events.sink import Delivered, Retry
from supertokens_events_file import FileSettings, FileSink
from supertokens_events_file.rotation import closed_files
from supertokens_events_file.syncing import Syncing

pytestmark = pytest.mark.anyio

REAL = os.fsync


@pytest.fixture
def synced(monkeypatch):
    """What was forced to the disk: the names of the files, as they were then."""
    found = []

    def fsync(file):
        found.append(Path(f"/proc/self/fd/{file}").readlink().name)
        REAL(file)

    monkeypatch.setattr(os, "fsync", fsync)
    return found


async def test_always_is_before_the_outcome(path, synced):
    """With ``always`` a call waits for the disk once, however many events it has; before, a new file's name is on it."""
    sink = FileSink("audit", FileSettings(path=path, fsync="always"))

    await sink.deliver([delivery(1), delivery(2)])
    first = list(synced)
    await sink.deliver([delivery(3)])

    assert (first, synced) == ([path.parent.name, path.name], [path.parent.name, path.name, path.name])


async def test_always_means_a_rotation_too(path, synced):
    """With ``always`` the new names are on the disk before the first event of the new file counts as delivered."""
    await deliver(path, delivery(1), fsync="always")
    synced.clear()

    await deliver(path, delivery(2), fsync="always", rotate={"size": "8B"})

    assert synced == [path.name, path.parent.name, path.name]


async def test_never_is_left_to_the_system(path, synced):
    """With ``never`` nothing waits for the disk, nor afterwards."""
    await deliver(path, delivery(1), delivery(2), fsync="never")

    assert synced == []


async def test_interval_is_once_for_many(path, synced):
    """With ``interval`` several calls share one, and the last ones are on the disk when the sink is closed."""
    sink = FileSink("audit", FileSettings(path=path, fsync="interval", fsync_interval="1h"))
    for number in range(5):
        await sink.deliver([delivery(number)])
    before = list(synced)
    await sink.close()

    assert (before, synced) == ([], [path.name])


def test_interval_passes_by_itself(path, monkeypatch):
    """What was written is on the disk once the time has passed, without another event; then no descriptor is left."""
    done = threading.Event()
    monkeypatch.setattr(os, "fsync", lambda _file: done.set())
    syncing = Syncing(0.001, print)

    with path.open("wb") as file:
        syncing.wrote(file.fileno())

        assert done.wait(10)
    syncing.flush()


async def test_interval_forgets_no_file(path, synced):
    """What was put aside in the meantime is forced to the disk as well."""
    settings = FileSettings.model_validate({"path": path, "rotate": {"size": "8B"}, "fsync_interval": "1h"})
    sink = FileSink("audit", settings)
    for number in range(3):
        await sink.deliver([delivery(number)])
    await sink.close()

    assert sorted(synced) == sorted([path.name, *(one.path.name for one in closed_files(path))])


async def test_interval_holds_no_lock(path):
    """The descriptor that is kept for later keeps no other process from writing."""
    sink = FileSink("audit", FileSettings(path=path, fsync_interval="1h"))
    await sink.deliver([delivery(1)])

    assert await deliver(path, delivery(2), fsync="never") == [Delivered()]
    await sink.close()


def broken(_file):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


async def test_a_failing_disk_is_a_retry(path, monkeypatch):
    """When fsync fails under ``always`` the lines are taken back, and the event is tried again."""
    path.touch()
    path.write_bytes(b'{"n":0}\n')
    monkeypatch.setattr(os, "fsync", broken)

    assert await deliver(path, fsync="always") == [Retry(f"{path}: {os.strerror(errno.EIO)}", away=True)]
    assert path.read_bytes() == b'{"n":0}\n'


async def test_a_disk_that_fails_later_is_told(path, monkeypatch, caplog):
    """When fsync fails after the event counts as delivered, an error in the log says what that means."""
    monkeypatch.setattr(os, "fsync", broken)

    assert await deliver(path, fsync="interval") == [Delivered()]
    assert "could not be forced to the disk" in caplog.text
    assert str(path) in caplog.text


@pytest.mark.parametrize("fsync", ["always", "interval", "never"])
async def test_standard_output_is_a_file_too(fsync):
    """A container's log may be the path: what is no file on a disk is not forced to one."""
    program = f"""
import anyio
from filing import deliver
print(anyio.run(lambda: deliver("/dev/stdout", fsync={fsync!r})))
"""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])

    ended = await anyio.run_process([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": path})

    assert ended.stdout == b'{"n":1}\n[Delivered(detail={})]\n'
    assert ended.stderr == b""
