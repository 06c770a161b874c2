"""What each answer comes to, and how the event that Segment refuses is found."""

import json

import pytest
from segment_kit import deliver, deliveries, delivery, opened, segment_sink

from doubles.segment import SegmentDouble, answer
from supertokens_events.sink import Delivered, Rejected, Retry
from supertokens_events_segment.answers import Refused
from supertokens_events_segment.batches import Parcel
from supertokens_events_segment.sending import MAX_REQUESTS, Sending
from supertokens_events_segment.verdicts import Verdicts

pytestmark = pytest.mark.anyio

OK = Delivered({"status": 200})
HTML = b"<!doctype html><title>Sign in to the guest network</title>"


async def outcome_of(segment, *answers, sent=None):
    segment.answers.extend(answers)
    (outcome,) = await deliver(segment_sink(segment.url), *(sent or [delivery()]))
    return outcome


# One answer


@pytest.mark.parametrize("status", ["200 OK", "201 Made", "202 Later", "204 Nothing"])
async def test_2xx_is_success(segment, status):
    """Any of them, also with nothing to say."""
    assert await outcome_of(segment, answer(status)) == Delivered({"status": int(status[:3])})


@pytest.mark.parametrize(
    "body",
    [
        b'{"success":true}',
        b'{"success": true, "more": 1}',
        b'{"success":true,"error":null}',
        b"{}",
        b'{"ok":true}',
        b"ok",
        b"OK\n",
        b'"ok"',
        b" ",
    ],
)
async def test_a_200_that_says_nothing_against_it_is_success(segment, body):
    """Segment's own answer, and those of servers that speak its API."""
    assert await outcome_of(segment, answer("200 OK", body=body)) == OK


@pytest.mark.parametrize(
    "body",
    [
        HTML,
        b'{"success":false}',
        b'{"success":"false"}',
        b'{"success":"true"}',
        b'{"success":null}',
        b'{"success":1}',
        b'{"ok":false}',
        b'{"error":"x"}',
        b'{"success":true,"errors":["x"]}',
        b"[]",
        b"7",
        b"\xff\xfe\x00",
        b"\x1f\x8b\x08garbage",
        b'{"success":',
        b"[" * 60_000,
        b"x" * 200_000,
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
async def test_a_200_that_is_not_segments_is_not_believed(segment, body):
    """A page of a proxy, garbage, or a 200 that says no: nothing is lost, and the reason says what stood there."""
    outcome = await outcome_of(segment, answer("200 OK", body=body))

    assert isinstance(outcome, Retry)
    assert outcome.away
    assert outcome.reason == f"{segment.host} answered 200 OK, but what it said is not Segment's: what stands there?"


@pytest.mark.parametrize("status", [408, 410, 429, 460, 500, 502, 503, 504, 507, 511, 520, 599])
async def test_what_segments_libraries_try_again_is_tried_again(segment, status):
    """The statuses that Segment's own libraries retry."""
    outcome = await outcome_of(segment, answer(f"{status} Later"))

    assert isinstance(outcome, Retry)
    assert outcome.detail["status"] == status
    assert outcome.away == (status != 500)
    assert outcome.counts == (status != 429)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_waits_for_the_right_one(segment, status):
    """Nothing is lost while a person mends the key; the reason says which setting it is."""
    outcome = await outcome_of(segment, answer(f"{status} No"))

    assert isinstance(outcome, Retry)
    assert outcome.away
    assert outcome.reason.endswith(": is write_key the key of this source?")


async def test_the_key_is_the_sources(segment):
    """Segment itself refuses another key."""
    (outcome,) = await deliver(segment_sink(segment.url, write_key="another"))

    assert outcome.detail["status"] == 401
    assert segment.messages == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(segment, status):
    """A redirect waits for a person to configure the final address."""
    outcome = await outcome_of(segment, answer(f"{status} Moved", f"Location: {segment.url}"))

    assert isinstance(outcome, Retry)
    assert outcome.away
    assert len(segment.requests) == 1


@pytest.mark.parametrize("status", [402, 404, 405, 415, 418, 501, 505])
async def test_what_segments_libraries_never_try_again_disables_the_sink(segment, status):
    """It is the endpoint that is wrong: one event says so, and the sink is disabled; the others are kept."""
    segment.answers.append(answer(f"{status} No"))
    first, *others = await deliver(segment_sink(segment.url), *deliveries(150))

    assert isinstance(first, Rejected)
    assert first.disables
    assert first.reason.endswith(": is endpoint that of Segment?")
    assert {type(other) for other in others} == {Retry}
    assert {other.counts for other in others} == {False}
    assert len(segment.requests) == 1


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        (["Retry-After: 7"], 7.0),
        (["X-RateLimit-Reset: 9"], 9.0),
        (["Retry-After: 7", "X-RateLimit-Reset: 9"], 7.0),
        (["Retry-After: soon"], None),
        ([], None),
    ],
)
async def test_it_is_asked_again_when_it_says(segment, headers, after):
    """The wait that 429 asks for, in either of Segment's two headers."""
    outcome = await outcome_of(segment, answer("429 Too Many Requests", *headers))

    assert (outcome.after, outcome.counts, outcome.away) == (after, False, True)


