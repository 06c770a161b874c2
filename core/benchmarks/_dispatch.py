"""One dispatcher in a process of its own, as ``supertokens-events dispatch --until-empty`` runs it.

``python _dispatch.py OUTBOX URL [--asymmetric | --segment] [--seconds N | --latency N [--every SECONDS]]`` prints, as JSON:
seconds of CPU, MiB of memory at most. It delivers until nothing is due, or for ``--seconds``; with ``--asymmetric`` signed in
``v1a`` too, with ``--segment`` as messages of Segment's API, to the double of it. With ``--latency`` it is an app that stores N
events, one after the other, and whose own thread delivers them; it prints when each was stored.
"""

import argparse
import json
import resource
import time

import anyio

from doubles.segment import WRITE_KEY
from supertokens_events import Events

_WARM_UP = 20  # events that find a process in which nothing was sent yet
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - of nobody
KEY = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg=="


def configured(outbox: str, url: str, run: str, *, asymmetric: bool = False, segment: bool = False) -> Events:
    webhook = {"type": "webhook", "url": url, "secret": [SECRET, KEY] if asymmetric else SECRET}
    own = {"type": "segment", "endpoint": url, "write_key": WRITE_KEY} if segment else webhook
    sink = {**own, "events": ["*"], "allow_http": True, "allow_networks": ["127.0.0.0/8"]}
    return Events.from_dict({"outbox": {"url": outbox}, "dispatcher": {"run": run}, "sinks": {"crm": sink}})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("outbox")
    parser.add_argument("url")
    parser.add_argument("--asymmetric", action="store_true")
    parser.add_argument("--segment", action="store_true")
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--latency", type=int, default=0)
    parser.add_argument("--every", type=float, default=0.02)
    given = parser.parse_args()
    stored = latency(given) if given.latency else deliver(given)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps({"cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss / 1024, "stored": stored}))


def deliver(given: argparse.Namespace) -> dict[str, float]:
    events = configured(given.outbox, given.url, "off", asymmetric=given.asymmetric, segment=given.segment)
    dispatcher = events.dispatcher()

    async def for_some_time() -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(dispatcher.run)
            await anyio.sleep(given.seconds)
            dispatcher.stop()

    anyio.run(for_some_time if given.seconds else dispatcher.run_until_empty)
    events.stop()
    return {}


def latency(given: argparse.Namespace) -> dict[str, float]:
    """When each event was committed. They come so far apart that each finds everything idle, but for the first ones."""
    events = configured(given.outbox, given.url, "thread")
    events.start()
    stored = {}
    for number in range(-_WARM_UP, given.latency):
        event = events.emit_sync("app.measured", data={"filling": "x" * 600})
        if number >= 0:
            stored[event.id] = time.monotonic()
        time.sleep(given.every)
    time.sleep(1)  # for the last one: to stop is not to deliver
    events.stop()
    return stored


if __name__ == "__main__":
    main()
