"""One dispatcher and Segment: events/s from a SQLite outbox to a double of Segment's API, on loopback.

``nox -s bench -- segment [--count 50000] [--rounds 3] [--json FILE]``

Each round fills an outbox with sign-ins, sessions, sign-outs, verified addresses and sign-ups, one of each in turn, and
delivers it in a process of its own; the double, in another, reads and checks every message. ``events/s`` is between the first
batch and the one with which nine in ten events are there. ``mapping`` is the sink's own part alone: from an event's stored
bytes to its messages.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from _figures import Figures, options, report, spreads
from delivery import HERE, run, sqlite

from doubles.segment import WRITE_KEY
from supertokens_events.event import Context, Event, new_event_id
from supertokens_events.outbox import Entry, NewDelivery, open_outbox
from supertokens_events.sink import Delivery
from supertokens_events.testing import sample_event
from supertokens_events_segment.messages import Mapper
from supertokens_events_segment.settings import SegmentSettings

TYPES = ("user.signed_in", "session.created", "session.revoked", "email.verified", "user.created")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0"
CONTEXT = Context(ip="203.0.113.7", user_agent=BROWSER, method="POST", path="/auth/signin", request_id="5f0c1b7e")


def samples() -> list[Event]:
    return [sample_event(event_type, context=CONTEXT) for event_type in TYPES]


@contextmanager
def double() -> Iterator[str]:
    with subprocess.Popen([sys.executable, "-m", "doubles.segment"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def fill(url: str, count: int) -> None:
    outbox, of_each = open_outbox(url, folder=HERE), samples()
    for begin in range(0, count, 500):
        numbers = range(begin, min(begin + 500, count))
        events = [of_each[number % len(of_each)].model_copy(update={"id": new_event_id()}) for number in numbers]
        outbox.append([Entry(one, one.to_bytes(), [NewDelivery("crm")]) for one in events])
    outbox.close()


def rate(url: str, count: int) -> float:
    """Events/s, once every message is known to have been good."""
    with urllib.request.urlopen(url.replace("/v1/batch", "/report")) as answer:  # noqa: S310 - our own double
        said = json.load(answer)
    per_event = expected() / len(TYPES)
    moments = [(moment, messages / per_event) for moment, messages in said["came"]]
    assert not said["dropped"], said["dropped"]
    assert round(sum(events for _, events in moments)) == count, f"{sum(events for _, events in moments)} of {count}"
    came, begin = 0.0, moments[0][0]
    for moment, events in sorted(moments):
        came += events
        if came >= 0.9 * count:
            return came / (moment - begin)
    raise AssertionError("unreachable: nine in ten are fewer than all")


def expected() -> int:
    """Messages of one event of each type."""
    return sum(len(mapped(mapper(), delivery(event))) for event in samples())


def mapper() -> Mapper:
    return Mapper(SegmentSettings(write_key=WRITE_KEY))


def delivery(event: Event) -> Delivery:
    return Delivery("crm", event.id, event.type, 1, event.tenant_id, event.user_id, event.to_bytes())


def mapped(by: Mapper, one: Delivery) -> list[bytes]:
    messages = by.messages(one)
    assert isinstance(messages, list)
    return messages


def delivering(count: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder, double() as url:
        fill(sqlite(folder), count)
        said = run(sys.executable, HERE / "_dispatch.py", sqlite(folder), url, "--segment")
        return {"events/s": rate(url, count), "CPU s per 10,000": said["cpu"] * 10_000 / count, "MiB": said["rss"]}


def mapping(count: int) -> Figures:
    by, deliveries = mapper(), [delivery(event) for event in samples()]
    begin = time.perf_counter()
    for number in range(count):
        mapped(by, deliveries[number % len(deliveries)])
    return {"events/s": count / (time.perf_counter() - begin)}


ARMS = {"delivering": delivering, "mapping": mapping}


def main() -> None:
    parser = options(__doc__, rounds=3)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS)
    given = parser.parse_args()
    rounds: list[dict[str, Figures]] = []
    for number in range(given.rounds):
        rounds.append({arm: ARMS[arm](given.count) for arm in given.arms})
        print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
    table = {arm: spreads([one[arm] for one in rounds]) for arm in given.arms}
    report(f"{given.count:,} events, load {os.getloadavg()[0]:.1f}", table, given)


if __name__ == "__main__":
    main()
