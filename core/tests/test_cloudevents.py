"""CloudEvents: what the attributes say, and that the event itself is in there as it was stored."""

import json

from supertokens_events import cloudevents
from supertokens_events.event import with_sequence
from supertokens_events.sink import Delivery
from supertokens_events.testing import sample_event


def stored(**fields):
    event = sample_event("user.created", **fields)
    body = with_sequence(event.to_bytes(), 7)
    return Delivery("any", event.id, event.type, 7, event.tenant_id, event.user_id, body)


def test_a_structured_event_holds_the_stored_one():
    """The attributes come first, and then ``data``, byte for byte what was stored."""
    one = stored(source="https://api.example.com/a b")

    made = cloudevents.structured(one, one.body)

    assert made.endswith(b',"data":' + one.body + b"}")
    said = json.loads(made)
    assert said.pop("data") == json.loads(one.body)
    assert said == cloudevents.attributes(one)
    assert (said["specversion"], said["id"], said["source"]) == ("1.0", one.event_id, "https://api.example.com/a%20b")


def test_what_is_not_known_is_left_out():
    """An event about nobody, of an app that has not said who it is, has what CloudEvents requires and no more."""
    said = cloudevents.attributes(stored(user_id=None, tenant_id=None))

    assert said["source"] == cloudevents.UNKNOWN_SOURCE
    assert not {"subject", "tenantid", "correlationid"} & said.keys()


def test_attributes_are_strings_of_cloudevents():
    """A control character of a user's is replaced; a header has nothing but visible ASCII."""
    one = stored(user_id="a\r\nX-Evil: ö")

    assert cloudevents.attributes(one)["subject"] == "a\ufffd\ufffdX-Evil: ö"
    assert cloudevents.headers(one)["ce-subject"].isascii()
    assert "\n" not in "".join(cloudevents.headers(one).values())
