"""The sequence check: which numbers are missing, and what cannot be said."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from supertokens_events.event import Event
from supertokens_events_webhook.receiver import Gap, Seen, SequenceCheck

BEGIN = datetime(2026, 11, 23, tzinfo=UTC)


def event(number, *, outbox="a", after=0):
    """The event with this number, of one outbox or another; it happened so many seconds after its number."""
    at = BEGIN + timedelta(seconds=(number or 0) + after)
    return Event(id=f"evt_{outbox}{number}", type="app.ticked", sequence=number, timestamp=at)


def check(*numbers, **options):
    made = SequenceCheck(**{"filtered": False, "window": 2, **options})
    for number in numbers:
        made.see(event(number))
    return made


def test_nothing_is_missing_where_all_have_come():
    """In order and without a gap."""
    done = check(5, 6, 7)

    assert (done.missing, done.complete_up_to, done.highest) == ((), 7, 7)


def test_a_gap_is_named():
    """Once more than the window has come after it."""
    assert check(1, 2, 5).missing == ()
    done = check(1, 2, 5, 6, 7)

    assert done.missing == (Gap(3, 4),)
    assert (str(done.missing[0]), len(done.missing[0]), done.complete_up_to) == ("3 to 4", 2, 2)


def test_only_what_is_older_than_the_window_is_missing():
    """A long gap is named as far as it is settled."""
    assert check(1, 10).missing == (Gap(2, 7),)
    assert str(check(1, 5).missing[0]) == "2"


def test_what_comes_late_closes_its_gap():
    """From either end, or in the middle, which leaves two."""
    done = check(1, 9, 15)
    done.see(event(5))

    assert done.missing == (Gap(2, 4), Gap(6, 8), Gap(10, 12))
    for number in (2, 8, 3, 4, 7, 6):
        assert done.see(event(number)) == Seen(late=True)
    assert done.missing == (Gap(10, 12),)
    assert done.complete_up_to == 9


def test_a_repeat_changes_nothing():
    """It is told as one."""
    done = check(1, 2, 3)

    assert done.see(event(2)) == Seen(repeated=True)
    assert (done.missing, done.complete_up_to) == ((), 3)


def test_a_later_check_goes_on():
    """`after` is where an earlier one had stopped: what came in between is missing."""
    assert check(9, after=4).missing == (Gap(5, 6),)
    assert check(after=4).complete_up_to == 4


def test_a_first_event_is_where_it_begins():
    """What came before it is late and not a gap."""
    done = check(10)

    assert done.see(event(8)) == Seen(late=True)
    assert (done.missing, done.complete_up_to) == ((), 10)


def test_of_filtered_events_no_gap_is_told():
    """A sink that leaves something out gets numbers with holes: `None` is "that cannot be known", not "nothing"."""
    done = check(1, 50, 900, filtered=True)

    assert (done.missing, done.complete_up_to) == (None, None)
    assert done.see(event(50)) == Seen(repeated=True)
    assert done.see(event(20)) == Seen(late=True)


def test_whether_events_are_filtered_has_to_be_said():
    """There is no default for what would be wrong for half of all."""
    with pytest.raises(TypeError, match="filtered"):
        SequenceCheck()


def test_a_new_outbox_is_noticed_by_a_number_that_comes_again():
    """The same number with another event: the check begins anew."""
    done = check(1, 2, 3)

    assert done.see(event(2, outbox="b")) == Seen(restarted=True)
    assert (done.highest, done.missing) == (2, ())


def test_a_new_outbox_is_noticed_by_the_time():
    """What happened after all the others and has a number far below theirs is of a new outbox."""
    done = check(1000, 1001)

    assert done.see(event(1, outbox="b", after=5000)) == Seen(restarted=True)
    assert done.highest == 1


def test_an_event_that_is_tried_for_days_is_no_new_outbox():
    """It happened before those that came meanwhile."""
    done = check(1, 1000)

    assert done.see(event(2)) == Seen(late=True)
    assert done.highest == 1000


def test_an_event_without_a_number_is_passed_over():
    """An event may have none: a sender that does not count."""
    assert check().see(event(None)) == Seen()


def test_memory_is_bounded():
    """Of gaps and ids the latest stay; what is complete is not said to reach further for it."""
    done = check(*range(1, 2001, 2), most=100)

    assert len(done.missing) <= 100
    assert done.missing[-1] == Gap(1996, 1996)
    assert done.complete_up_to == 1


@settings(max_examples=300, deadline=None, derandomize=True, database=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=80), st.integers(0, 20))
def test_any_order_and_any_repeats(numbers, window):
    """From the lowest on, the numbers that are told as missing are exactly those that have not come and are settled."""
    done = SequenceCheck(filtered=False, after=0, window=window)
    for number in numbers:
        done.see(event(number))

    missing = {number for gap in done.missing for number in range(gap.first, gap.last + 1)}
    assert missing == {n for n in range(1, max(numbers) - window) if n not in numbers}
    assert done.complete_up_to == next(n for n in range(62) if n + 1 not in numbers)
