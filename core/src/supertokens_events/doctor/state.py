"""What the outbox has seen go wrong: sinks that are away, disabled or refuse, hooks that hang, facts that became no event."""

from __future__ import annotations

from collections.abc import Iterator

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning
from supertokens_events.ledger import Reason
from supertokens_events.operate.words import counted, time_in_words
from supertokens_events.outbox import LedgerCount, SinkStatus

__all__ = ["LEDGER", "state"]

_RECENT = 7 * 86400.0  # seconds

LEDGER: dict[str, tuple[str, str, str, str]] = {
    Reason.LOST: ("problem", "events were lost: they could not be stored", "They are told to nobody.", "reconcile"),
    Reason.REFUSED: (
        "problem",
        "events were refused, and lost: the outbox was full",
        "They are told to nobody.",
        "reconcile",
    ),
    Reason.OUTBOX_DAMAGED: ("problem", "the outbox lost events that it had", "They are told to nobody.", "reconcile"),
    Reason.OUTBOX_MOVED: (
        "problem",
        "the outbox's file was moved, deleted or replaced under a running process",
        "What was in it is not in this one.",
        "outbox",
    ),
    Reason.CAPTURE_FAILED: (
        "warning",
        "captures failed in {subject}",
        "Those facts became no event, or half of one.",
        "log",
    ),
    Reason.CAPTURE_GAP: (
        "warning",
        "it was found that {subject} is not captured",
        "What happens there becomes no event.",
        "sdk",
    ),
    Reason.HOOK_HUNG: (
        "problem",
        "a hook of the plugin {subject} did not return",
        "Until it does, the plugin's hooks are skipped; what its filter has not seen is held back.",
        "hooks",
    ),
    Reason.FILTER_FAILED: (
        "warning",
        "the filter of the plugin {subject} failed",
        "Those deliveries are dead letters.",
        "dead",
    ),
    Reason.SINK_FAILED: ("warning", "the sink {subject} raised, or hung", "Its deliveries are tried again.", "log"),
    Reason.SINK_UNAVAILABLE: ("warning", "the sink {subject} could not be opened", "Its deliveries wait.", "log"),
}
"""The reasons that are told of, each with its severity, what it means, why that matters, and what of the next to do."""

_WHAT_NEXT = {
    "reconcile": "Find out from the log why; 'supertokens-events reconcile --fix' says what the core knows and nobody was told.",
    "outbox": "See the guide's page on the outbox: what to do when its file was moved.",
    "log": "The app's log, or the dispatcher's, says what it was, at level error.",
    "sdk": "See what is said above of the SDK; with --app the doctor says more.",
    "hooks": "'supertokens-events status' shows how long its hooks take; mend the plugin, or turn it off and restart.",
    "dead": "'supertokens-events dead list', mend the plugin, then 'supertokens-events replay'.",
}


def state(case: Case) -> Iterator[Finding]:
    """By sink, then by what the ledger has of the last week."""
    if case.outbox is None or case.outbox_problem is not None:
        return
    found = [finding for one in case.outbox.status() for finding in _of_sink(one)]
    now = case.clock()
    found += [finding for one in case.outbox.ledger() if now - one.last_at < _RECENT for finding in _of_ledger(one)]
    yield from found
    if not found:
        yield ok(
            "state.well",
            "No sink is away, disabled or has dead letters, and the ledger has nothing bad of the last week.",
        )


def _of_sink(one: SinkStatus) -> Iterator[Finding]:
    if one.disabled is not None:
        yield problem(
            "state.disabled",
            f"{one.sink} is disabled since {time_in_words(one.disabled.since)}: {one.disabled.reason}",
            why=f"Its place wants no more events; {counted(one.pending, 'delivery waits', 'deliveries wait')}.",
            do=f"Ask whose place it is, then 'supertokens-events enable {one.sink}'; or take the sink out.",
            subject=one.sink,
        )
    elif one.breaker is not None:
        yield problem(
            "state.away",
            f"{one.sink} is away since {time_in_words(one.breaker.failing_since)}: {one.breaker.reason}",
            why=f"{counted(one.pending, 'delivery waits', 'deliveries wait')}; a probe goes out now and then.",
            do="Mend its place: what waits goes out by itself then.",
            subject=one.sink,
        )
    if one.dead:
        yield warning(
            "state.dead",
            f"{one.sink} has {counted(one.dead, 'dead letter')}.",
            why="These events were given up: the sink did not get them. They are deleted at the end of outbox.retention.dead.",
            do=f"'supertokens-events dead list --sink {one.sink}' says why; then 'supertokens-events replay --sink {one.sink}'.",
            subject=one.sink,
        )
    if one.blocked:
        yield note(
            "state.blocked",
            f"{one.sink}: {counted(one.blocked, 'delivery waits', 'deliveries wait')} for an earlier one of the same user.",
            why="That is what its ordering asks for.",
            subject=one.sink,
        )


def _of_ledger(count: LedgerCount) -> Iterator[Finding]:
    known = LEDGER.get(count.reason)
    if known is None:
        return
    severity, what, why, next_ = known
    make = problem if severity == "problem" else warning
    sentence = what.format(subject=count.subject or "?")
    times = f"{counted(count.count, 'time')}, last {time_in_words(count.last_at)}"
    yield make(
        f"ledger.{count.reason}",
        f"{sentence[:1].upper()}{sentence[1:]} ({times}).",
        why=why,
        do=_WHAT_NEXT[next_],
        subject=count.subject,
    )