async def test_above_its_rate_segment_asks_for_patience():
    """What the double's own limit says is understood."""
    async with SegmentDouble(rate=0) as segment:
        (outcome,) = await deliver(segment_sink(segment.url))

    assert (outcome.after, outcome.away) == (1.0, True)


async def test_no_answer_is_away(segment):
    """A connection that closes without an answer: nothing is lost."""
    outcome = await outcome_of(segment, None)

    assert isinstance(outcome, Retry)
    assert outcome.away
    assert "closed the connection before it answered" in outcome.reason


@pytest.mark.parametrize(
    "garbage",
    [b"\x00\xff\x00", b"HTTP/9 oh\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 200\r\nbad header\r\n\r\n"],
)
async def test_what_is_not_http_is_away(segment, garbage):
    """Something else listens there: one clear reason, nothing lost."""
    outcome = await outcome_of(segment, garbage)

    assert isinstance(outcome, Retry)
    assert outcome.away


async def test_it_is_not_waited_for_for_ever():
    """A Segment that takes the request and says nothing is left after the timeout."""
    async with SegmentDouble() as segment:
        segment.answers.append(b"HTTP/1.1 200 OK\r\ncontent-le")
        (outcome,) = await deliver(segment_sink(segment.url, timeout="50ms"))

    assert isinstance(outcome, Retry)
    assert outcome.away
    assert outcome.reason.endswith("did not answer in time")


# The one that is refused


def refusing(*ids):
    return SegmentDouble(refuses=lambda message: message["messageId"] in ids)


@pytest.mark.parametrize("bad", [[0], [99], [37], [0, 99], [10, 11], [3, 50, 51, 98], [0, 1, 2, 3, 4], [*range(8)]])
async def test_only_the_bad_event_is_dead(bad):
    """A 400 is halved until those are alone that Segment refuses; every other event of the batch arrives, once."""
    events = deliveries(100)
    async with refusing(*(events[number].event_id for number in bad)) as segment:
        outcomes = await deliver(segment_sink(segment.url), *events)

    rejected = [number for number, outcome in enumerate(outcomes) if isinstance(outcome, Rejected)]
    assert rejected == bad
    assert "answered 400 Bad Request, to this event alone" in outcomes[bad[0]].reason
    assert "a message is not acceptable" in outcomes[bad[0]].detail["answer"]
    assert len(segment.messages) == 100 - len(bad)
    assert segment.dropped == []
    assert len(segment.requests) <= 1 + (2 * 7 + 1) * len(bad)


async def test_an_event_is_refused_as_a_whole():
    """Where one of its messages is refused none of them is taken."""
    stored = delivery("user.created")
    async with refusing(f"{stored.event_id}-identify") as segment:
        good, bad = await deliver(segment_sink(segment.url), delivery(), stored)

    assert good == OK
    assert isinstance(bad, Rejected)
    assert len(segment.messages) == 1


@pytest.mark.parametrize("status", ["413 Too Large", "422 No"])
async def test_413_is_halved_too(segment, status):
    """So is what is too large, and what cannot be processed."""
    segment.answers.extend([answer(status), answer(status)])
    outcomes = await deliver(segment_sink(segment.url), *deliveries(8))

    assert outcomes == [OK] * 8
    assert [len(request.batch) for request in segment.requests] == [8, 4, 2, 2, 4]


async def test_one_event_too_large_for_segment_is_dead_with_its_size(segment):
    """A 413 to one event alone says how many bytes that was."""
    segment.answers.extend([answer("413 Too Large"), answer("200 OK"), answer("413 Too Large")])
    other, outcome = await deliver(segment_sink(segment.url), *deliveries(2))

    assert isinstance(outcome, Rejected)
    assert 250 < outcome.detail["bytes"] < 500
    assert other == OK


async def test_a_place_that_comes_back_in_a_call_costs_no_event(segment):
    """What was refused before anything was taken in this call is asked for once more, and is not dead for it."""
    segment.answers.extend([answer("400 Bad Request")] * 3)  # the batch, its half, and the first event alone
    outcomes = await deliver(segment_sink(segment.url), *deliveries(4))

    assert outcomes == [OK] * 4
    assert [len(request.batch) for request in segment.requests] == [4, 2, 1, 1, 2, 1]


