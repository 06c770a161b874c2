"""What came of it all: each event, where it arrived, and what is missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import parse_qs, urlsplit

from demo.browser import Answer
from demo.stage import Stage
from supertokens_events.outbox import Breaker, DeliveryState, StoredDelivery, StoredEvent

__all__ = ["EXPECTED", "Arrival", "arrivals", "left_out", "missing", "open_breaker", "secrets_of"]

EXPECTED = (
    "user.created",
    "session.created",
    "user.sign_in.failed",
    "user.signed_in",
    "session.created",
    "password.reset.requested",
    "session.revoked",
)
"""The events of the story, in order."""

MOST_ATTEMPTS = 2
"""One that finds the receiver gone, and one that finds it back. What waits in between uses up none."""


@dataclass(frozen=True)
class Arrival:
    """One event and where it came to: its webhook, how often the receiver verified it, its lines in the file. ``breaker``
    is the one that all webhooks have in common, while it is open.
    """

    event: StoredEvent
    webhook: StoredDelivery | None
    verified: int
    lines: Sequence[int]
    breaker: Breaker | None = None

    @property
    def attempts(self) -> int:
        return len(self.webhook.attempts) if self.webhook else 0

    @property
    def waits(self) -> bool:
        return self.webhook is not None and self.webhook.state is DeliveryState.PENDING

    @property
    def reason(self) -> str:
        """Why the last attempt at the webhook did not succeed, with what the receiver said."""
        if self.webhook is None or not self.webhook.reason:
            return ""
        said = self.webhook.attempts[-1].detail.get("answer") if self.webhook.attempts else None
        return f"{self.webhook.reason}: {said}" if said else self.webhook.reason

    @property
    def why(self) -> Sequence[str]:
        """Why the webhook has not succeeded: its own last attempt, and what the last probe said if that is news."""
        found = [f"attempt {self.attempts}: {self.reason}"] if self.reason else []
        if self.waits and self.breaker and self.webhook and self.breaker.reason != self.webhook.reason:
            found.append(f"{'since then' if found else 'waits'}: {self.breaker.reason}")
        return found

    @property
    def refused(self) -> bool:
        """Whether the receiver, when last asked, did not accept the signature: of this one, or of a probe."""
        if self.waits and self.breaker:
            return f"answered {HTTPStatus.UNAUTHORIZED.value} " in self.breaker.reason
        attempts = self.webhook.attempts if self.webhook else ()
        return bool(attempts) and attempts[-1].detail.get("status") == HTTPStatus.UNAUTHORIZED

    @property
    def explained(self) -> bool:
        """Whether nothing more is to be seen of it for now: the file has it, and the webhook was tried or has a reason to
        wait.
        """
        return bool(self.lines) and (self.attempts > 0 or bool(self.why))


def arrivals(stage: Stage, after: int = 0) -> list[Arrival]:
    """Every event above the sequence ``after``. Only the very bytes that were stored count as having arrived."""
    verified = Counter(post.body for post in list(stage.receiver.posts) if not post.refused)
    lines = stage.file.read_bytes().splitlines() if stage.file.exists() else []
    webhooks = {delivery.event_id: delivery for delivery in stage.events.outbox.deliveries(sink="crm")}
    breaker = open_breaker(stage)
    return [
        Arrival(
            event,
            webhooks.get(event.id),
            verified[event.body or b""],
            [number for number, line in enumerate(lines, start=1) if line == event.body],
            breaker,
        )
        for event in stage.events.outbox.events(after=after)
    ]


def open_breaker(stage: Stage) -> Breaker | None:
    """The webhook's breaker, while it is open."""
    return next((sink.breaker for sink in stage.events.outbox.status() if sink.sink == "crm"), None)


def secrets_of(stage: Stage, passwords: Mapping[str, str]) -> dict[str, str]:
    """Everything that must not be found anywhere, by name."""
    queries = [parse_qs(urlsplit(link).query) for link in stage.reset_links]
    links = {f"the token of password reset link {n}": query["token"][0] for n, query in enumerate(queries, start=1)}
    return {**passwords, **stage.browser.secrets, **links, "the secret of the webhook": stage.secret}


