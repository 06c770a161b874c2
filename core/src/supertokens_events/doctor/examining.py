"""Asks every question, each within its time: what fails or hangs is a finding, and the others are asked all the same."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from supertokens_events.doctor.case import Case
from supertokens_events.doctor.finding import Finding, warning
from supertokens_events.log import describe_exception
from supertokens_events.outbox import OutboxError

__all__ = ["Check", "examine"]


class Check(NamedTuple):
    """A family of questions. ``alone``: it forks, so no other thread of ours may run beside it, and it keeps its own time."""

    name: str
    ask: Callable[[Case], Iterable[Finding]]
    alone: bool = False


@dataclass
class _Asking:
    """One family being asked, in a thread that nobody waits for at the end of the process."""

    check: Check
    case: Case
    found: list[Finding] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        threading.Thread(target=self.run, name=f"supertokens-events-doctor-{self.check.name}", daemon=True).start()

    def run(self) -> None:
        try:
            for finding in self.check.ask(self.case):
                self.found.append(finding)
        except Exception as error:
            self.found.append(_failed(self.check, error))
        finally:
            self.ended.set()

    def result(self, deadline: float) -> list[Finding]:
        """What was found until then."""
        if self.ended.wait(max(0.0, deadline - time.monotonic())):
            return self.found
        return [*self.found, _hung(self.check, self.case.patience)]


def examine(case: Case, checks: Sequence[Check]) -> Iterator[Finding]:
    """The findings of all of them, in their order. Those that may run beside each other do, each within the case's patience."""
    asked = {check.name: _Asking(check, case) for check in checks}
    for one in asked.values():
        if one.check.alone:
            one.run()
    for one in asked.values():
        if not one.check.alone:
            one.start()
    deadline = time.monotonic() + case.patience
    for one in asked.values():
        yield from one.result(deadline)


def _failed(check: Check, error: Exception) -> Finding:
    why = str(error) if isinstance(error, OutboxError) else describe_exception(error)
    return warning(
        "doctor.failed",
        f"What the doctor asks about {check.name} could not be asked: {why}.",
        why="What was not looked at may be wrong.",
        do="Mend what stands in the way, if it is told above, and ask again; else it is a bug in the doctor: report it.",
        subject=check.name,
    )


def _hung(check: Check, patience: float) -> Finding:
    return warning(
        "doctor.hung",
        f"What the doctor asks about {check.name} took longer than {patience:g} s, and was given up.",
        why="What hangs here may hang in the app, too.",
        do="See what it waits for: a disk, a server, a lock; '--patience' gives it more time.",
        subject=check.name,
    )
