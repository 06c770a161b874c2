"""Two dispatchers beside one over PostgreSQL, where the receiver is the limit and not the CPU.

``nox -s bench -- dispatchers [--delay 0.05] [--rounds 5] [--json FILE]``

The receiver answers each request after ``--delay`` seconds, and a dispatcher has ten requests under way. The server is the
tests' own, with syncing as it is by default.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from delivery import HERE, Figures, fill, machine, rate, receiver, report, spread


def deliver(url: str, delay: float, dispatchers: int, count: int) -> float:
    """Events/s."""
    fill(url, count)
    with receiver(delay) as place:
        command = [sys.executable, str(HERE / "_dispatch.py"), url, place]
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(dispatchers)]
        for process in running:
            assert process.wait() == 0
        return rate(report(place), count)


def measure(delay: float, count: int) -> Figures:
    sys.path.insert(0, str(HERE.parent / "tests"))
    from outbox.postgres_server import PostgresServer

    server = PostgresServer(fsync="on")
    try:
        one = deliver(server.url(), delay, 1, count)
        two = deliver(server.url(), delay, 2, 2 * count)
    finally:
        server.remove()
    return {"one, events/s": one, "two, events/s": two, "two / one": two / one}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rounds = [measure(given.delay, given.count) for _ in range(given.rounds)]
    figures = {name: spread([one[name] for one in rounds]) for name in rounds[0]}
    print(f"receiver answers after {given.delay:g} s, median of {given.rounds} (lowest - highest); {machine()}")
    for name, one in figures.items():
        print(f"{name:14} {one['median']:8.2f}  ({one['lowest']:.2f} - {one['highest']:.2f})")
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "figures": figures}, indent=1))


if __name__ == "__main__":
    main()
