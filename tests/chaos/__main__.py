"""``python -m chaos sqlite --seconds 60 --count 10000``."""

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import asdict

from chaos import play
from outbox.postgres_server import PostgresServer

APPS = {"sqlite": 4, "postgres": 8}
DISPATCHERS = {"sqlite": 0, "postgres": 2}


def main():
    parser = argparse.ArgumentParser(prog="chaos", description="Kill processes and count what came of it.")
    parser.add_argument("store", choices=APPS)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long somebody is killed")
    parser.add_argument("--every", type=float, default=0.2, help="seconds between two kills")
    parser.add_argument("--apps", type=int, help="processes that store; 4, or 8 with PostgreSQL")
    parser.add_argument("--count", type=int, default=10_000, help="events of each app")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="chaos"))
        if given.store == "postgres":
            server = PostgresServer(max_connections="100")
            stack.callback(server.remove)
            outbox = server.url()
        else:
            outbox = f"sqlite:///{folder}/events.db"
        result = play(
            folder,
            outbox,
            count=given.count,
            seconds=given.seconds,
            every=given.every,
            seed=given.seed,
            apps=given.apps or APPS[given.store],
            dispatchers=DISPATCHERS[given.store],
        )
    print(json.dumps(asdict(result)))
    sys.exit(bool(result.lost or result.undelivered or result.unexplained))


if __name__ == "__main__":
    main()
