"""Apps that store, dispatchers that deliver, and somebody who kills them."""

import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import anyio

from chaos.receiver import receiver
from supertokens_events import Events
from supertokens_events.outbox import DeliveryState

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ID_LENGTH = len("evt_01M84S3TJ78XP01GHZNAANEVR2")


@dataclass
class Result:
    """What came of it. ``unexplained``: events received twice though nobody who had them was killed."""

    acknowledged: int
    stored: int
    lost: int
    undelivered: int
    duplicates: int
    unexplained: int
    kills: int
    seconds: float


def configured(url, outbox, run, deadline=2.0):
    return Events.from_dict(
        {
            "outbox": {"url": outbox, "append_timeout": deadline},
            "dispatcher": {"run": run, "poll_interval": 0.2},
            "sinks": {
                "crm": {
                    "type": "webhook",
                    "events": ["*"],
                    "url": url,
                    "secret": SECRET,
                    "headers": {"x-process": str(os.getpid())},
                    "allow_http": True,
                    "allow_networks": ["127.0.0.0/8"],
                    "timeout": 3,
                }
            },
        }
    )


def app(make, file, count, run):
    """Store events until ``count`` are acknowledged, in all the lives of this app; each is noted once it is stored."""
    acknowledged = os.open(file, os.O_CREAT | os.O_APPEND | os.O_RDWR)
    done = os.fstat(acknowledged).st_size // (ID_LENGTH + 1)
    events = make(run)
    for _ in range(done, count):
        event = events.emit_sync("app.counted", data={"filling": "x" * 200})
        if event.sequence is not None:
            os.write(acknowledged, f"{event.id}\n".encode())
    while run == "thread":  # it may be the one that leads
        time.sleep(0.5)
    events.stop()


def dispatcher(make):
    anyio.run(make("off").dispatcher().run)


class Troupe:
    """Processes by role. Whoever dies before the end is played by another."""

    def __init__(self, roles):
        self._roles = roles
        self._pids = {}
        self.killed = set()
        for role in roles:
            self._fork(role)

    def _fork(self, role):
        pid = os.fork()
        if pid:
            self._pids[pid] = role
            return
        try:
            self._roles[role]()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)

    def kill_one(self, rng):
        pid = rng.choice(sorted(self._pids))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        self.killed.add(pid)
        self._fork(self._pids.pop(pid))

    def reap(self):
        """Forget those whose work is done."""
        for pid in list(self._pids):
            if os.waitpid(pid, os.WNOHANG)[0]:
                del self._pids[pid]

    def end(self):
        for pid in self._pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            self.killed.add(pid)


def play(folder, outbox, *, apps, dispatchers, count, seconds, every=0.2, seed=0):
    """``apps`` processes store ``count`` events each while one process is killed ``every`` so many seconds, for
    ``seconds``; then everything that is due is delivered. Without ``dispatchers`` the apps' own threads deliver.
    """
    folder, rng, begun = Path(folder), random.Random(seed), time.monotonic()
    run = "off" if dispatchers else "thread"
    with receiver(folder) as (url, received):
        make = partial(configured, url, outbox)
        files = [folder / f"acknowledged-{number}" for number in range(apps)]
        roles = {f"app {n}": partial(app, make, file, count, run) for n, file in enumerate(files)}
        roles |= {f"dispatcher {n}": partial(dispatcher, make) for n in range(dispatchers)}
        troupe, kills = Troupe(roles), 0
        while time.monotonic() < begun + seconds:
            time.sleep(every)
            troupe.reap()
            troupe.kill_one(rng)
            kills += 1
        while sum(acknowledged(file) for file in files) < apps * count:
            time.sleep(0.2)
        troupe.end()
        stored, undelivered = drain(make)
        return reckon(files, stored, undelivered, received(), troupe.killed, kills, time.monotonic() - begun)


def acknowledged(file):
    return file.stat().st_size // (ID_LENGTH + 1) if file.exists() else 0


def drain(make):
    """Deliver what is left, what the dead held included: their leases are given back, as if the time had passed."""
    events = make("off", deadline=30.0)
    outbox = events.outbox
    while any(status.pending for status in outbox.status()):
        if not anyio.run(make("off").dispatcher().run_until_empty):
            time.sleep(0.5)
    stored = {event.id for event in every_event(outbox)}
    undelivered = sum(status.pending + status.dead for status in outbox.status())
    assert not outbox.deliveries(state=DeliveryState.DEAD, limit=1)
    events.stop()
    return stored, undelivered


def every_event(outbox):
    after = 0
    while page := outbox.events(after=after, limit=5000):
        yield from page
        after = page[-1].sequence


def reckon(files, stored, undelivered, received, killed, kills, seconds):
    promised = {line for file in files for line in file.read_text().split()}
    times = Counter(event_id for event_id, _ in received)
    senders = {}
    unexplained = 0
    for event_id, pid in received:
        if event_id in senders and senders[event_id] not in killed:
            unexplained += 1
        senders[event_id] = pid
    return Result(
        acknowledged=len(promised),
        stored=len(stored),
        lost=len(promised - stored) + len(stored - times.keys()),
        undelivered=undelivered,
        duplicates=sum(n - 1 for n in times.values()),
        unexplained=unexplained,
        kills=kills,
        seconds=seconds,
    )
