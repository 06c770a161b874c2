"""Where there is no terminal, how far a command has come is a line now and then."""

from __future__ import annotations

from supertokens_events.cli.progress import Progress
from supertokens_events.testing import FakeClock


def test_a_line_now_and_then(capsys):
    """Not for every step, and with the time that is left by the speed so far."""
    clock = FakeClock()
    progress = Progress("backfill crm", "user", clock=clock)

    with progress.of(1_000):
        for done in (0, 100, 200, 300, 400):
            progress.reached(done)
            clock.advance(5.0)

    assert capsys.readouterr().err.splitlines() == [
        "backfill crm: 200 of 1,000 users, 40 s left",
        "backfill crm: 400 of 1,000 users, 30 s left",
    ]


def test_more_than_there_were(capsys):
    """Users who joined meanwhile leave no time below zero."""
    clock = FakeClock()
    progress = Progress("backfill crm", "user", clock=clock)

    with progress.of(10):
        progress.reached(0)
        clock.advance(10.0)
        progress.reached(11)

    assert capsys.readouterr().err == "backfill crm: 11 of 10 users, 0 s left\n"
