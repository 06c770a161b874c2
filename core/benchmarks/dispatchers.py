"""Two dispatchers beside one over PostgreSQL, where the receiver is the limit and not the CPU.

``nox -s bench -- dispatchers [--delay 0.05] [--rounds 5] [--json FILE]``

The receiver answers each request after ``--delay`` seconds, and a dispatcher has ten requests under way. The server is the
tests' own, with syncing as it is by default.
"""

from __future__ import annotations

import subprocess
import sys

from _figures import Figures, options, report, spreads
from delivery import HERE, arrivals, fill, rate, receiver


def deliver(url: str, delay: float, dispatchers: int, count: int) -> float:
    """Events/s."""
    fill(url, count)
    with receiver(delay) as place:
        command = [sys.executable, str(HERE / "_dispatch.py"), url, place]
        running = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(dispatchers)]
        for process in running:
            assert process.wait() == 0
        return rate(arrivals(place), count)


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
    parser = options(__doc__)
    parser.add_argument("--delay", type=float, default=0.05)
    parser.add_argument("--count", type=int, default=2000)
    given = parser.parse_args()
    rounds = [measure(given.delay, given.count) for _ in range(given.rounds)]
    report(f"receiver answers after {given.delay:g} s", {"dispatchers": spreads(rounds)}, given)


if __name__ == "__main__":
    main()
