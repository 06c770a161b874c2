"""What the file sink writes, by when it forces lines to the disk, by format, and while it puts files aside.

``nox -s bench -- file_sink [--seconds 2] [--rounds 5] [--json FILE]``

Calls of 100 events, as a dispatcher makes them when there are enough, one after the other; nothing but the sink is measured.
Each figure is the median of several rounds with the lowest and the highest, in events a second.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from _figures import options, report, spread

from supertokens_events.event import Event, with_sequence
from supertokens_events.sink import Delivered, Delivery
from supertokens_events_file import FileSettings, FileSink

_CALL = 100  # events
_PAYLOAD = 400  # bytes
_RUNS: Mapping[str, Mapping[str, Any]] = {
    "never": {"fsync": "never"},
    "interval": {"fsync": "interval"},
    "always": {"fsync": "always"},
    "cloudevents": {"format": "cloudevents"},
    "ocsf": {"format": "ocsf"},
    "rotating, gzip": {"rotate": {"size": "10MiB", "keep": 3, "compress": "gzip"}},
}


def deliveries() -> list[Delivery]:
    """One call's."""
    data = {"method": "emailpassword", "recipe_user_id": "r", "email": "ada@example.com", "pad": "x" * _PAYLOAD}
    events = [Event(type="user.signed_in", user_id="u", tenant_id="public", data=data) for _ in range(_CALL)]
    return [
        Delivery("audit", event.id, event.type, 1, "public", "u", with_sequence(event.to_bytes(), 1))
        for event in events
    ]


async def written(settings: FileSettings, seconds: float) -> float:
    """Events a second."""
    sink, events, calls = FileSink("audit", settings), deliveries(), 0
    await sink.open()
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        outcomes = await sink.deliver([replace(one) for one in events])  # a copy that nobody has parsed
        assert outcomes == [Delivered()] * _CALL
        calls += 1
    took = time.perf_counter() - begin
    await sink.close()
    return calls * _CALL / took


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--folder", type=Path, help="where to write; a temporary folder by default")
    given = parser.parse_args()
    rates: dict[str, list[float]] = {name: [] for name in _RUNS}
    for _ in range(given.rounds):
        for name, table in _RUNS.items():
            with tempfile.TemporaryDirectory(dir=given.folder) as folder:
                settings = FileSettings.model_validate({"path": Path(folder) / "events.jsonl", **table})
                rates[name].append(anyio.run(partial(written, settings, given.seconds)))
    report("calls of 100 events", {name: {"events/s": spread(found)} for name, found in rates.items()}, given)


if __name__ == "__main__":
    main()
