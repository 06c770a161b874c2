"""``python -m apps.life_exits HOW``: a process in which an event waits in memory, because somebody else has the outbox locked,
comes to its end. It says ``waiting`` before, and what it emitted and whether that was stored.

``HOW``: ``return`` from the main module, ``exit`` by ``sys.exit``, ``raise`` an error, ``_exit`` by ``os._exit``, or ``wait`` for
a signal.
"""

from __future__ import annotations

import os
import signal
import sys

from supertokens_events import Events


def main(how: str) -> None:
    events = Events.from_toml()
    event = events.emit_sync("app.order.paid")
    print("waiting", event.id, event.sequence, flush=True)
    match how:
        case "exit":
            sys.exit(0)
        case "raise":
            raise RuntimeError("an error of the app's own")
        case "_exit":
            os._exit(0)
        case "wait":
            signal.pause()


if __name__ == "__main__":
    main(sys.argv[1])
