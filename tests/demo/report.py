"""How the story is told: plain text, at most 88 columns wide, with a little colour where there is a terminal."""

from __future__ import annotations

import shutil
import textwrap
import time
from collections.abc import Iterable, Sequence
from itertools import chain

from rich.console import Console
from rich.text import Text

from demo.arrivals import Arrival, Trail
from demo.browser import Answer
from demo.places import SINKS
from supertokens_events.outbox import Breaker

__all__ = ["Report"]

WIDTH = 88
INDENT = " " * 3
LABEL = 10
"""Columns for who it was: browser, event, receiver."""

COLUMN = 14
"""Columns for a sink in the table."""

FOUND = {"oncall": "message", "analytics": "batch", "audit": "line"}
"""What a place has of an event."""

LEASE = 30
"""Seconds: what is due later than that is being tried, and that is when its lease ends."""

GOOD, WAITS, BAD = ("✓", "green"), ("…", "yellow"), ("✗", "bold red")

Part = str | tuple[str, str]
"""Text, or text and its style."""


class Report:
    """Prints. It knows how things look, and not what comes next."""

    def __init__(self) -> None:
        self._width = min(WIDTH, shutil.get_terminal_size((WIDTH, 24)).columns)
        self._console = Console(highlight=False, emoji=False, markup=False, soft_wrap=True)
        self._steps = 0

    # Text ----------------------------------------------------------------------------------------------------------

    def heading(self, title: str) -> None:
        """A new part."""
        self._gap()
        self._line((title, "bold"), indent="")

    def step(self, title: str) -> None:
        """The next step of the story."""
        self._steps += 1
        self.heading(f"{self._steps}. {title}")

    def say(self, paragraph: str) -> None:
        """What there is to know."""
        self._gap()
        for line in textwrap.wrap(paragraph, self._width - len(INDENT), break_on_hyphens=False):
            self._line(line)

    def code(self, text: str) -> None:
        """Verbatim: no line is broken, so that it can be copied."""
        self._gap()
        for line in text.splitlines():
            self._line((line, "cyan"), indent=INDENT + "  " if line else "")

    def facts(self, rows: Sequence[tuple[str, str]]) -> None:
        """Names, and what they stand for."""
        self._gap()
        for name, fact in rows:
            self._hanging(f"{INDENT}{name:<{LABEL}}", fact)

    def ideas(self, ideas: Iterable[tuple[str, Sequence[str]]]) -> None:
        """What one may want, and the commands for it."""
        for wish, commands in ideas:
            self.say(wish)
            for command in commands:
                self._line((command, "cyan"), indent=INDENT + "  ")
        self._gap()

    # What happened -------------------------------------------------------------------------------------------------

    def did(self, who: str, what: str) -> None:
        """Somebody did something."""
        self._gap()
        self._line(f"{who:<{LABEL}}", (what, "bold"))

    def request(self, answer: Answer) -> None:
        """The browser asked, and was answered."""
        self.did("browser", str(answer))

    def trail(self, trail: Trail) -> None:
        """One event, and where it is now: at each sink that asked for it."""
        self._event(trail)
        for sink, arrival in trail.at.items():
            self._place(sink, *stands(arrival))

    def late_arrival(self, trail: Trail, soon: float | None) -> None:
        """One that had to wait, and how many seconds after the receiver's return it arrived there, if it did."""
        mark, text = stands(trail.at["crm"])
        self._event(trail)
        self._place("crm", mark, text if soon is None else f"{text}, {soon:.1f} s after its return")

    def _event(self, trail: Trail) -> None:
        self._line(f"{'event':<{LABEL}}", (f"{trail.event.type:<30}", "bold"), (trail.event.id, "dim"))

    def no_event(self, why: str) -> None:
        """The browser did something, and no event came of it."""
        self._hanging(f"{INDENT}{'no event':<{LABEL}}", why)

    def waiting(self, trails: Sequence[Trail]) -> None:
        """What lies in the outbox for the receiver, and why."""
        self._gap()
        self._line((f"{'event':<26}{'attempts':<10}why it waits", "dim"))
        for trail in trails:
            hook = trail.at["crm"]
            why = hook.reason or (hook.breaker.reason if hook.breaker else "not tried yet")
            self._hanging(f"{INDENT}{trail.event.type:<26}{hook.attempts:<10}", why)

    def away(self, breaker: Breaker) -> None:
        """How the webhook's breaker stands."""
        failing = f"failing for {time.time() - breaker.failing_since:.1f} s, next probe {_in(breaker.probe_at)}"
        self._gap()
        self._hanging(f"{INDENT}{name_of('crm'):<14}", f"{breaker.reason}\n{failing}", WAITS)

    def table(self, trails: Sequence[Trail]) -> None:
        """Every event, and where it came to."""
        self._gap()
        self._line((f"{'event':<30}" + "".join(f"{sink:<{COLUMN}}" for sink in SINKS).rstrip(), "dim"))
        for trail in trails:
            cells = (in_short(trail.at.get(sink)) for sink in SINKS)
            padded = ((mark, f" {text}".ljust(COLUMN - 1)) for mark, text in cells)
            self._line((f"{trail.event.type:<30}", "bold"), *chain.from_iterable(padded))

    def problems(self, sentences: Sequence[str]) -> None:
        """What is missing."""
        self._gap()
        for sentence in sentences:
            self._hanging(INDENT, sentence, BAD)

    # Lines ---------------------------------------------------------------------------------------------------------

    def _gap(self) -> None:
        self._console.print()

    def _line(self, *parts: Part, indent: str = INDENT) -> None:
        line = Text.assemble(indent, *parts)
        line.rstrip()
        self._console.print(line)

    def _place(self, sink: str, mark: Part, text: str) -> None:
        self._hanging(f"{INDENT}{'':<{LABEL}}{name_of(sink):<19}", text, mark)

    def _hanging(self, prefix: str, text: str, mark: Part | None = None) -> None:
        """``text`` beside ``prefix`` and its mark, and below itself where one line is not enough."""
        beside = len(prefix) + (2 if mark else 0)
        width = max(self._width - beside, 24)
        wrapped = [textwrap.wrap(line, width, break_on_hyphens=False) for line in text.splitlines()]
        first, *more = chain.from_iterable(wrapped)
        self._line(prefix, *([mark, " "] if mark else []), first, indent="")
        for line in more:
            self._line(line, indent=" " * beside)


