"""Can each sink's place be reached?"""

from __future__ import annotations

from collections.abc import Iterator

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, note, ok, problem
from supertokens_events.operate.findings import ask_sink

__all__ = ["sinks"]

_LEFT = 2.0  # seconds before the doctor's own patience ends


def sinks(case: Case) -> Iterator[Finding]:
    """What each sink that is turned on says of its place, all asked at once, each in a thread of its own: one may block."""
    if case.settings is None:
        return
    turned_on = [config for config in case.settings.sinks.values() if config.enabled and config.settings is not None]
    if case.offline:
        if turned_on:
            yield note("sinks.not_asked", "No sink is asked whether its place can be reached: --offline.")
        return
    asked = [ask_sink(config, max(0.1, case.patience - _LEFT)) for config in turned_on]
    for config, answer in zip(turned_on, asked, strict=True):
        sentences = answer()
        for sentence in sentences:
            yield problem(
                "sinks.place",
                f"sinks.{config.name}: {sentence}",
                why="Its deliveries fail, and are given up at the end of their schedule.",
                do="Mend the place or the sink's settings; 'supertokens-events replay' sends again what was given up.",
                subject=config.name,
            )
        if not sentences:
            yield ok("sinks.place", f"sinks.{config.name}: its place can be reached.", subject=config.name)
