"""Schedules: how long until the next attempt, and how a duration is written."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from supertokens_events.retry import RetryPolicy, parse_duration

HOUR = 3600.0
UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}

exactly = {"uniform": lambda low, high: (low + high) / 2}
waits = st.floats(0, 86400)
schedules = st.lists(waits, max_size=6).map(tuple)


class TestDuration:
    @given(st.floats(0, 36500), st.sampled_from(sorted(UNITS)), st.sampled_from(["", " "]))
    def test_units(self, amount, unit, space):
        """A number and a unit are that many seconds."""
        text = f"{amount:.3f}"

        assert parse_duration(f"{text}{space}{unit}") == float(text) * UNITS[unit]

    @given(st.integers(0, 10**9) | st.floats(0, 1e9))
    def test_numbers(self, seconds):
        """A bare number is seconds."""
        assert parse_duration(seconds) == seconds

    @given(
        st.floats(max_value=0, exclude_max=True)
        | st.just(math.nan)
        | st.just(math.inf)
        | st.booleans()
        | st.none()
        | st.binary()
        | st.lists(st.integers(), max_size=2)
        | st.text(max_size=8).filter(lambda text: not text.strip()[:1].isdigit())
        | st.sampled_from(["5", "5 weeks", "-5s", "1h30m", "5 s s", "1e3s", "1_000s", "9" * 400 + "d", 10**400, "1e9d"])
    )
    def test_anything_else(self, value):
        """Anything else, too long a time too, is a ValueError that shows how durations are written."""
        with pytest.raises(ValueError, match="expected a duration such as '500ms', '5s'"):
            parse_duration(value)


class TestSchedule:
    def test_default_span(self):
        """The default is ten attempts over 75 h 35 m 5 s."""
        policy = RetryPolicy()

        assert policy.attempts == 10
        assert sum(policy.wait_after(n, **exactly) for n in range(1, 10)) == 75 * HOUR + 35 * 60 + 5
        assert policy.wait_after(10) is None

    @given(schedules, st.floats(0, 1), st.integers(1, 8))
    def test_jitter(self, schedule, jitter, attempts):
        """A wait differs from the schedule's by at most the jitter, and after the last wait there is none."""
        policy = RetryPolicy(schedule=schedule, jitter=jitter)

        wait = policy.wait_after(attempts)

        if attempts > len(schedule):
            assert wait is None
        else:
            planned = schedule[attempts - 1]
            assert planned * (1 - jitter) <= wait <= planned * (1 + jitter) * (1 + 1e-9)

    def test_default_jitter(self):
        """By default a wait is moved by up to a fifth, both ways."""
        policy = RetryPolicy()

        assert policy.wait_after(3, uniform=lambda low, _high: low) == pytest.approx(1440)
        assert policy.wait_after(3, uniform=lambda _low, high: high) == pytest.approx(2160)

    @given(schedules, st.integers(1, 8), st.floats() | st.none())
    def test_retry_after_never_shortens(self, schedule, attempts, retry_after):
        """What a receiver asks for makes a wait longer, up to the cap, and never shorter; nonsense changes nothing."""
        policy = RetryPolicy(schedule=schedule, max_retry_after=3600)

        planned = policy.wait_after(attempts, **exactly)
        wait = policy.wait_after(attempts, retry_after, **exactly)

        if planned is None:
            assert wait is None
        else:
            asked = retry_after if retry_after is not None and retry_after > 0 else 0
            assert wait == max(planned, min(asked, 3600))

    def test_no_schedule(self):
        """An empty schedule is one attempt."""
        policy = RetryPolicy(schedule=())

        assert policy.attempts == 1
        assert policy.wait_after(1) is None


class TestUncounted:
    @given(schedules, st.integers(0, 8), st.floats() | st.none())
    def test_bounds(self, schedule, attempts, retry_after):
        """A try that uses up no attempt waits from one second, since nothing else ends such tries, up to the cap."""
        policy = RetryPolicy(schedule=schedule, max_retry_after=3600)

        assert 1 <= policy.wait_uncounted(attempts, retry_after) <= 3600

    def test_what_was_asked(self):
        """The receiver's wish is followed, also where it is shorter than the schedule."""
        assert RetryPolicy().wait_uncounted(5, 30) == 30

    def test_schedule(self):
        """Without a wish, the schedule's wait for the attempts used so far."""
        policy = RetryPolicy(jitter=0)

        assert policy.wait_uncounted(0) == 5
        assert policy.wait_uncounted(2) == 300


class TestPolicy:
    def test_written_durations(self):
        """A schedule may be written as durations."""
        assert RetryPolicy(schedule=["5s", "5m", 7]).schedule == (5, 300, 7)

    @pytest.mark.parametrize("wrong", [{"jitter": 1.1}, {"jitter": -0.1}, {"schedule": ["soon"]}, {"tries": 3}])
    def test_invalid(self, wrong):
        """A policy that cannot be meant is refused."""
        with pytest.raises(ValidationError):
            RetryPolicy(**wrong)