def name_of(sink: str) -> str:
    """Its type and its name."""
    return f"{SINKS[sink]} {sink}"


def stands(arrival: Arrival) -> tuple[Part, str]:
    """How one event stands at one sink."""
    if arrival.waits:
        return WAITS, "\n".join([*(arrival.why or ["not tried yet"]), *_next(arrival)])
    if not arrival.found:
        return BAD, arrival.reason or "not there"
    if arrival.sink == "crm":
        return GOOD, f"signature verified, attempt {arrival.attempts}"
    return GOOD, f"{FOUND[arrival.sink]} {', '.join(map(str, arrival.found))}"


def in_short(arrival: Arrival | None) -> tuple[Part, str]:
    """The same in a column of the table."""
    if arrival is None:
        return ("·", "dim"), ""
    if arrival.waits:
        return WAITS, "waits"
    if not arrival.found:
        return BAD, str(arrival.delivery.state) if arrival.delivery else "not sent"
    if arrival.sink == "crm":
        return GOOD, f"attempt {arrival.attempts}"
    return stands(arrival)


def _next(arrival: Arrival) -> Iterable[str]:
    if arrival.breaker:
        yield f"next probe {_in(arrival.breaker.probe_at)}"
    elif arrival.delivery and not arrival.disabled:
        yield f"next attempt {_in(arrival.delivery.due_at)}"


def _in(moment: float) -> str:
    wait = moment - time.time()
    return f"in {wait:.1f} s" if 0.05 <= wait < LEASE else "now"
