"""A backfill of many users that is killed three times: complete, none twice, and how much memory it takes.

``nox -s bench -- backfill [--users 100000] [--kills 3] [--json FILE]``

The core is the tests' double, in this process; the backfill is the command, in processes of its own. Exits 1 when something is
missing, is there twice, or took more than 100 MiB.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from crowd import crowd

CONFIGURATION = """
[core]
connection_uri = "{url}"
[outbox]
url = "sqlite:events.db"
[sinks.crm]
type = "file"
events = ["user.*"]
path = "crm.jsonl"
"""
MOST = 100.0  # MiB


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--users", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, crowd(given.users) as core:
        folder = Path(name)
        (folder / "supertokens-events.toml").write_text(CONFIGURATION.format(url=core.url))
        began = time.monotonic()
        memory = [killed(folder, (n + 1) * given.users // (given.kills + 1)) for n in range(given.kills)]
        memory.append(to_the_end(folder))
        seconds = time.monotonic() - began
        events, users = stored(folder)
    figures = {"users": given.users, "events": events, "distinct": users, "s": seconds, "MiB": max(memory)}
    print(f"{given.users:,} users, killed {given.kills} times; {platform.platform()}")
    print(f"{events:,} events about {users:,} users in {seconds:.0f} s, at most {max(memory):.1f} MiB")
    if given.json:
        given.json.write_text(json.dumps({"machine": platform.platform(), "figures": figures}, indent=1))
    return int(events != given.users or users != given.users or max(memory) > MOST)


def started(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "supertokens_events", "backfill", "crm", "--json"], cwd=folder)


def killed(folder: Path, at: int) -> float:
    """Killed once so many events are stored; its memory in MiB."""
    with started(folder) as process:
        while process.poll() is None and stored(folder)[0] < at:
            time.sleep(0.05)
        memory = peak(process.pid)
        os.kill(process.pid, signal.SIGKILL)
    return memory


def to_the_end(folder: Path) -> float:
    memory = 0.0
    with started(folder) as process:
        while process.poll() is None:
            memory = max(memory, peak(process.pid))
            time.sleep(0.05)
    return memory


def peak(pid: int) -> float:
    """The most that a process has had in memory, in MiB; 0.0 once it has ended."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


def stored(folder: Path) -> tuple[int, int]:
    """How many events there are, and about how many users."""
    try:
        with closing(sqlite3.connect(f"file:{folder / 'events.db'}?mode=ro", uri=True)) as connection:
            events, users = connection.execute("SELECT count(*), count(DISTINCT user_id) FROM event").fetchone()
    except sqlite3.OperationalError:  # not made yet
        return 0, 0
    return events, users


if __name__ == "__main__":
    sys.exit(main())
