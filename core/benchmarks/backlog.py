"""One dispatcher with a small backlog and with a large one: events/s, and memory.

``nox -s bench -- backlog [--backlogs 10000 1000000] [--rounds 3] [--json FILE]``

Each round fills a SQLite outbox and delivers from it for ``--seconds`` to a loopback receiver, in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from delivery import HERE, Figures, fill, machine, receiver, report, run, spread, sqlite


def measure(backlog: int, seconds: float) -> Figures:
    with tempfile.TemporaryDirectory() as folder, receiver() as url:
        fill(sqlite(folder), backlog)
        said = run(sys.executable, HERE / "_dispatch.py", sqlite(folder), url, "--seconds", seconds)
        moments = sorted(report(url).values())
        return {"events/s": (len(moments) - 1) / (moments[-1] - moments[0]), "MiB": said["rss"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backlogs", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    figures = {}
    for backlog in given.backlogs:
        rounds = [measure(backlog, given.seconds) for _ in range(given.rounds)]
        figures[f"{backlog:,}"] = {name: spread([one[name] for one in rounds]) for name in rounds[0]}
    print(f"median of {given.rounds} (lowest - highest); {machine()}")
    for backlog, named in figures.items():
        for name, one in named.items():
            print(f"{backlog:>9} pending  {name:9} {one['median']:9.2f}  ({one['lowest']:.2f} - {one['highest']:.2f})")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
