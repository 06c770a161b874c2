"""One turn of one arm of ``sign_in.py``: sign-ins that begin when a schedule says so, whether or not earlier ones are
answered, so a queue is not hidden. Played by the app's own process, or by browsers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from itertools import accumulate, takewhile

PEOPLE = 50
PASSWORD = "right-Pa55word"  # noqa: S105 - of nobody


def email(number: int) -> str:
    """Of who signs in at the schedule's moment ``number``."""
    return f"user{number % PEOPLE}@example.com"


def schedule(rate: float, seconds: float, seed: int | None) -> list[float]:
    """Seconds from the start at which a sign-in is due: evenly, or with ``seed`` as independent people come."""
    if seed is None:
        return [number / rate for number in range(int(rate * seconds))]
    people = random.Random(seed)  # noqa: S311 - the same in every arm
    waits = iter(lambda: people.expovariate(rate), None)
    return list(takewhile(lambda moment: moment < seconds, accumulate(waits, initial=0.0)))


async def play(
    sign_in: Callable[[int], Awaitable[None]], *, rate: float, seconds: float, seed: int | None
) -> dict[str, list[float]]:
    """Milliseconds to the end of each sign-in: from when it was ``due``, and from its ``start``."""
    clock = asyncio.get_running_loop().time
    began = clock() + 0.05
    latencies: dict[str, list[float]] = {"due": [], "start": []}

    async def one(number: int, due: float) -> None:
        await asyncio.sleep(due - clock())
        start = clock()
        await sign_in(number)
        latencies["due"].append(1_000 * (clock() - due))
        latencies["start"].append(1_000 * (clock() - start))

    moments = schedule(rate, seconds, seed)
    await asyncio.gather(*(one(number, began + moment) for number, moment in enumerate(moments)))
    return latencies
