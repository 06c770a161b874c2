"""How long hooks take: nothing that is counted is lost, and the median is told within a tenth."""

import random
import statistics

import pytest

from supertokens_events import hook_times
from supertokens_events.hook_times import HookTimes, Tally, TimeKey, summed


def lines(times, last_at=1.0):
    return summed((key, tally, last_at) for key, tally in times.take().items())


def test_calls_are_added_up():
    """Calls of one hook are one line, with how many raised, how long they took together, and the longest."""
    times = HookTimes()
    times.add("geo", "enrich_event", 0.25, failed=False)
    times.add("geo", "enrich_event", 0.5, failed=True)
    times.add("geo", "filter_event", 0.5, failed=False)

    enrich, drop = lines(times)

    assert (enrich.plugin, enrich.hook, enrich.calls, enrich.failures) == ("geo", "enrich_event", 2, 1)
    assert (enrich.total, enrich.longest, enrich.last_at) == (0.75, 0.5, 1.0)
    assert (drop.hook, drop.calls, drop.failures) == ("filter_event", 1, 0)
    assert not times


@pytest.mark.parametrize("scale", [1e-7, 3e-6, 1e-4, 0.02, 5.0])
def test_the_median_is_right_within_a_tenth(scale):
    """Whether hooks take microseconds or seconds, the median that is told is the real one, more or less a tenth of it."""
    numbers = random.Random(7)
    taken = [scale * numbers.lognormvariate(0.0, 1.0) for _ in range(999)]
    times = HookTimes()
    for seconds in taken:
        times.add("geo", "enrich_event", seconds, failed=False)

    (line,) = lines(times)

    assert line.median == pytest.approx(max(statistics.median(taken), 1e-6), rel=0.1)
    assert line.total == pytest.approx(sum(taken))


def test_one_call_is_its_own_median():
    """The median is never longer than the longest call."""
    times = HookTimes()
    times.add("geo", "enrich_event", 0.0101, failed=False)

    (line,) = lines(times)

    assert line.median == pytest.approx(0.0101, rel=0.1)
    assert line.median <= line.longest


def test_what_is_put_back_is_counted_on():
    """What the outbox would not take is added to what comes later."""
    times = HookTimes()
    times.add("geo", "enrich_event", 0.25, failed=False)
    times.put_back(times.take())
    times.add("geo", "enrich_event", 0.25, failed=True)

    ((key, tally),) = times.take().items()

    assert key[:2] == ("geo", "enrich_event")
    assert tally == Tally(2, 1, 0.5, 0.25)


def test_it_is_due_once_something_has_waited(monkeypatch):
    """Nothing is due at first, and something is once the first call since the last time has waited for a while."""
    now = [100.0]
    monkeypatch.setattr(hook_times.time, "monotonic", lambda: now[0])
    times = HookTimes()
    empty = times.due
    times.add("geo", "enrich_event", 0.25, failed=False)
    fresh = times.due
    now[0] += 5

    assert (empty, fresh, times.due) == (False, False, True)
    times.take()
    assert not times.due


def test_it_stays_small():
    """Where nobody takes, memory does not grow with the calls, and every call is still known."""
    times = HookTimes()
    for _ in range(20_000):
        times.add("geo", "enrich_event", 0.25, failed=False)

    assert len(times._entries) < 5_000
    assert sum(tally.calls for tally in times.take().values()) == 20_000


def test_lines_are_in_the_order_of_what_they_cost():
    """What took longest altogether comes first."""
    rows = [
        (TimeKey("cheap", "filter_event", 3), Tally(1000, 0, 0.001, 0.001), 1.0),
        (TimeKey("dear", "enrich_event", 60), Tally(1, 0, 2.0, 2.0), 2.0),
    ]

    assert [line.plugin for line in summed(rows)] == ["dear", "cheap"]
