"""The search for what Segment refuses, over as many calls as a dispatcher makes of it."""

from collections import Counter
from heapq import heappop, heappush

import anyio
import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from supertokens_events.dispatch.settlement import settle
from supertokens_events.outbox import Claim, DeliveryState
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import Delivered, Delivery, Rejected, Retry
from supertokens_events_segment.answers import Refused
from supertokens_events_segment.batches import MAX_MESSAGES, Parcel
from supertokens_events_segment.sending import MAX_REQUESTS, Sending
from supertokens_events_segment.verdicts import Verdicts

CALL = 44.0  # seconds
FOR_CERTAIN = 8  # requests in which at least one event is judged


class Line:
    """A dispatcher with one call at a time, and Segment, which takes ``takes`` seconds for each request and refuses what holds
    one of ``bad``. When a call comes to nothing the next ones are probes: what they come to nothing of is given back untouched,
    as the last in the line. ``all_refused_until`` is a time, in seconds: before it Segment refuses everything.
    """

    def __init__(self, count, bad, *, takes=0.01, all_refused_until=0.0):
        self.bad = bad
        self.takes = takes
        self.all_refused_until = all_refused_until
        self.now = 0.0
        self.verdicts = Verdicts()
        self.due = [(0.0, number, number) for number in range(count)]
        self.used = Counter()
        self.holds = False
        self.posts_of_a_call = []
        self.delivered = Counter()
        self.alone = set()
        self.rejected = []
        self.given_up = []

    async def run(self, calls=2000):
        """Until nothing is left but what nobody can judge, as nothing else is there to be taken."""
        for serial in range(calls):
            if not self.due or (self.holds and {number for *_, number in self.due} <= self.bad):
                return
            await self._call(serial)
        pytest.fail(f"after {calls} calls {len(self.due)} events are left")

    async def _call(self, serial):
        self.now = max(self.now, self.due[0][0])
        claimed = []
        while self.due and len(claimed) < MAX_MESSAGES and self.due[0][0] <= self.now:
            claimed.append(heappop(self.due)[2])
        outcomes = await self._outcomes(claimed)
        judged = [one for one in outcomes.values() if not (isinstance(one, Retry) and not one.counts)]
        assert len(judged) >= min(len(claimed), self.posts_of_a_call[-1] // FOR_CERTAIN)

        failed = all(isinstance(one, Retry) for one in outcomes.values())
        untouched, self.holds = failed and self.holds, failed
        for place, (number, outcome) in enumerate(outcomes.items()):
            order = (serial + 1) * 1000 + place
            if untouched:
                heappush(self.due, (self.now + 1, order, number))
            else:
                self._settle(number, outcome, order)
        if not failed:
            self.due = sorted((min(at, self.now), order, number) for at, order, number in self.due)

    async def _outcomes(self, claimed):
        sending = Sending(self._post, self.verdicts, until=self.now + CALL, clock=lambda: self.now)
        self.posts_of_a_call.append(0)
        await sending.send(Parcel(number, f"evt_{number}", [b"{}"]) for number in claimed)
        return {number: sending.outcomes[number] for number in claimed}

    async def _post(self, batch, _within):
        self.now += self.takes
        self.posts_of_a_call[-1] += 1
        numbers = {parcel.position for parcel in batch}
        if len(numbers) == 1:
            self.alone |= numbers
        if numbers & self.bad or self.now < self.all_refused_until:
            return Refused("Segment answered 400 Bad Request")
        self.delivered.update(numbers)
        return Delivered()

    def _settle(self, number, outcome, order):
        delivery = Delivery("analytics", f"evt_{number}", "user.signed_in", number, None, None, b"{}")
        claim = Claim(number, 1, self.used[number], delivery, self.now)
        settled = settle(claim, outcome, RetryPolicy(), duration=0.0)
        self.used[number] = settled.used
        if settled.state is DeliveryState.PENDING:
            heappush(self.due, (self.now + settled.wait, order, number))
        elif isinstance(outcome, Rejected):
            self.rejected.append(number)
        elif isinstance(outcome, Retry):
            self.given_up.append(number)


@st.composite
def mixes(draw):
    """How many events there are, and which of them are bad: none to all, here and there or in a row."""
    count = draw(st.integers(1, 260))
    numbers = draw(st.permutations(range(count))) if draw(st.booleans()) else [*range(count)]
    few = draw(st.integers(0, min(count, 6)))
    bad = {*numbers[:few]} if draw(st.booleans()) else {*numbers[few:]}
    return count, bad


PLACES = st.sampled_from([{}, {"takes": 3.0}, {"takes": 0.5, "all_refused_until": 120.0}])


@hypothesis(max_examples=120, deadline=None, derandomize=True, database=None)
@given(mixes(), PLACES)
@example((40, {*range(40)} - {33}), {})
@example((100, {*range(99)}), {"takes": 3.0})
@example((260, {*range(0, 260, 2)}), {"takes": 0.5, "all_refused_until": 120.0})
@example((100, {*range(100)} - {90}), {"takes": 0.5, "all_refused_until": 120.0})
def test_only_bad_events_are_dead_in_any_mix(mix, place):
    """Every good event is delivered once, however many bad ones there are beside it; what is dead is bad, and was refused alone;
    no call makes more requests than it may.
    """
    count, bad = mix
    line = Line(count, bad, **place)
    anyio.run(line.run)

    left = {number for *_, number in line.due}
    dead = {*line.rejected, *line.given_up}
    assert line.delivered == Counter({*range(count)} - bad)
    assert dead <= bad & line.alone
    assert dead | left == bad
    assert max(line.posts_of_a_call) <= MAX_REQUESTS


@pytest.mark.parametrize("bad", [{0}, {*range(0, 100, 3)}, {*range(0, 100, 2)}, {*range(100)} - {50}])
def test_bad_events_are_dead_soon(bad):
    """None waits for the end of its schedule, as long as good ones come: here one every ten seconds."""
    line = Line(100, bad)
    line.due += [(10.0 * number, number, 100 + number) for number in range(1, 4)]
    anyio.run(line.run)

    assert sorted(line.rejected) == sorted(bad)
    assert line.now < 60
    assert sum(line.posts_of_a_call) < 400


def test_a_place_that_refuses_everything_costs_no_event_and_few_requests():
    """While nothing is taken no event is given up; once the place takes events all of them arrive."""
    line = Line(250, set(), all_refused_until=600.0)
    anyio.run(line.run)

    assert line.delivered == Counter(range(250))
    assert line.rejected == line.given_up == []
