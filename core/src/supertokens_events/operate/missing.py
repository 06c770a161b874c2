"""What never became an event: which setting, filter or failure kept it out, as the configuration and the ledger have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import NamedTuple

from supertokens_events.catalog import Catalog
from supertokens_events.config import DEFAULT_EVENTS, Settings
from supertokens_events.ledger import Reason
from supertokens_events.operate.words import counted, time_in_words
from supertokens_events.outbox import LedgerCount, Outbox, StoredEvent, Wanted

__all__ = ["Missing", "explain_missing"]

_SHOWN = 5  # stored events that are named


class Missing(NamedTuple):
    """What is known: ``stored`` are the latest events that there are after all, ``sentences`` what kept others out. ``kept_out``:
    something did, or does.
    """

    stored: tuple[StoredEvent, ...]
    sentences: tuple[str, ...]
    kept_out: bool


def explain_missing(
    outbox: Outbox,
    settings: Settings,
    catalog: Catalog,
    event_type: str,
    *,
    user_id: str | None = None,
    since: float | None = None,
) -> Missing:
    """Why there is no event of ``event_type`` about ``user_id`` since a moment, in seconds since the epoch."""
    wanted = Wanted(types=(event_type,), user_id=user_id, since=since)
    stored = tuple(outbox.events(wanted=wanted, limit=_SHOWN))
    found = [*_setting(settings, catalog, event_type), *_ledger(outbox.ledger(), event_type, since)]
    sentences = list(found)
    if found and user_id is not None:
        sentences.append("The ledger counts by type: whether one of these was about this user, it does not know.")
    if not found and not stored:
        sentences += _nothing(event_type)
    return Missing(stored, tuple(sentences), bool(found))


def _setting(settings: Settings, catalog: Catalog, event_type: str) -> Iterator[str]:
    captured = settings.captured(catalog)
    if captured.matches(event_type):
        return
    if event_type in catalog.high_volume and DEFAULT_EVENTS in settings.capture.events:
        yield (
            f"{settings.file}: capture.events does not ask for it: it is high-volume, and {DEFAULT_EVENTS!r} leaves such types "
            f"out. Add {event_type!r} to capture.events."
        )
        return
    pattern = captured.deciding(event_type)
    because = f"{pattern!r} excludes it" if pattern else f"none of its patterns is about {event_type}"
    yield f"{settings.file}: capture.events does not ask for it: {because}."


# The ledger -------------------------------------------------------------------------------------------------------------

_BY_TYPE = {
    Reason.CAPTURE_OFF: "not captured: capture.events did not ask for this type",
    Reason.FILTERED: "dropped by filter_event of the plugin {subject!r}",
    Reason.LOST: "lost: it could not be stored; the log says why, at level error",
    Reason.REFUSED: "refused, and lost: the outbox had reached its max_size",
    Reason.DROPPED: "deleted before its time, to make room in a full outbox (when_full)",
    Reason.LATE: "late: the request went on before it was stored; it was stored later, or is counted as lost",
    Reason.FILTER_FAILED: "stored and held back: filter_event of the plugin {subject!r} failed; 'supertokens-events dead list'",
    Reason.PRUNED: "pruned as a dead letter of the sink {subject!r}, at the end of its retention",
}
_BY_FUNCTION = {
    Reason.CAPTURE_FAILED: "its capture failed in {subject}: the fact was not said, or without a part; the log says why",
    Reason.CAPTURE_GAP: "{subject} is not captured: this SDK does not have it, or something hides it",
}
_OF_ALL = {
    Reason.OUTBOX_DAMAGED: "the outbox was damaged and begun anew: what was in it is in {subject}",
    Reason.OUTBOX_MOVED: "the outbox's file was moved, deleted or replaced: what was in it is not in this one",
}


def _ledger(counts: Iterable[LedgerCount], event_type: str, since: float | None) -> Iterator[str]:
    functions = _functions(event_type)
    for count in counts:
        if since is not None and count.last_at < since:
            continue
        if told := _told(count, event_type, functions):
            times = counted(count.count, "time")
            last = time_in_words(count.last_at)
            yield f"Counted {times}, last {last}: {told.format(subject=count.subject)}."


def _told(count: LedgerCount, event_type: str, functions: Sequence[str] | None) -> str | None:
    with suppress(ValueError):  # a reason of another version
        reason = Reason(count.reason)
        if reason in _OF_ALL:
            return _OF_ALL[reason]
        if reason in _BY_FUNCTION and (functions is None or _is_about(count.subject, functions)):
            return _BY_FUNCTION[reason]
        if reason in _BY_TYPE and count.event_type == event_type:
            return _BY_TYPE[reason]
    return None


def _is_about(subject: str, functions: Sequence[str]) -> bool:
    """``subject`` is a function, or a whole recipe."""
    return any(function == subject or function.startswith(f"{subject}.") for function in functions)


def _functions(event_type: str) -> Sequence[str] | None:
    """The SDK's functions that can bring this type; ``None`` when no SDK is here to tell: then it may be any."""
    try:
        from supertokens_events.capture.coverage import coverage
    except ImportError:
        return None
    return [str(treatment.function) for treatment in coverage() if event_type in treatment.events]


def _nothing(event_type: str) -> Iterator[str]:
    yield f"No {event_type} is stored, and nothing is counted that kept one out: nobody told this outbox of it."
    functions = _functions(event_type)
    if functions:
        few = ", ".join(functions[:3]) + (f" and {len(functions) - 3} more" if len(functions) > 3 else "")
        yield f"It comes from {few}. Does the app that is called run with events.plugin(), and with this outbox?"
    yield "What happened at the core past such an app (another SDK, a direct call, a crash before the commit) is not seen here."