@pytest.mark.parametrize("count", [1, 2, 6, 100])
async def test_a_place_that_refuses_everything_costs_no_event(segment, count):
    """When nothing is taken it may be the place: every event is kept, those refused alone on the schedule."""
    segment.answers.extend([answer("400 Bad Request")] * 300)
    outcomes = await deliver(segment_sink(segment.url), *deliveries(count))
    alone = {json.dumps(request.batch) for request in segment.requests if len(request.batch) == 1}

    assert {type(outcome) for outcome in outcomes} == {Retry}
    assert sum(outcome.counts for outcome in outcomes) == len(alone) >= min(count, 50)
    assert outcomes[0].reason == (
        f"{segment.host} answered 400 Bad Request, to this event alone; no other has been taken since: is it the event?"
    )
    assert len(segment.requests) <= MAX_REQUESTS


async def test_what_is_refused_before_and_after_another_is_taken_is_dead():
    """An event that was refused alone is given up when it is again, and Segment has taken something meanwhile: not sooner."""
    bad, good = deliveries(2)
    async with refusing(bad.event_id) as segment, opened(segment_sink(segment.url)) as sink:
        first, second, taken, third = [(await sink.deliver([one]))[0] for one in (bad, bad, good, bad)]

    assert [type(outcome) for outcome in (first, second, taken, third)] == [Retry, Retry, Delivered, Rejected]


async def test_what_was_taken_long_ago_is_no_evidence():
    """A place that took events and then refuses everything costs none of those that come afterwards."""
    async with SegmentDouble() as segment, opened(segment_sink(segment.url)) as sink:
        await sink.deliver(deliveries(10))
        segment.answers.extend([answer("400 Bad Request")] * 300)
        outcomes = [outcome for one in deliveries(20) for outcome in await sink.deliver([one])]

    assert {type(outcome) for outcome in outcomes} == {Retry}


@pytest.mark.parametrize("count", [6, 8, 10, 12, 14, 16, 20, 25, 30, 50])
async def test_one_good_event_among_bad_ones_is_found_wherever_it_stands(count):
    """One call finds it, and has posted all the others alone: they are dead now, or when they are refused once more."""
    for good in range(count):
        post, posted = posting(lambda batch: OK if [one.position for one in batch] == [good] else Refused("no"))  # noqa: B023
        sending = Sending(post, Verdicts(), until=100, clock=lambda: 0)
        await sending.send(parcels(count))

        assert sending.outcomes.pop(good) == OK
        assert all(isinstance(outcome, Rejected) or outcome.counts for outcome in sending.outcomes.values())
        assert {(number,) for number in range(count)} <= {tuple(batch) for batch, _ in posted}
        assert len(posted) <= MAX_REQUESTS


async def test_trouble_ends_the_search(segment):
    """When Segment wants patience in the middle of it nothing more is sent; what is known by then stands."""
    segment.answers.extend([answer("400 Bad Request"), answer("200 OK"), answer("429 Slow", "Retry-After: 3")])
    outcomes = await deliver(segment_sink(segment.url), *deliveries(8))

    assert outcomes[:4] == [OK] * 4
    assert {(type(outcome), outcome.after) for outcome in outcomes[4:]} == {(Retry, 3.0)}
    assert len(segment.requests) == 3


async def test_a_500_in_the_search_is_that_parts(segment):
    """A failure that may be one part's own does not stop the others."""
    segment.answers.extend([answer("400 Bad Request"), answer("500 Oh")])
    outcomes = await deliver(segment_sink(segment.url), *deliveries(4))

    assert [type(outcome) for outcome in outcomes] == [Retry, Retry, Delivered, Delivered]


def posting(respond):
    """A post that answers without a server, and what was posted."""
    posted = []

    async def post(batch, within):
        posted.append(([parcel.position for parcel in batch], within))
        return respond(batch)

    return post, posted


def parcels(count):
    return [Parcel(number, f"evt_{number}", [b"{}"]) for number in range(count)]


async def test_the_search_is_bounded():
    """However many are bad, a call makes so many requests at most; what is not found by then is looked for in the next."""
    post, posted = posting(lambda batch: Refused("no") if any(one.position % 2 for one in batch) else OK)
    sending = Sending(post, Verdicts(), until=100, clock=lambda: 0)
    await sending.send(parcels(100))

    kept = [outcome for outcome in sending.outcomes.values() if isinstance(outcome, Retry)]
    assert len(posted) == MAX_REQUESTS
    assert len(sending.outcomes) == 100
    assert {outcome.counts for outcome in kept} == {False}
    assert all(isinstance(sending.outcomes[n], Rejected) == (n % 2 == 1) for n in range(20))


async def test_each_request_is_within_the_call():
    """What is left of the call bounds each request, and none begins in its last second."""
    times = iter([0, 0, 30, 30, 43.5, 43.5])
    post, posted = posting(lambda batch: Refused("no") if len(batch) > 2 else OK)
    sending = Sending(post, Verdicts(), until=44, clock=lambda: next(times))
    await sending.send(parcels(4))

    assert [within for _, within in posted] == [44, 14]
    assert [type(sending.outcomes[n]) for n in range(4)] == [Delivered, Delivered, Retry, Retry]
