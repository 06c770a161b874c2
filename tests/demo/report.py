"""How the story is told: plain text, at most 88 columns wide, with a little colour where there is a terminal."""

from __future__ import annotations

import json
import shutil
import textwrap
import time
from collections.abc import Iterable, Sequence
from itertools import chain

from rich.console import Console
from rich.text import Text

from demo.browser import Answer
from demo.evidence import Arrival
from demo.receiver import Post
from supertokens_events.outbox import Breaker

__all__ = ["Report"]

WIDTH = 88
INDENT = " " * 3
LABEL = 10
"""Columns for who it was: browser, event, receiver."""

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

    def arrival(self, arrival: Arrival) -> None:
        """One event, and where it is now."""
        self._event(arrival)
        self._place("webhook crm", *webhook(arrival))
        self._place("file audit", *file(arrival))

    def late_arrival(self, arrival: Arrival, soon: float | None) -> None:
        """One that had to wait, and how many seconds after the receiver's return it arrived there, if it did."""
        mark, text = webhook(arrival)
        self._event(arrival)
        self._place("webhook crm", mark, text if soon is None else f"{text}, {soon:.1f} s after its return")

    def _event(self, arrival: Arrival) -> None:
        self._line(f"{'event':<{LABEL}}", (f"{arrival.event.type:<26}", "bold"), (arrival.event.id, "dim"))

    def no_event(self, why: str) -> None:
        """The browser did something, and no event came of it."""
        self._hanging(f"{INDENT}{'no event':<{LABEL}}", why)

    def waiting(self, arrivals: Sequence[Arrival]) -> None:
        """What lies in the outbox, and why."""
        self._gap()
        self._line((f"{'event':<26}{'attempts':<10}why it waits", "dim"))
        for arrival in arrivals:
            columns = f"{arrival.event.type:<26}{arrival.attempts:<10}"
            why = arrival.reason or (arrival.breaker.reason if arrival.breaker else "not tried yet")
            self._hanging(INDENT + columns, why)

    def away(self, breaker: Breaker) -> None:
        """How the webhook's breaker stands."""
        failing = f"failing for {time.time() - breaker.failing_since:.1f} s, next probe {_in(breaker.probe_at)}"
        self._gap()
        self._hanging(f"{INDENT}{'webhook crm':<14}", f"{breaker.reason}\n{failing}", WAITS)

    def post(self, post: Post) -> None:
        """A request as the receiver got it."""
        headers = [f"{name}: {post.headers[name]}" for name in ("webhook-id", "webhook-timestamp", "webhook-signature")]
        self.code("\n".join([f"POST {post.path}", *headers, "", _readable(post.body)]))

    def table(self, arrivals: Sequence[Arrival]) -> None:
        """Every event, and where it came to."""
        self._gap()
        self._line((f"{'event':<28}{'webhook crm':<28}file audit", "dim"))
        for arrival in arrivals:
            (sent_mark, sent), (line_mark, line) = webhook_in_short(arrival), file(arrival)
            self._line((f"{arrival.event.type:<28}", "bold"), sent_mark, f" {sent:<26}", line_mark, f" {line}")

    def problems(self, sentences: Sequence[str]) -> None:
        """What is missing."""
        self._gap()
        for sentence in sentences:
            self._hanging(INDENT, sentence, BAD)

    # Lines ---------------------------------------------------------------------------------------------------------

    def _gap(self) -> None:
        self._console.print()

    def _line(self, *parts: Part, indent: str = INDENT) -> None:
        self._console.print(Text.assemble(indent, *parts))

    def _place(self, name: str, mark: Part, text: str) -> None:
        self._hanging(f"{INDENT}{'':<{LABEL}}{name:<14}", text, mark)

    def _hanging(self, prefix: str, text: str, mark: Part | None = None) -> None:
        """``text`` beside ``prefix`` and its mark, and below itself where one line is not enough."""
        beside = len(prefix) + (2 if mark else 0)
        width = max(self._width - beside, 24)
        wrapped = [textwrap.wrap(line, width, break_on_hyphens=False) for line in text.splitlines()]
        first, *more = chain.from_iterable(wrapped)
        self._line(prefix, *([mark, " "] if mark else []), first, indent="")
        for line in more:
            self._line(line, indent=" " * beside)


def webhook(arrival: Arrival) -> tuple[Part, str]:
    """How the webhook stands."""
    if arrival.waits:
        return WAITS, "\n".join([*(arrival.why or ["not tried yet"]), _next(arrival)])
    if arrival.reason and not arrival.verified:
        return BAD, arrival.reason
    mark, text = webhook_in_short(arrival)
    return mark, text.replace("verified", "signature verified")


def webhook_in_short(arrival: Arrival) -> tuple[Part, str]:
    """The same in 26 columns."""
    if arrival.webhook is None:
        return BAD, "not sent"
    if arrival.verified and not arrival.waits:
        return GOOD, f"verified, attempt {arrival.attempts}"
    return (WAITS if arrival.waits else BAD), f"{arrival.webhook.state}, attempt {arrival.attempts}"


def file(arrival: Arrival) -> tuple[Part, str]:
    """Where it stands in the file."""
    return (GOOD, f"line {', '.join(map(str, arrival.lines))}") if arrival.lines else (BAD, "not there")


def _next(arrival: Arrival) -> str:
    if arrival.breaker:
        return f"next probe {_in(arrival.breaker.probe_at)}"
    return f"next attempt {_in(arrival.webhook.due_at if arrival.webhook else 0.0)}"


def _in(moment: float) -> str:
    wait = moment - time.time()
    return f"in {wait:.1f} s" if 0.05 <= wait < LEASE else "now"


def _readable(body: bytes) -> str:
    """The JSON with one line per field; what does not fit on one is indented."""
    fields = [_field(name, value) for name, value in json.loads(body).items()]
    return "{\n  " + ",\n  ".join(fields) + "\n}"


def _field(name: str, value: object) -> str:
    line = f'"{name}": {json.dumps(value, ensure_ascii=False)}'
    fits = len(line) + len(INDENT) + len("    ,") <= WIDTH
    return line if fits else f'"{name}": ' + json.dumps(value, ensure_ascii=False, indent=2).replace("\n", "\n  ")
