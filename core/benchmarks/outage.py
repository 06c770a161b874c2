"""A receiver that is away for a while: how soon it has everything once it is back, and what that took.

``nox -s bench -- outage [--down 60] [--rounds 3] [--json FILE]``

An app stores 20 events a second and its own thread delivers them. The receiver is killed, and started again on
the same port after ``--down`` seconds. ``back`` is how long after that the last event of the outage arrived; ``attempts``
is how many of the events of the outage were tried more often than once, apart from the breaker's probes.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from _figures import Figures, options, report, spreads
from delivery import HERE, arrivals, sqlite

_EVERY = 0.05  # seconds between two events
_BEFORE = _AFTER = 5.0  # seconds that the receiver is there


def start(port: int = 0) -> tuple[subprocess.Popen[str], int]:
    process = subprocess.Popen(
        [sys.executable, HERE / "_receiver.py", "--port", str(port)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def stop(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def outage(down: float) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        receiver, port = start()
        url = f"http://127.0.0.1:{port}/hook"
        count = int((_BEFORE + down + _AFTER + 15) / _EVERY)
        command = [
            sys.executable,
            HERE / "_dispatch.py",
            sqlite(folder),
            url,
            "--latency",
            str(count),
            "--every",
            str(_EVERY),
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as app:
            while not arrivals(url):
                time.sleep(0.1)
            time.sleep(_BEFORE)
            stop(receiver)
            began = time.monotonic()
            time.sleep(down)
            receiver, _ = start(port)
            ended = time.monotonic()
            stored: dict[str, float] = json.loads(app.communicate()[0])["stored"]
        came = arrivals(url)
        stop(receiver)
        missed = [event_id for event_id, at in stored.items() if began < at < ended]
        lost = [event_id for event_id in missed if event_id not in came]
        assert not lost, f"{len(lost)} of {len(missed)} events did not come"
        return {
            "events": len(missed),
            "back, s": max(came[event_id] for event_id in missed) - ended,
            "attempts": tried_again(Path(folder) / "events.db", missed),
        }


def tried_again(path: Path, event_ids: list[str]) -> int:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(
            "SELECT event.id FROM attempt JOIN delivery ON delivery.id = attempt.delivery JOIN event USING (sequence) "
            "WHERE attempt.number > 1"
        )
        return len({event_id for (event_id,) in rows} & set(event_ids))


def main() -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--down", type=float, default=60.0)
    given = parser.parse_args()
    rounds = [outage(given.down) for _ in range(given.rounds)]
    report(f"away for {given.down:g} s", {"outage": spreads(rounds)}, given)


if __name__ == "__main__":
    main()
