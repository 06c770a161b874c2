"""What should have come of it all, and what of that is missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import parse_qs, urlsplit

from demo.arrivals import Arrival, Trail, trails
from demo.browser import Answer
from demo.places import SINKS, Places
from demo.stage import Stage
from supertokens_events.outbox import Breaker

__all__ = ["EXPECTED", "WANTED", "left_out", "missing", "secrets_of"]

EXPECTED = (
    "user.created",
    "session.created",
    "password.reset.requested",
    "user.signed_in",
    "session.created",
    "user.sign_in.failed",
    "session.token_theft_detected",
    "session.revoked",
)
"""The events of the story, in order."""

WANTED: Mapping[str, Sequence[str]] = {
    "user.created": ("crm", "analytics", "audit"),
    "session.created": ("audit",),
    "password.reset.requested": ("audit",),
    "user.signed_in": ("crm", "analytics", "audit"),
    "user.sign_in.failed": ("crm", "oncall", "analytics", "audit"),
    "session.token_theft_detected": ("oncall", "audit"),
    "session.revoked": ("analytics", "audit"),
}
"""Which sinks each type should come to: what the patterns in the TOML mean."""

MOST_ATTEMPTS = 2
"""One that finds the receiver gone, and one that finds it back. What waits in between uses up none."""

LEFT_OUT = 2
"""How often a session is refreshed in the story."""

NOT_AT = {
    "crm": "did not come to the receiver with a signature that it accepts",
    "oncall": "is in no Slack message",
    "analytics": "is in no batch that Segment took",
    "audit": "is not in the file",
}
MORE_AT = {
    "crm": "came to the receiver",
    "oncall": "came to Slack",
    "analytics": "came to Segment",
    "audit": "is in the file",
}


def secrets_of(stage: Stage, passwords: Mapping[str, str]) -> dict[str, str]:
    """Everything that must not be found anywhere, by name."""
    queries = [parse_qs(urlsplit(link).query) for link in stage.reset_links]
    links = {f"the token of password reset link {n}": query["token"][0] for n, query in enumerate(queries, start=1)}
    ours = {f"the secret in {name}": _secret_part(value) for name, value in stage.places.given.items()}
    return {**passwords, **stage.browser.secrets, **links, **ours}


def _secret_part(value: str) -> str:
    """Of a URL, such as Slack's, the end."""
    return value.rpartition("/")[2] if value.startswith("http") else value


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
    seen = trails(stage)
    return [
        *_answers(answers),
        *(() if stage.reset_links else ("No mail with a password reset link was sent.",)),
        *_events(seen),
        *(sentence for trail in seen for sentence in _places(trail)),
        *_refusals(stage.places),
        *_outage(seen, outage),
        *_ledger(stage),
        *_secrets(stage, secrets),
    ]


def _answers(answers: Sequence[tuple[Answer, str]]) -> Iterator[str]:
    for answer, wanted in answers:
        if answer.result != wanted:
            yield f"{answer}, expected {wanted}."


def _events(seen: Sequence[Trail]) -> Iterator[str]:
    happened, expected = Counter(trail.event.type for trail in seen), Counter(EXPECTED)
    for event_type in [*expected, *(happened - expected)]:
        if happened[event_type] != expected[event_type]:
            yield f"{event_type} happened {_times(happened[event_type])}, expected {_times(expected[event_type])}."
    for trail in seen:
        reason = json.loads(trail.event.body or b"{}").get("data", {}).get("reason")
        if trail.event.type == "user.sign_in.failed" and reason != "wrong_credentials":
            yield f"user.sign_in.failed gives the reason {reason!r}, expected 'wrong_credentials'."


def _places(trail: Trail) -> Iterator[str]:
    wanted = WANTED.get(trail.event.type, ())
    for sink in SINKS:
        arrival = trail.at.get(sink) or Arrival(sink, None)
        if sink in wanted and not arrival.found:
            yield "; ".join([f"{_name(trail)} {NOT_AT[sink]}", *arrival.why]).removesuffix("?") + "."
        if sink in wanted and len(arrival.found) > 1:
            yield f"{_name(trail)} {MORE_AT[sink]} {_times(len(arrival.found))}, expected once."
        if sink not in wanted and sink in trail.at and trail.event.type in WANTED:
            yield f"{_name(trail)} went to {sink}, which does not ask for it."


def _refusals(places: Places) -> Iterator[str]:
    refusals = Counter(
        [
            *(
                f"The receiver refused a request {{}}: {post.refused}."
                for post in places.receiver.posts
                if post.refused
            ),
            *(f"Slack refused a message {{}}: {why}." for why in places.slack.refusals),
            *(f"Segment dropped a message {{}}: {why}." for why, _ in places.segment.dropped),
        ]
    )
    yield from (sentence.format(_times(n)) for sentence, n in refusals.items())


def _outage(seen: Sequence[Trail], outage: Breaker | None) -> Iterator[str]:
    hooks = [(trail, trail.at["crm"]) for trail in seen if "crm" in trail.at]
    if not any(hook.attempts > 1 and hook.found for _, hook in hooks):
        yield "No event arrived after an attempt that failed: the way through the outage was not seen."
    if outage is None:
        yield "No probe failed while the receiver was down: that it is away was not found out."
    for trail, hook in hooks:
        if hook.attempts > MOST_ATTEMPTS:
            used = f"had {hook.attempts} attempts, expected at most {MOST_ATTEMPTS}"
            yield f"{_name(trail)} {used}: the outage wasted some."


def _ledger(stage: Stage) -> Iterator[str]:
    if (n := left_out(stage)) != LEFT_OUT:
        yield f"The ledger says that session.refreshed was left out {_times(n)}, expected {_times(LEFT_OUT)}."


def _secrets(stage: Stage, secrets: Mapping[str, str]) -> Iterator[str]:
    files = [(path.name, path.read_bytes()) for path in sorted(stage.toml.parent.iterdir()) if path.is_file()]
    for place, content in [*files, *_sent(stage.places)]:
        yield from (f"{place} holds {name}." for name, secret in secrets.items() if secret.encode() in content)


def _sent(places: Places) -> Iterator[tuple[str, bytes]]:
    """All that went out, but for where a place's own secret belongs: in the path at Slack."""
    for post in places.receiver.posts:
        yield f"a request to the receiver, {post.headers.get('webhook-id')}", _bytes(post.path, post.headers, post.body)
    for n, message in enumerate(places.slack.requests, start=1):
        yield f"request {n} to Slack", _bytes("", message.headers, message.body)
    for n, batch in enumerate(places.segment.requests, start=1):
        yield f"request {n} to Segment", _bytes(batch.line, batch.headers, batch.body)


def _bytes(line: str, headers: Mapping[str, str], body: bytes) -> bytes:
    return f"{line} {headers}".encode() + body


def _name(trail: Trail) -> str:
    return f"{trail.event.type} ({trail.event.id})"


def _times(n: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(n, f"{n} times")
