"""One dispatcher with a small backlog and with a large one: events/s, and memory.

``nox -s bench -- backlog [--backlogs 10000 1000000] [--rounds 3] [--json FILE]``

Each round fills a SQLite outbox and delivers from it for ``--seconds`` to a loopback receiver, in a process of its own.
"""

from __future__ import annotations

import sys
import tempfile

from _figures import Figures, options, report, spreads
from delivery import HERE, arrivals, fill, receiver, run, sqlite


def measure(backlog: int, seconds: float) -> Figures:
    with tempfile.TemporaryDirectory() as folder, receiver() as url:
        fill(sqlite(folder), backlog)
        said = run(sys.executable, HERE / "_dispatch.py", sqlite(folder), url, "--seconds", seconds)
        moments = sorted(arrivals(url).values())
        return {"events/s": (len(moments) - 1) / (moments[-1] - moments[0]), "MiB": said["rss"]}


def main() -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--backlogs", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    given = parser.parse_args()
    table = {}
    for backlog in given.backlogs:
        rounds = [measure(backlog, given.seconds) for _ in range(given.rounds)]
        table[f"{backlog:,} pending"] = spreads(rounds)
    report(f"{given.seconds:g} s of delivery", table, given)


if __name__ == "__main__":
    main()
