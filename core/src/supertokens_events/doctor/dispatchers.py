"""Does somebody deliver?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem, warning
from supertokens_events.operate.words import counted, duration_in_words
from supertokens_events.outbox import Dispatching, SinkStatus, SqliteOutbox

__all__ = ["dispatchers"]


def dispatchers(case: Case) -> Iterator[Finding]:
    """Who gives signs of life, and whether what is due has somebody who delivers it."""
    if case.outbox is None or case.outbox_problem is not None or case.settings is None:
        return
    seen = [one for one in case.outbox.dispatchers() if not one.pulse.id.startswith("doctor-")]
    alive = [one for one in seen if not one.is_silent]
    due = [one for one in case.outbox.status() if one.due and one.disabled is None and one.breaker is None]
    for one in seen:
        if one.is_silent:
            yield _silent(one)
    yield from _nobody(case, due) if not alive else _some(case, alive, due)


def _name(one: Dispatching) -> str:
    return f"{one.pulse.host}, process {one.pulse.pid}"


def _silent(one: Dispatching) -> Finding:
    return warning(
        "dispatchers.silent",
        f"The dispatcher on {_name(one)} has given no sign of life for {duration_in_words(one.silent)}, and has not ended.",
        why="It was killed, or it hangs. What it held is delivered again when the lease ends.",
        do="See whether that process is there; if it hangs, find out in which sink: 'supertokens-events status'.",
        subject=one.pulse.id,
    )


def _nobody(case: Case, due: Sequence[SinkStatus]) -> Iterator[Finding]:
    assert case.settings is not None
    off = case.settings.dispatcher.run == "off"
    how = (
        "Run 'supertokens-events dispatch' beside the app: [dispatcher] run is \"off\"."
        if off
        else "Start the app, and call events.start() in it; or run 'supertokens-events dispatch'."
    )
    if due:
        waiting = ", ".join(f"{one.due:,} for {one.sink}" for one in due)
        yield problem(
            "dispatchers.none",
            f"No dispatcher runs, and deliveries are due: {waiting}.",
            why="They go nowhere until one does.",
            do=how,
        )
    else:
        yield note(
            "dispatchers.none", "No dispatcher runs; nothing is due.", why="What comes will wait for one.", do=how
        )


def _some(case: Case, alive: Sequence[Dispatching], due: Sequence[SinkStatus]) -> Iterator[Finding]:
    assert case.settings is not None
    names = "; ".join(_name(one) for one in alive)
    yield ok("dispatchers.run", f"{counted(len(alive), 'dispatcher')} {'runs' if len(alive) == 1 else 'run'}: {names}.")
    led = {sink for one in alive for sink in one.pulse.leads}
    for one in due:
        config = case.settings.sinks.get(one.sink)
        if one.sink not in led and config is not None and config.enabled:
            yield problem(
                "dispatchers.sink_alone",
                f"{one.due:,} deliveries for {one.sink} are due, and no dispatcher that runs delivers to it.",
                why="They go nowhere until one does.",
                do="See the log of the dispatcher: the sink could not be made or opened, or its configuration is another one.",
                subject=one.sink,
            )
    yield from _versions(alive)
    hosts = {one.pulse.host for one in alive}
    if isinstance(case.outbox, SqliteOutbox) and len(hosts) > 1:
        yield warning(
            "dispatchers.hosts",
            f"Dispatchers on several machines share a SQLite file: {', '.join(sorted(hosts))}.",
            why="Its locks hold on one machine only. Containers of one machine with names of their own are all right.",
            do="If these are several machines, use PostgreSQL.",
        )


def _versions(alive: Sequence[Dispatching]) -> Iterator[Finding]:
    others = sorted({one.pulse.version for one in alive} - {version("supertokens-events")})
    if others:
        yield note(
            "dispatchers.version",
            f"A dispatcher that runs has another version than this one, {version('supertokens-events')}: {', '.join(others)}.",
            why="During a deployment that is so for a while.",
            do="Otherwise restart it, or see which environment it runs in.",
        )
