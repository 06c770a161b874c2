"""What a person does when something is wrong, as functions: pace, refusals, what comes later. The rest: core/tests/test_cli."""

from __future__ import annotations

import itertools

import pytest

from supertokens_events import hookimpl
from supertokens_events.config import load_settings
from supertokens_events.event import new_event_id
from supertokens_events.operate.following import following
from supertokens_events.operate.identity import made_at
from supertokens_events.operate.replay import Asked, Replay, ReplayRefused, operator, select
from supertokens_events.operate.words import age_in_words
from supertokens_events.outbox import DeliveryState, Entry, NewDelivery, Selection
from supertokens_events.outbox.replaying import LIVE
from supertokens_events.sink import Delivered, Sink
from supertokens_events.testing import FakeClock, sample_event


class Box(Sink):
    type = "box"

    async def deliver(self, deliveries):
        return [Delivered()] * len(deliveries)


class BoxPlugin:
    @hookimpl
    def register_sink_types(self):
        return [Box]


@pytest.fixture
def sinks(make_plugins):
    """Two sinks; the second is turned off."""
    box = {"type": "box", "events": ["user.*"]}
    return load_settings({"sinks": {"crm": box, "off": box | {"enabled": False}}}, make_plugins(BoxPlugin())).sinks


@pytest.fixture
def lost(outbox):
    """Ten dead letters of the first sink."""
    events = [sample_event() for _ in range(10)]
    dead = [NewDelivery("crm", DeliveryState.DEAD, "gone")]
    outbox.append([Entry(event, event.to_bytes(), dead) for event in events])
    return [event.id for event in events]


def pending(outbox):
    return len(outbox.deliveries(state=DeliveryState.PENDING))


def test_a_rate(outbox, clock, lost):
    """No more become due than the rate allows, from the first on, and no fewer."""
    replay = Replay(outbox, Selection("crm"), by="ada", rate=2.0, clock=clock, sleep=clock.advance)
    began = clock()

    seen = [(clock() - began, so_far.due) for so_far in replay.steps()]

    assert len(lost) == seen[-1][1] == pending(outbox)
    assert seen[:10] == [(0.5 * number, number + 1) for number in range(10)]


def test_a_slow_rate(outbox, clock, lost):
    """A replay that waits long for its next one is under way all the same: nobody takes it for interrupted."""
    replay = Replay(outbox, Selection("crm"), by="ada", rate=1 / 300, clock=clock, sleep=clock.advance)
    steps = replay.steps()
    next(steps), next(steps)
    assert clock() > replay.run.began_at + LIVE

    other = outbox.begin_replay(Selection("crm"), asked="something else", by="bob")

    assert other.since == replay.run.since


def test_words_are_the_selection(outbox, lost):
    """Without words of its own, the same selection goes on with what was interrupted."""
    first = Replay(outbox, Selection("crm", types=("user.created",)), by="ada", rate=1.0, sleep=lambda _seconds: None)
    next(first.steps())
    second = Replay(outbox, Selection("crm", types=("user.created",)), by="bob")

    assert list(second.steps())[-1].due == len(lost) - 1
    assert (second.run.resumed, second.run.by) == (True, "ada")


@pytest.mark.parametrize("by", ["", " ", "a\x1b[31m", "x" * 201])
def test_nobody(outbox, by):
    """Whoever replays has a name that can be shown."""
    with pytest.raises(ReplayRefused, match="say who replays"):
        Replay(outbox, Selection("crm"), by=by)


@pytest.mark.parametrize("rate", [0.0, -1.0, float("inf"), float("nan")])
def test_no_rate(outbox, rate):
    """A rate is a number above zero."""
    with pytest.raises(ReplayRefused, match="a rate is"):
        Replay(outbox, Selection("crm"), by="ada", rate=rate)


def test_somebody_runs_this():
    """The user who runs a process has a name or a number."""
    assert operator().strip()


def test_ids_to_a_sink_that_is_off(outbox, sinks):
    """Events that are named are refused as a whole when one of them would go to a sink that can get nothing."""
    event = sample_event()
    outbox.append([Entry(event, event.to_bytes(), [NewDelivery("off", DeliveryState.DEAD, "gone")])])

    with pytest.raises(ReplayRefused, match="the sink 'off' is turned off"):
        select(outbox, sinks, Asked([event.id]))
    assert select(outbox, sinks, Asked([event.id], state=DeliveryState.SKIPPED)).event_ids == (event.id,)
    assert select(outbox, sinks, Asked([event.id], to="crm")).target == "crm"


def test_to_itself(outbox, sinks):
    """To the sink itself is no other sink."""
    assert select(outbox, sinks, Asked(sink="crm", to="crm")).to is None


def test_following():
    """What is found is told page by page, after the last one; while there is nothing, it waits."""
    found = iter([[], [1, 2], [], [3]])
    asked, waited = [], []

    def read(after):
        asked.append(after)
        return next(found)

    pages = following(read, None, cursor=lambda row: row, start=0, sleep=waited.append)

    assert list(itertools.islice(pages, 2)) == [[1, 2], [3]]
    assert asked == [None, 0, 2, 2]
    assert len(waited) == 2


def test_the_time_of_an_id():
    """An id says when it was made; what is no id says nothing."""
    clock = FakeClock()

    assert made_at(new_event_id(clock())) == pytest.approx(clock(), abs=0.001)
    assert made_at("evt_") is None
    assert made_at("evt_" + "I" * 26) is None


@pytest.mark.parametrize(("seconds", "words"), [(90 * 86400.0, "90 d"), (3600.0, "1 h"), (90000.0, "25 h")])
def test_ages(seconds, words):
    """Whole days are days."""
    assert age_in_words(seconds) == words
