"""Several processes and one file, and processes that are killed in the middle of it."""

import json
import signal
import subprocess
import sys

import anyio
import pytest
from filing import contents, deliver, names, written

from supertokens_events_file.rotation import closed_files

TORN = b" <torn>"

# Two writers at a time, each killed somewhere in the middle and followed by another, write one file that is put aside and
# compressed all the time. A writer notes what was delivered in a file of its own, which a killed process leaves whole.
KILLED = """
import json, os, random, signal, sys, time
import anyio
from supertokens_events.sink import Delivered, Delivery
from supertokens_events_file import FileSettings, FileSink

path, folder = sys.argv[1:]
SETTINGS = {"path": path, "rotate": {"size": "60kB", "compress": "gzip"}, "fsync": "interval", "fsync_interval": "10ms"}

def delivery(name, n):
    body = b'{"id":"%s-%d","pad":"%s"}' % (name.encode(), n, b"x" * (n * 7 % 3000))
    return Delivery("audit", f"{name}-{n}", "user.created", n, None, None, body)

async def write(name):
    sink = FileSink("audit", FileSettings.model_validate(SETTINGS))
    await sink.open()
    noted = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for first in range(0, 100_000, 8):
        ids = [f"{name}-{n}" for n in range(first, first + 8)]
        outcomes = await sink.deliver([delivery(name, n) for n in range(first, first + 8)])
        assert outcomes == [Delivered()] * 8, outcomes
        os.write(noted, " ".join(ids).encode() + b"\\n")

def start(name):
    pid = os.fork()
    if not pid:
        anyio.run(write, name)
        os._exit(0)
    return name, pid

def size(name):
    return os.path.getsize(f"{folder}/{name}") if os.path.exists(f"{folder}/{name}") else 0

async def nothing():
    "Loads the event loop once for all."

anyio.run(nothing)
random.seed(7)
running = [start(f"w{number}") for number in range(2)]
for number in range(2, 14):
    name, pid = running.pop(0)
    while size(name) < 2000:  # until it has delivered something
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.03))
    os.kill(pid, signal.SIGKILL)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL, "a writer ended by itself"
    running.append(start(f"w{number}"))
for _name, pid in running:
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
"""


@pytest.fixture
def killed(path, tmp_path):
    """What writers that were killed noted as delivered, and the lines that are in the files afterwards."""
    noted = tmp_path / "noted"
    noted.mkdir()
    folder = tmp_path / "log"
    folder.mkdir()
    path = folder / "events.jsonl"
    subprocess.run([sys.executable, "-c", KILLED, path, noted], check=True, timeout=60)
    ids = [word for one in noted.iterdir() for word in one.read_text().split()]
    return path, ids


@pytest.mark.anyio
async def test_writers_that_are_killed(killed):
    """Of two processes that write one file, which is put aside and compressed, and that are killed time and again, every
    event that was delivered is in the files once, in whole lines, and the next start leaves nothing half done.
    """
    path, delivered = killed
    await deliver(path, rotate={"size": "1GB", "compress": "gzip"})

    lines = written(path).splitlines()
    whole = [json.loads(line) for line in lines if not line.endswith(TORN)]
    found = [line["id"] for line in whole if "id" in line]
    assert len(delivered) > 500
    assert len(found) == len(set(found))
    assert set(delivered) <= set(found)
    assert {one.ending for one in closed_files(path)} == {".gz"}
    assert len(names(path)) == len(closed_files(path)) + 1
    assert all(contents(one.path).endswith(b"\n") for one in closed_files(path))


# The write is cut short by a limit, and then the process is killed by the signal that comes with it, as by a crash.
CUT = """
import resource, signal, sys
import anyio
from supertokens_events.sink import Delivery
from supertokens_events_file import FileSettings, FileSink

signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
bodies = [b'{"n":%d}' % n for n in range(3)]
sink = FileSink("audit", FileSettings(path=sys.argv[1], fsync="never"))
anyio.run(sink.deliver, [Delivery("audit", str(n), "user.created", n, None, None, body) for n, body in enumerate(bodies)])
"""


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("size", "left"),
    [
        (8, b'{"n":0}\n'),
        (15, b'{"n":0}\n{"n":1}\n'),
        (13, b'{"n":0}\n{"n": <torn>\n'),
        (3, b'{"n <torn>\n'),
    ],
)
async def test_a_writer_that_is_killed_in_the_middle_of_a_line(path, size, left):
    """A torn line of a process that died is marked by the next event, a line that lacks only its end gets it."""
    ended = await anyio.run_process([sys.executable, "-c", CUT, path, str(size)], check=False)
    assert ended.returncode == -signal.SIGXFSZ
    torn = path.read_bytes()

    await deliver(path)

    assert torn == b'{"n":0}\n{"n":1}\n{"n":2}\n'[:size]
    assert path.read_bytes() == left + b'{"n":1}\n'
