"""The double of Segment: it enforces what Segment documents, whoever talks to it."""

import base64
import json

import httpx
import pytest

from doubles.segment import WRITE_KEY, SegmentDouble

pytestmark = pytest.mark.anyio


def message(**changes):
    made = {"type": "track", "userId": "u1", "event": "Signed In", "messageId": "m1"} | changes
    return {name: value for name, value in made.items() if value is not None}


async def post(double, *batch, body=None, key=WRITE_KEY, path="/v1/batch", method="POST"):
    content = json.dumps({"batch": batch}).encode() if body is None else body
    async with httpx.AsyncClient(verify=False) as client:
        return await client.request(method, f"http://{double.host}{path}", content=content, auth=(key, ""))


async def test_it_takes_a_batch(segment):
    """What is good is taken, and said to be."""
    answer = await post(segment, message(), message(messageId="m2", type="identify"))

    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert [one["messageId"] for one in segment.messages] == ["m1", "m2"]


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"userId": None}, "no_user_anon_id"),
        ({"event": None}, "no event"),
        ({"type": "shout"}, "no such type"),
        ({"type": "group"}, "no groupId"),
        ({"type": "alias"}, "no previousId"),
        ({"messageId": "m" * 100}, "messageId"),
    ],
)
async def test_it_says_200_and_drops(segment, changes, flaw):
    """What Segment cannot use it takes and drops without a word."""
    answer = await post(segment, message(**changes))

    assert answer.status_code == 200
    assert [why for why, _ in segment.dropped] == [flaw]
    assert segment.messages == []


async def test_it_drops_too_many_messages(segment):
    """More than 2,500 at once are taken and dropped."""
    answer = await post(segment, *(message(messageId=f"m{number}") for number in range(2501)))

    assert answer.status_code == 200
    assert len(segment.dropped) == 2501


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b"{}", b'{"batch":[7]}', b'{"batch":[{"n":NaN}]}', b" " * 500_001], ids=len
)
async def test_it_refuses_what_is_no_batch(segment, body):
    """A body that is no JSON, no batch, or larger than 500 KB."""
    answer = await post(segment, body=body)

    assert answer.status_code == 400
    assert answer.json().keys() == {"success", "message", "code"}


async def test_it_refuses_a_batch_with_a_message_too_large(segment):
    """One message above 32 KB, and the whole batch is refused."""
    answer = await post(segment, message(), message(messageId="m2", properties={"text": "x" * 32_768}))

    assert answer.status_code == 400
    assert segment.messages == []


@pytest.mark.parametrize("key", ["", "another", base64.b64encode(WRITE_KEY.encode()).decode()])
async def test_it_refuses_another_key(segment, key):
    """Only the source's write key is let in."""
    assert (await post(segment, message(), key=key)).status_code == 401


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/batch"), ("POST", "/v1/track"), ("POST", "/")])
async def test_it_has_one_place(segment, method, path):
    """Batches are posted to /v1/batch and nowhere else."""
    assert (await post(segment, message(), method=method, path=path)).status_code == 404


async def test_it_has_a_rate():
    """Above its rate it says when to come again, in both headers."""
    async with SegmentDouble(rate=0) as segment:
        answer = await post(segment, message())

    assert answer.status_code == 429
    assert answer.headers["retry-after"] == answer.headers["x-ratelimit-reset"] == "1"
