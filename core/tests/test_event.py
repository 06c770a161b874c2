"""The event: its id, its bytes, and what a client's input may not break."""

import json
import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from supertokens_events.event import (
    Actor,
    Context,
    Event,
    derived_event_id,
    event_type,
    iso_timestamp,
    new_event_id,
    with_sequence,
)

ALPHABET = set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")

# text() leaves out lone surrogates, so the characters are put together here
any_text = st.lists(st.characters() | st.sampled_from("\ud800\udbff\udfff"), max_size=20).map("".join)
clean_text = st.text(max_size=20)  # whatever UTF-8 can say
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | clean_text
documents = st.dictionaries(
    clean_text,
    st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(clean_text, inner, max_size=3)),
    max_size=4,
)
hostile = st.recursive(
    scalars | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
)
timestamps = st.datetimes(timezones=st.timezones() | st.just(UTC))


class TestId:
    def test_form(self):
        """An id is 'evt_' and 26 characters of Crockford's alphabet: no '.', which would break a signature's text."""
        prefix, _, ulid = new_event_id().partition("_")

        assert prefix == "evt"
        assert len(ulid) == 26
        assert set(ulid) <= ALPHABET

    @given(st.lists(st.integers(0, 2**38), min_size=2, max_size=10))
    def test_order(self, moments):
        """Ids sort by the time they were made at."""
        ids = {new_event_id(moment): moment for moment in moments}

        assert [ids[new_id] for new_id in sorted(ids)] == sorted(moments)

    def test_unique(self):
        """Ten thousand ids of the same millisecond are ten thousand ids."""
        assert len({new_event_id(1.0) for _ in range(10_000)}) == 10_000


class TestType:
    @pytest.mark.parametrize("name", ["user.created", "user.sign_in.failed", "a.b", "_._", "app2.x_1.y"])
    def test_valid(self, name):
        """Two or more parts of lower-case letters, digits and underscores are a type."""
        assert event_type(name) == name

    @pytest.mark.parametrize(
        "name",
        ["", "user", "User.created", "user.", ".user", "user..created", "user created.x", "user.créé", "a.b\n", "*.b"],
    )
    def test_invalid(self, name):
        """Anything else is refused with its name and an example of a good one."""
        with pytest.raises(ValueError, match=r"is not an event type: expected .* such as 'user.created'"):
            event_type(name)

    def test_event_checks_its_type(self):
        """No event has a type that is not one."""
        with pytest.raises(ValidationError):
            Event(type="signup")


class TestBytes:
    @given(documents, documents, timestamps, any_text, any_text)
    def test_round_trip(self, data, context, timestamp, user_id, tenant_id):
        """What JSON can say comes back as it went in, and so does the event around it."""
        event = Event(
            type="app.tested",
            timestamp=timestamp,
            data=data,
            context={f"x_{key}": value for key, value in context.items() if value is not None},
            user_id=user_id,
            tenant_id=tenant_id,
            actor=Actor(type="user", session_handle="s"),
        )

        back = Event.from_bytes(event.to_bytes())

        assert back == event

    @given(hostile, hostile, any_text)
    def test_anything_becomes_json(self, value, context, user_agent):
        """Lone surrogates, NaN and infinity never cost an event: its bytes are JSON in UTF-8 all the same."""
        event = Event(type="app.tested", data={"value": value}, context=Context(user_agent=user_agent, x=context))

        document = json.loads(event.to_bytes(), parse_constant=pytest.fail)

        assert set(document["data"]) == {"value"}
        assert Event.from_bytes(event.to_bytes()).id == event.id

    @given(documents, st.integers(1, 2**63 - 1))
    def test_sequence_is_all_that_changes(self, data, sequence):
        """with_sequence adds the sequence at the end and leaves every other byte as it is."""
        body = Event(type="app.tested", data=data).to_bytes()

        numbered = with_sequence(body, sequence)

        assert numbered.startswith(body[:-1])
        assert json.loads(numbered) == json.loads(body) | {"sequence": sequence}

    @given(any_text)
    def test_ids_can_be_stored(self, text):
        """The fields that a store has columns for hold no lone surrogate, whatever a client sent."""
        event = Event(type="app.tested", user_id=text, tenant_id=text, correlation_id=text, source=text)

        for field in (event.user_id, event.tenant_id, event.correlation_id, event.source):
            field.encode("utf-8")
        assert len(event.user_id) == len(text)

    def test_envelope(self):
        """The keys stand in the promised order, absent context and actor fields are left out, absent ids are null."""
        event = Event(
            id="evt_1",
            type="user.created",
            timestamp=datetime(2026, 11, 23, 7, 15, 22, 104533, UTC),
            context=Context(ip="192.0.2.1"),
            data={"n": math.nan},
        )

        assert event.to_bytes() == (
            b'{"id":"evt_1","type":"user.created","timestamp":"2026-11-23T07:15:22.104533Z","schema_version":1,'
            b'"source":null,"tenant_id":null,"user_id":null,"correlation_id":null,"actor":{"type":"unknown"},'
            b'"context":{"ip":"192.0.2.1"},"data":{"n":null}}'
        )

    def test_unknown_field(self):
        """An event with a field that no event has is refused."""
        with pytest.raises(ValidationError):
            Event.from_bytes(b'{"type": "user.created", "password": "x"}')


class TestTimestamp:
    @given(timestamps)
    def test_said_in_utc(self, moment):
        """A timestamp is kept in UTC with microseconds, whatever its zone and year."""
        event = Event(type="app.tested", timestamp=moment)

        assert event.timestamp == moment
        assert event.timestamp.utcoffset() == timedelta(0)
        assert datetime.fromisoformat(iso_timestamp(event.timestamp)) == moment
        assert len(iso_timestamp(event.timestamp)) == 27

    @pytest.mark.parametrize(
        "moment",
        [datetime(2026, 1, 1), datetime.min.replace(tzinfo=timezone(timedelta(hours=5)))],  # noqa: DTZ001
        ids=["no zone", "before the year 1"],
    )
    def test_invalid(self, moment):
        """A time without a zone, or outside UTC's years, is a validation error and nothing worse."""
        with pytest.raises(ValidationError, match="a timestamp"):
            Event(type="app.tested", timestamp=moment)


def test_a_derived_id_follows_from_what_it_says():
    """The same for the same time and parts, another for others; it sorts by its time, and is as any other id."""
    first = derived_event_id(1_700_000_000_000, "backfill:crm", "user.created", "ada")

    assert first == derived_event_id(1_700_000_000_000, "backfill:crm", "user.created", "ada")
    assert first != derived_event_id(1_700_000_000_000, "backfill:crm", "user.createda", "da")
    assert first < derived_event_id(1_700_000_000_001, "backfill:crm", "user.created", "ada") < new_event_id()
    assert len(first) == len(new_event_id())
