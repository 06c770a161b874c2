"""``python -m core_double --port 3567``: a core for local development.

It prints its url and serves until it is interrupted.
"""

from __future__ import annotations

import argparse
import threading

from core_double import CoreDouble


def main() -> None:
    parser = argparse.ArgumentParser(prog="core_double", description="An in-memory SuperTokens core.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=3567)
    options = parser.parse_args()
    with CoreDouble(port=options.port, host=options.host) as core:
        print(core.url, flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")


main()