def left_out(stage: Stage) -> int:
    """How many ``session.refreshed`` the ledger has counted as not asked for, in memory or stored."""
    waiting = [(key.reason, key.event_type, n) for key, n in stage.events.ledger.peek().items()]
    stored = [(line.reason, line.event_type, line.count) for line in stage.events.outbox.ledger()]
    return sum(n for *what, n in [*waiting, *stored] if what == ["capture_off", "session.refreshed"])


def missing(
    stage: Stage, answers: Sequence[tuple[Answer, str]], outage: Breaker | None, secrets: Mapping[str, str]
) -> list[str]:
    """One sentence for everything that is not as it should be. ``answers`` are what came back and what was expected,
    ``outage`` is the breaker as it was during the outage.
    """
    seen = arrivals(stage)
    return [
        *_answers(answers),
        *(() if stage.reset_links else ("No mail with a password reset link was sent.",)),
        *_events(seen),
        *(sentence for arrival in seen for sentence in _places(arrival)),
        *_refusals(stage),
        *_outage(seen, outage),
        *_ledger(stage),
        *_secrets(stage, secrets),
    ]


def _answers(answers: Sequence[tuple[Answer, str]]) -> Iterator[str]:
    for answer, wanted in answers:
        if (answer.code, answer.status) != (200, wanted):
            yield f"{answer}, expected 200 {wanted}".rstrip() + "."


def _events(seen: Sequence[Arrival]) -> Iterator[str]:
    happened, expected = Counter(arrival.event.type for arrival in seen), Counter(EXPECTED)
    for event_type in [*expected, *(happened - expected)]:
        if happened[event_type] != expected[event_type]:
            yield f"{event_type} happened {_times(happened[event_type])}, expected {_times(expected[event_type])}."
    for arrival in seen:
        reason = json.loads(arrival.event.body or b"{}").get("data", {}).get("reason")
        if arrival.event.type == "user.sign_in.failed" and reason != "wrong_credentials":
            yield f"user.sign_in.failed gives the reason {reason!r}, expected 'wrong_credentials'."


def _places(arrival: Arrival) -> Iterator[str]:
    name = f"{arrival.event.type} ({arrival.event.id})"
    if not arrival.verified:
        yield "; ".join([f"{name} did not come to the receiver with a signature that it accepts", *arrival.why]) + "."
    if arrival.verified > 1:
        yield f"{name} came to the receiver {_times(arrival.verified)}, expected once."
    if not arrival.lines:
        yield f"{name} is not in the file."
    if len(arrival.lines) > 1:
        yield f"{name} is in the file {_times(len(arrival.lines))}, expected once."


def _refusals(stage: Stage) -> Iterator[str]:
    refusals = Counter(post.refused for post in list(stage.receiver.posts) if post.refused)
    for why, n in refusals.items():
        yield f"The receiver refused a request {_times(n)}: {why}."


def _outage(seen: Sequence[Arrival], outage: Breaker | None) -> Iterator[str]:
    if not any(arrival.attempts > 1 and arrival.verified for arrival in seen):
        yield "No event arrived after an attempt that failed: the way through the outage was not seen."
    if outage is None:
        yield "No probe failed while the receiver was down: that it is away was not found out."
    for arrival in seen:
        if arrival.attempts > MOST_ATTEMPTS:
            name = f"{arrival.event.type} ({arrival.event.id})"
            yield f"{name} had {arrival.attempts} attempts, expected at most {MOST_ATTEMPTS}: the outage wasted some."


def _ledger(stage: Stage) -> Iterator[str]:
    if (n := left_out(stage)) != 1:
        yield f"The ledger says that session.refreshed was left out {_times(n)}, expected once."


def _secrets(stage: Stage, secrets: Mapping[str, str]) -> Iterator[str]:
    places = [(path.name, path.read_bytes()) for path in sorted(stage.toml.parent.iterdir()) if path.is_file()]
    for post in stage.receiver.posts:
        place = f"a request to the receiver, {post.headers.get('webhook-id')}"
        places.append((place, f"{post.path} {post.headers}".encode() + post.body))
    for place, content in places:
        yield from (f"{place} holds {name}." for name, secret in secrets.items() if secret.encode() in content)


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n} times")
