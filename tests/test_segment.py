"""A user's story in a real app, as Segment hears it."""

from __future__ import annotations

from itertools import chain

import anyio

from apps.browser import EMAIL, PASSWORD, story, tell_story
from apps.running import configuration
from doubles.segment import WRITE_KEY, SegmentDouble
from supertokens_events import Events


def configured(folder, url) -> Events:
    sink = {
        "type": "segment",
        "events": ["*"],
        "write_key": WRITE_KEY,
        "endpoint": url,
        "allow_http": True,
        "allow_networks": ["127.0.0.0/8"],
    }
    return Events.from_dict(configuration(folder, sinks={"analytics": sink}))


def test_segment_hears_the_story(run_app, tmp_path) -> None:
    """Signed up, in and out by Segment's own names, all of one user; no address, browser or password; nothing is dropped."""

    async def tell() -> SegmentDouble:
        async with SegmentDouble() as segment:
            events = configured(tmp_path, segment.url)
            with run_app("fastapi", events) as app, app.browser(user_agent="Story/1.0") as browser:
                await anyio.to_thread.run_sync(tell_story, browser)
            await events.dispatcher().run_until_empty()
            await anyio.to_thread.run_sync(events.stop)
        return segment

    segment = anyio.run(tell)
    said = b"".join(request.body for request in segment.requests).decode()
    tracked = [message for message in segment.messages if message["type"] == "track"]
    users = {message["userId"] for message in tracked if "userId" in message}

    assert {"Signed Up", "Signed In", "Signed Out"} <= {message["event"] for message in tracked}
    assert len(tracked) == len(story())
    assert len(users) == 1
    assert {*chain(*(message["context"] for message in segment.messages))} == {"library"}
    assert "Story/1.0" not in said
    assert EMAIL not in said
    assert PASSWORD not in said
    assert segment.dropped == []
