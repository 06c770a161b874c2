"""Do the overrides of the app, and of other plugins, call the original?

Told by a call, not by their source: what stands before the call of the original is run with made-up arguments, in a child process
that can reach nothing (:mod:`supertokens_events.doctor.locked`). Only when a person asks for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, warning
from supertokens_events.doctor.locked import in_locked_child, was_refused
from supertokens_events.operate.words import counted

if TYPE_CHECKING:
    from supertokens_events.capture.chains import Chain, Course, Unbuilt

__all__ = ["overrides"]

_WITHIN = 3.0  # seconds for one override
_ALL = 60.0  # seconds for all


def overrides(case: Case) -> Iterator[Finding]:
    """Which functions that capture watches are overridden; and if it may be tried, whether they are passed on."""
    if case.app is None:
        return
    from supertokens_events.capture.inspection import attached

    found = attached()
    if found is None:
        return
    if case.run_overrides:
        yield from _tried()
        return
    known = [f"{one.function}: {one.above}" for one in found.functions if one.above is not None]
    if not found.is_plugin:  # then capture is around them
        known += [f"{one.function}: {one.beneath}" for one in found.functions if one.beneath is not None]
    if known:
        yield note(
            "overrides.not_run",
            f"{counted(len(known), 'function')} that capture watches {'is' if len(known) == 1 else 'are'} overridden: "
            f"{'; '.join(known)}.",
            why="An override that does not call the original makes the fact not happen, and the event with it.",
            do="--run-overrides calls each with made-up arguments, up to its call of the original, in a locked child process.",
        )
    else:
        yield ok("overrides.none", "No function that capture watches is overridden.")


def _tried() -> Iterator[Finding]:
    from supertokens_events.capture.chains import Unbuilt, chains

    found = list(chains())
    for number, one in enumerate(found):
        if isinstance(one, Unbuilt):
            yield _unbuilt(one)
        elif number * _WITHIN < _ALL:
            yield _verdict(one, _run(one))
        else:
            yield _unclear(one, "was not tried: there are too many")
    if not found:
        yield ok("overrides.none", "No function that capture watches is overridden.")


def _run(chain: Chain) -> list[tuple[Course, bool]] | None:
    """Two calls, one with little and one with all that can be given; whether each was refused something. ``None``: it hangs."""
    from supertokens_events.capture.chains import Course, Way

    async def work() -> str:
        courses = [await chain.try_out(full=full) for full in (False, True)]
        return json.dumps([(one.way, one.called, one.error, was_refused(one.cause)) for one in courses])

    said = in_locked_child(work, _WITHIN)
    if said is None:
        return None
    return [(Course(Way(way), tuple(called), error), refused) for way, called, error, refused in json.loads(said)]


def _verdict(chain: Chain, courses: Sequence[tuple[Course, bool]] | None) -> Finding:
    if courses is None:
        return _unclear(chain, f"did not come to an end within {_WITHIN:g} s, or ended its process")
    ways = [course.way for course, _ in courses]
    subject = str(chain.function)
    if set(ways) == {"reached"}:
        return ok(
            "overrides.original",
            f"{subject} is overridden by {chain.where}, which calls the original.",
            subject=subject,
        )
    if "reached" in ways:
        return note(
            "overrides.sometimes",
            f"{subject} is overridden by {chain.where}, which calls the original with some made-up arguments, not with others.",
            why="Where it does not, the fact does not happen, and there is no event.",
            do="That is right for an override that refuses some calls.",
            subject=subject,
        )
    if "raised" in ways:
        course, refused = next((course, refused) for course, refused in courses if course.way == "raised")
        because = ": it wants a file, a connection or a process first, which it does not get here" if refused else ""
        return _unclear(chain, f"raised {course.error} before it called the original{because}")
    called = ", ".join(dict.fromkeys(name for course, _ in courses for name in course.called))
    instead = f"; it calls {called} instead" if called else ""
    return warning(
        "overrides.replaced",
        f"{subject} is overridden by {chain.where}, which did not call the original with any made-up arguments{instead}.",
        why="What the original does does not happen, so its events are never told.",
        do="Call the original, and change what goes in or comes out; if it is replaced on purpose, emit an event of your own. "
        "If it only refused what was made up, this is no fault.",
        subject=subject,
    )


def _unclear(chain: Chain, why: str) -> Finding:
    return note(
        "overrides.unclear",
        f"{chain.function} is overridden by {chain.where}, which {why}.",
        why="Whether it calls the original is not known.",
        do="Read it: on every way that is to bring an event it has to call the original.",
        subject=str(chain.function),
    )


def _unbuilt(one: Unbuilt) -> Finding:
    return note(
        "overrides.unclear",
        f"The overrides of {one.recipe} ({one.kind}) could not be put together a second time: {one.error}.",
        why="Whether they call the original is not known.",
        do="Read them: on every way that is to bring an event they have to call the original.",
        subject=one.recipe,
    )
