"""What events add to a sign-in: the same sign-ins at the same moments, with and without, side by side.

``nox -s bench -- sign_in`` or, with ``tests`` on ``PYTHONPATH``, ``python core/benchmarks/sign_in.py [--json FILE]``.

The core (the tests' double), the receiver of webhooks, and one app for each arm are processes of their own; this one is
the browsers. Sign-ins go through the whole of the app: HTTP, FastAPI, the SDK's middleware, its API, the core, the outbox
on disk. They begin when a schedule says so, whether or not earlier ones are answered, so a queue is not hidden. The arms
take turns, in the opposite order every other round, since a shared machine drifts more than events add.

Every process asks the core through one shared client, in every arm: see ``_sign_in_app.SharedClient``.
"""
# ruff: noqa: INP001, T201 - a script that prints its results

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import aiohttp

HERE = Path(__file__).parent
PEOPLE = 50
QUEUES = 100.0  # milliseconds for half of all sign-ins; one alone takes about ten
PASSWORD = "right-Pa55word"  # noqa: S105 - of nobody
WITHOUT = "off"
ARMS: dict[str, dict[str, Any]] = {
    WITHOUT: {},
    "stored": {"durability": "normal", "run": "off"},
    "stored, full": {"durability": "full", "run": "off"},
    "delivered": {"durability": "normal", "run": "thread"},
}
"""``off`` has no events. The others store two a sign-in; the last one's own thread also sends them as webhooks."""

CORE = """
import sys
from core_double import CoreDouble
with CoreDouble() as core:
    print(core.url, flush=True)
    sys.stdin.read()
"""
RECEIVER = """
import sys
from apps.receiver import receiver
with receiver() as place:
    print(place.url, flush=True)
    sys.stdin.read()
"""


@dataclass
class Round:
    """One arm's turn. Latencies are in milliseconds: from the moment a sign-in was due, and from when it was sent."""

    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    added: list[float] = field(default_factory=list)
    cpu: float = 0.0
    late: int = 0


@dataclass
class Arm:
    name: str
    process: subprocess.Popen[str]
    url: str
    rounds: list[Round] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        """What happened in its process since the last time."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(line_of(self.process))
        return told


# Processes


@contextmanager
def python(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """This Python with these arguments. It ends when its stdin does."""
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603 - ours
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        process.wait(30)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    if not line:
        raise SystemExit(f"{process.args} ended")
    return line


def configuration(folder: Path, receiver: str, arm: Mapping[str, str]) -> str:
    webhook = {"type": "webhook", "url": receiver, "secret": "whsec_" + "c2VjcmV0" * 4, "events": ["*"]}
    return json.dumps(
        {
            "outbox": {"url": f"sqlite:///{folder / 'events.db'}", "durability": arm["durability"]},
            "dispatcher": {"run": arm["run"]},
            "sinks": {"crm": {**webhook, "allow_http": True, "allow_networks": ["127.0.0.0/8"]}},
        }
    )


def start(stack: ExitStack, names: Sequence[str], folder: Path) -> list[Arm]:
    """The core, the receiver, and an app for each arm."""
    core = line_of(stack.enter_context(python("-c", CORE)))
    receiver = line_of(stack.enter_context(python("-c", RECEIVER)))
    arms = []
    for number, name in enumerate(names):
        own = folder / str(number)
        own.mkdir()
        told = [configuration(own, receiver, ARMS[name])] if ARMS[name] else []
        app = stack.enter_context(python(str(HERE / "_sign_in_app.py"), core, *told))
        arms.append(Arm(name, app, line_of(app)))
    return arms


# Sign-ins


def form(number: int) -> dict[str, Any]:
    email = f"user{number % PEOPLE}@example.com"
    return {"formFields": [{"id": "email", "value": email}, {"id": "password", "value": PASSWORD}]}


async def post(browsers: aiohttp.ClientSession, url: str, number: int) -> None:
    async with browsers.post(url, json=form(number), headers={"st-auth-mode": "header"}) as answer:
        said = await answer.json()
    if said["status"] != "OK":
        raise SystemExit(f"{url} answered {said['status']}")


def schedule(rate: float, seconds: float, *, arrivals: str, seed: int) -> list[float]:
    """Seconds from the start of a turn at which a sign-in is due: evenly, or as independent people come."""
    if arrivals == "even":
        return [number / rate for number in range(int(rate * seconds))]
    people = random.Random(seed)  # noqa: S311 - the same in every arm
    moments = [0.0]
    while moments[-1] < seconds:
        moments.append(moments[-1] + people.expovariate(rate))
    return moments[:-1]


async def take_turn(arm: Arm, browsers: aiohttp.ClientSession, moments: Sequence[float]) -> Round:
    turn = Round()
    clock = asyncio.get_running_loop().time
    began = clock() + 0.05

    async def sign_in(number: int, due: float) -> None:
        await asyncio.sleep(due - clock())
        sent = clock()
        await post(browsers, f"{arm.url}/auth/signin", number)
        turn.due.append(1_000 * (clock() - due))
        turn.sent.append(1_000 * (clock() - sent))

    arm.told()
    await asyncio.gather(*(sign_in(number, began + moment) for number, moment in enumerate(moments)))
    told = arm.told()
    check(arm, told, len(moments))
    turn.cpu = 1_000 * told["cpu"] / len(moments)
    turn.added = [1_000 * seconds for seconds in told["added"]]
    turn.late = told["late"]
    return turn


def check(arm: Arm, told: Mapping[str, Any], sign_ins: int) -> None:
    """An arm that does not do its work must not look fast."""
    expected = 0 if arm.name == WITHOUT else 2 * sign_ins
    if told["stored"] + told["late"] < expected:
        raise SystemExit(f"{arm.name}: {told['stored']} events are stored, expected {expected}")


async def measure(arms: Sequence[Arm], options: argparse.Namespace) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as browsers:
        for number in range(PEOPLE):
            await post(browsers, f"{arms[0].url}/auth/signup", number)
        warm_up = schedule(options.rate, options.warm_up, arrivals="even", seed=0)
        for arm in arms:
            await take_turn(arm, browsers, warm_up)
        for number in range(options.rounds):
            moments = schedule(options.rate, options.seconds, arrivals=options.arrivals, seed=number)
            for arm in arms if number % 2 == 0 else reversed(arms):
                arm.rounds.append(await take_turn(arm, browsers, moments))


# Results


def quantile(values: Sequence[float], q: float) -> float:
    """Of at least one value; the nearest one."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def pooled(arm: Arm, what: str) -> list[float]:
    return [value for turn in arm.rounds for value in getattr(turn, what)]


