"""What events add to a sign-in: the same sign-ins at the same moments, with and without, side by side.

``nox -s bench -- sign_in`` or, with ``tests`` on ``PYTHONPATH``, ``python core/benchmarks/sign_in.py [--json FILE]``.

The core (the tests' double), the receiver of webhooks, and one app for each arm are processes of their own. An app signs
people in itself, through the two functions of the SDK that do it: HTTP and FastAPI would take most of a small machine's
time, and hide what events add in a queue. ``--through api`` has them all the same; this process is then the browsers.
The arms take turns, in the opposite order every other round, since a shared machine drifts more than events add.

Every process asks the core through one shared client, in every arm: see ``_sign_in_app.SharedClient``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
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
from _sign_in_results import Results, Turn, compared, print_table, quantile
from _sign_in_turn import PASSWORD, email, play

HERE = Path(__file__).parent
QUEUES = 2.0  # times what a sign-in takes that has the machine for itself: then a tenth of them wait for others
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
class Arm:
    name: str
    process: subprocess.Popen[str]
    url: str
    rounds: list[Turn] = field(default_factory=list)

    def told(self, turn: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What happened in its process since the last time, ``turn`` played."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(turn) + "\n")
        self.process.stdin.flush()
        told: dict[str, Any] = json.loads(line_of(self.process))
        return told


# Processes


@contextmanager
def python(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """This Python with these arguments. It ends when its stdin does."""
    command = [sys.executable, *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
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


def start(stack: ExitStack, names: Sequence[str], folder: Path, through: str) -> list[Arm]:
    """The core, the receiver, and an app for each arm."""
    core = line_of(stack.enter_context(python("-c", CORE)))
    receiver = line_of(stack.enter_context(python("-c", RECEIVER)))
    arms = []
    for number, name in enumerate(names):
        own = folder / str(number)
        own.mkdir()
        told = [configuration(own, receiver, ARMS[name])] if ARMS[name] else []
        app = stack.enter_context(python(str(HERE / "_sign_in_app.py"), through, core, *told))
        arms.append(Arm(name, app, line_of(app)))
    return arms


# Turns


async def from_browsers(url: str, turn: Mapping[str, Any]) -> dict[str, list[float]]:
    """Sign-ins through the whole of the app: HTTP, FastAPI, the SDK's middleware, its API."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"st-auth-mode": "header"}) as browsers:

        async def sign_in(number: int) -> None:
            fields = {"email": email(number), "password": PASSWORD}
            form = {"formFields": [{"id": id_, "value": value} for id_, value in fields.items()]}
            async with browsers.post(f"{url}/auth/signin", json=form) as answer:
                said = await answer.json()
            if said["status"] != "OK":
                raise SystemExit(f"{url} answered {said['status']}")

        return await play(sign_in, **turn)


def take_turn(arm: Arm, through: str, **turn: Any) -> Turn:
    arm.told()
    if through == "api":
        latencies = asyncio.run(from_browsers(arm.url, turn))
        told = {**arm.told(), **latencies}
    else:
        told = arm.told(turn)
    taken = Turn(**told)
    expected = 0 if arm.name == WITHOUT else 2 * len(taken.due)
    if taken.stored + taken.late < expected:  # an arm that does not do its work must not look fast
        raise SystemExit(f"{arm.name}: {taken.stored} events are stored, expected {expected}")
    return taken


def measure(arms: Sequence[Arm], options: argparse.Namespace) -> float:
    """Every arm's rounds. Returns the milliseconds that a sign-in takes that has the machine for itself."""
    for arm in arms:
        take_turn(arm, options.through, rate=options.rate, seconds=options.warm_up, seed=None)
    alone = take_turn(arms[0], options.through, rate=min(10.0, options.rate), seconds=2.0, seed=None)
    for number in range(options.rounds):
        seed = number if options.arrivals == "random" else None
        for arm in arms if number % 2 == 0 else reversed(arms):
            turn = take_turn(arm, options.through, rate=options.rate, seconds=options.seconds, seed=seed)
            arm.rounds.append(turn)
    return quantile("due", 0.5)([alone])


# What is said of them


def report(results: Results, arms: Sequence[Arm], options: argparse.Namespace, around: Mapping[str, Any]) -> None:
    alone = around["alone"]
    print(
        f"Through the {options.through}: {options.rate:g} sign-ins a second, {options.arrivals} arrivals, "
        f"{options.rounds} rounds of {options.seconds:g} s; one alone takes {alone:.1f} ms; "
        f"load {around['load before'][0]:.1f} before and {around['load after'][0]:.1f} after.\n"
        "All in ms: of all rounds together, for what is added also the median of the rounds [least … most of a round]."
    )
    queue = [name for name, found in results["from due"].items() if found["p90"].pooled > QUEUES * alone]
    if WITHOUT in queue:
        print("This machine has no time for so many: even without events they queue. Latencies say how long.")
    elif queue:
        print(f"Sign-ins queue, and latencies say how long: {', '.join(queue)}.")
    print_table(results)
    print("\nstored late, and ms until the last event of a turn was delivered")
    for arm in arms[1:]:
        late, behind = sum(turn.late for turn in arm.rounds), max(turn.behind for turn in arm.rounds)
        print(f"  {arm.name:<24}{late}, {behind:.0f}")


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What events add to a sign-in.")
    parser.add_argument("--through", choices=["function", "api"], default="function")
    parser.add_argument("--rate", type=float, default=100.0, help="sign-ins a second")
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each arm's turn in a round")
    parser.add_argument("--warm-up", type=float, default=3.0, help="seconds before the first round, for each arm")
    parser.add_argument("--arrivals", choices=["even", "random"], default="even")
    parser.add_argument(
        "--arms", nargs="*", choices=[name for name in ARMS if name != WITHOUT], default=["stored", "delivered"]
    )
    parser.add_argument("--json", type=Path, help="write every figure to this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> None:
    options = parsed(arguments)
    names = [WITHOUT, *options.arms]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sign-in-")))
        arms = start(stack, names, folder, options.through)
        load_before = os.getloadavg()
        alone = measure(arms, options)
        around = {"alone": alone, "load before": load_before, "load after": os.getloadavg()}
    results = compared({arm.name: arm.rounds for arm in arms}, WITHOUT)
    report(results, arms, options, around)
    if options.json:
        options.json.write_text(json.dumps(document(results, arms, options, around), indent=1, default=asdict) + "\n")


def document(
    results: Results, arms: Sequence[Arm], options: argparse.Namespace, around: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "options": {name: value for name, value in vars(options).items() if name != "json"},
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "versions": {name: version(name) for name in ("supertokens-python", "supertokens-events", "uvicorn", "httpx")},
        **around,
        "results": results,
        "rounds": {arm.name: arm.rounds for arm in arms},
    }


if __name__ == "__main__":
    main()
