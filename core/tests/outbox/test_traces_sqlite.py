"""What was erased is in no byte of SQLite's files."""

import math
import sqlite3
import subprocess
import sys
from contextlib import closing

from outbox.lives import lived
from outbox.stores import entry

KINDS = ["sqlite"]
CANARY = "find-me"
READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM event").fetchone()
print("reading", flush=True)
sys.stdin.readline()
connection.close()
"""


def files_with(folder, mark):
    """The files that have these bytes anywhere."""
    return [file.name for file in sorted(folder.iterdir()) if mark in file.read_bytes()]


def test_nothing_is_left(outbox, tmp_path):
    """After a busy life, what was erased is in no byte of any file, in whatever order users are erased."""
    marks = lived(outbox)
    assert all(files_with(tmp_path, mark) for mark in marks)

    for user in (7, 0, 19):
        assert outbox.erase(f"u{user}").events > 0
        assert outbox.scrub(math.inf) == []
        assert files_with(tmp_path, marks[user]) == []
    assert all(files_with(tmp_path, marks[user]) for user in (1, 8, 18))


def test_a_file_that_is_too_large(outbox, tmp_path):
    """Without being written anew it may have traces, and says so until it is; all others stay as they are."""
    marks = lived(outbox, events=200)
    outbox.erase("u3")

    assert "unused parts" in outbox.scrub()[0]
    assert "unused parts" in outbox.scrub(1000)[0]
    assert outbox.scrub(math.inf) == outbox.scrub() == []
    assert files_with(tmp_path, marks[3]) == []
    assert [event.body is None for event in outbox.events(user_id="u4")] == [False] * len(outbox.events(user_id="u4"))


def test_another_process_reads(outbox, store, tmp_path):
    """While a process reads, traces stay in the WAL, which is said; once it has ended, a look later empties it."""
    outbox.append([entry(user_id="u1", data={"text": CANARY})])
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(tmp_path / "events.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with reader:
        assert reader.stdout.readline() == b"reading\n"
        outbox.append([entry(user_id="u1", data={"text": CANARY})])
        outbox.erase("u1")
        (left,) = store.connect(busy_timeout=0.1).scrub(math.inf)
        assert left.startswith("events.db-wal: it still has what was erased, since another process is reading")
        reader.communicate(b"\n")

    assert outbox.scrub() == []
    assert files_with(tmp_path, CANARY.encode()) == []


def test_killed_in_between(outbox, tmp_path):
    """Who erases and dies before the traces are gone leaves word of them: the next look ends them."""
    outbox.append([entry(user_id="u1", data={"text": CANARY})])
    outbox.erase("u1")
    outbox.close()
    with closing(sqlite3.connect(tmp_path / "events.db")) as connection:
        keys = {key for (key,) in connection.execute("SELECT key FROM meta WHERE key LIKE 'erased%'")}

    assert keys == {"erased_in_wal", "erased_in_pages"}
    assert outbox.scrub(math.inf) == []
    assert files_with(tmp_path, CANARY.encode()) == []