def figures(arm: Arm, what: str) -> dict[str, Any]:
    """Quantiles of all rounds together, and how each round's own spread."""
    return {
        f"p{round(100 * q)}": {
            "pooled": quantile(pooled(arm, what), q),
            **spread([quantile(getattr(turn, what), q) for turn in arm.rounds]),
        }
        for q in (0.5, 0.9, 0.99)
    }


def difference(arm: Arm, without: Arm, what: str) -> dict[str, Any]:
    """Of pooled quantiles, and of each round's with the same round's of the other arm."""
    both = list(zip(arm.rounds, without.rounds, strict=True))
    return {
        f"p{round(100 * q)}": {
            "pooled": quantile(pooled(arm, what), q) - quantile(pooled(without, what), q),
            **spread([quantile(getattr(a, what), q) - quantile(getattr(b, what), q) for a, b in both]),
        }
        for q in (0.5, 0.9, 0.99)
    }


def result_of(arm: Arm, without: Arm) -> dict[str, Any]:
    result: dict[str, Any] = {
        "from due": figures(arm, "due"),
        "from sent": figures(arm, "sent"),
        "cpu": spread([turn.cpu for turn in arm.rounds]),
    }
    if arm is without:
        return result
    cpu = [turn.cpu - other.cpu for turn, other in zip(arm.rounds, without.rounds, strict=True)]
    return {
        **result,
        "added, from due": difference(arm, without, "due"),
        "added, from sent": difference(arm, without, "sent"),
        "added, inside": figures(arm, "added"),
        "added cpu": spread(cpu),
        "late": sum(turn.late for turn in arm.rounds),
    }


def show(title: str, results: Mapping[str, Mapping[str, Any]], what: str, quantiles: Sequence[str]) -> None:
    print(f"\n{title}")
    for name, result in results.items():
        if what in result:
            found = result[what]
            cells = [cell(q, found[q]) for q in quantiles] if quantiles else [cell("", found)]
            print(f"  {name:<13}" + "".join(f"{text:<36}" for text in cells).rstrip())


def cell(q: str, found: Mapping[str, float]) -> str:
    pooled_value = f"{found['pooled']:6.2f}" if "pooled" in found else ""
    return f"{q:>4} {pooled_value}  {found['median']:.2f} ({found['min']:.2f} … {found['max']:.2f})"


def report(results: Mapping[str, Mapping[str, Any]], options: argparse.Namespace) -> None:
    print(
        f"{options.rate:g} sign-ins a second, {options.arrivals} arrivals, {options.rounds} rounds of {options.seconds:g} s. "
        "All in ms: all rounds together, then the median of the rounds (least … most)."
    )
    if results[WITHOUT]["from due"]["p50"]["pooled"] > QUEUES:
        print("This machine has no time for so many: even without events they queue, and what follows says how long.")
    every, ends = ("p50", "p90", "p99"), ("p50", "p99")
    show("from the moment a sign-in was due to its answer", results, "from due", every)
    show("from the moment it was sent", results, "from sent", every)
    show("added, from due: less the arm without events", results, "added, from due", ends)
    show("added, from sent: less the arm without events", results, "added, from sent", ends)
    show(
        "added, measured inside the process: what the wrappers take, the commit included",
        results,
        "added, inside",
        every,
    )
    show("CPU of the app's process, a sign-in", results, "cpu", ())
    show("CPU added, a sign-in", results, "added cpu", ())
    print(f"\nevents not stored in time: {sum(result.get('late', 0) for result in results.values())}")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What events add to a sign-in.")
    parser.add_argument("--rate", type=float, default=100.0, help="sign-ins a second")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each arm's turn in a round")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds before the first round, for each arm")
    parser.add_argument("--arrivals", choices=["even", "random"], default="even")
    parser.add_argument("--arms", nargs="*", choices=[name for name in ARMS if name != WITHOUT], default=None)
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    names = [WITHOUT, *(options.arms or [name for name in ARMS if name != WITHOUT])]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sign-in-")))
        arms = start(stack, names, folder)
        asyncio.run(measure(arms, options))
    results = {arm.name: result_of(arm, arms[0]) for arm in arms}
    report(results, options)
    if options.json:
        options.json.write_text(json.dumps(document(results, arms, options), indent=1) + "\n")


def document(results: Mapping[str, Any], arms: Sequence[Arm], options: argparse.Namespace) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "options": {name: value for name, value in vars(options).items() if name != "json"},
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg(),
        "versions": {name: version(name) for name in ("supertokens-python", "supertokens-events", "uvicorn", "httpx")},
        "results": results,
        "rounds": {arm.name: [asdict(turn) for turn in arm.rounds] for arm in arms},
    }


if __name__ == "__main__":
    main()
