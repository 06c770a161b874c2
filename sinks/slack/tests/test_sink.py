"""The Slack sink against a double that enforces Slack's limits: what is posted where, how often, and what came of each event."""

import json
import re
from itertools import pairwise

import anyio
import pytest
from slack_sinks import deliver, delivery, raw

from doubles.slack import HANG, mentions, response, shown
from supertokens_events.sink import Delivered, Rejected, Retry
from supertokens_events_slack import register_sink_types
from supertokens_events_slack.pace import APART
from supertokens_events_slack.threads import LIFETIME, MOST, Threads

pytestmark = pytest.mark.anyio

THEFT = "session.token_theft_detected"
FAILED = "user.sign_in.failed"


# One event


async def test_an_event_is_a_message(slack, webhook):
    """One event is one message that says what happened, to whom, where from and when, with a text for notifications."""
    context = {"ip": "203.0.113.7", "user_agent": "curl/8"}
    (outcome,) = await deliver(webhook(), delivery(THEFT, context=context, timestamp="2026-11-23T07:15:22Z"))

    (message,) = slack.messages
    assert outcome == Delivered({"status": 200, "events": 1})
    assert "*Token theft detected* for user `7a1f3c52-6f0e-4a55-9d0b-1c4be2f7a9d1`" in message.text
    for part in ("Token theft", "203.0.113.7", "curl/8", "public", "2026-11-23 07:15:22 UTC", THEFT, f"evt_{1:026}"):
        assert part in shown(message)


async def test_a_message_with_a_token_names_its_channel(slack, app):
    """With a token the message goes to the channel of the settings, and the attempt says under which name it is there."""
    (outcome,) = await deliver(app())

    (message,) = slack.messages
    assert message.channel == "auth"
    assert outcome == Delivered({"status": 200, "ts": message.ts, "channel": "#auth", "events": 1})
    assert slack.requests[0].headers["authorization"] == f"Bearer {slack.token}"


async def test_nothing_is_unfurled(slack, webhook):
    """Slack is told to show no page that a value links to, and to make no link of a value."""
    await deliver(webhook(), delivery(data={"email": "https://evil.example.com"}))

    (message,) = slack.messages
    assert (message.payload["unfurl_links"], message.payload["unfurl_media"]) == (False, False)
    assert all(block["text"]["verbatim"] for block in message.blocks if "text" in block)


async def test_an_event_links_to_the_dashboard(slack, webhook):
    """`dashboard_url` with the event's fields in it is a link; its values are parts of a URL and nothing more."""
    sink = webhook(dashboard_url="https://admin.example.com/?user={user_id}&x=1")
    await deliver(sink, delivery(user_id="a/b|c>d&e"))

    link = "<https://admin.example.com/?user=a%2Fb%7Cc%3Ed%26e&amp;x=1|Open in the dashboard>"
    assert link in str(slack.messages[0].blocks)


async def test_an_event_without_the_field_has_no_link(slack, webhook):
    """What an event lacks is not linked to."""
    await deliver(
        webhook(dashboard_url="https://admin.example.com/{user_id}"), delivery("tenant.created", user_id=None)
    )

    assert "admin.example.com" not in shown(slack.messages[0])


async def test_a_text_of_ones_own(slack, webhook):
    """A template replaces the sentence of its type; its own markup is markup, the event's values are text."""
    sink = webhook(templates={"user.created": "<!here> *{data.email}* from {context.ip|tenant_id}, {timestamp}"})
    values = {"data": {"email": "<!channel>"}, "timestamp": "2026-11-23T07:15:22Z"}
    await deliver(sink, delivery(**values))

    (message,) = slack.messages
    assert message.text.startswith("<!here> *&lt;!channel&gt;* from public, <!date^1795418122^")
    assert mentions(message) == ["!here", "!here"]


# Many events


async def test_a_burst_is_one_message(slack, webhook):
    """500 events of three types are one message: counts by type, the worst first, the worst events told, and where from."""
    failures = [delivery(FAILED, n, user_id=f"u{n}", context={"ip": "203.0.113.7"}) for n in range(480)]
    others = [delivery("user.created", n, context={"ip": "198.51.100.1"}) for n in range(480, 499)]
    outcomes = await deliver(webhook(), *failures, *others, delivery(THEFT, 499))

    (message,) = slack.messages
    assert outcomes == [Delivered({"status": 200, "events": 500})] * 500
    assert message.text.endswith("500 events: 1 session.token_theft_detected, 480 user.sign_in.failed, 19 user.created")
    assert re.findall("^(\\d+) \N{MULTIPLICATION SIGN}.*`(.*)`$", shown(message), re.MULTILINE) == [
        ("1", THEFT),
        ("480", FAILED),
        ("19", "user.created"),
    ]
    assert "from 2 addresses, most from `203.0.113.7` (480)" in shown(message)
    assert shown(message).count("Token theft detected") == 1
    assert "and 495 more" in shown(message)
    assert "sequence 0 to 499" in shown(message)


async def test_a_few_events_are_all_told(slack, webhook):
    """A message about five events hides none of them."""
    await deliver(webhook(), *(delivery(FAILED, n, data={"email": f"u{n}@example.com"}) for n in range(5)))

    (message,) = slack.messages
    assert all(f"u{n}@example.com" in shown(message) for n in range(5))
    assert "more" not in shown(message)


async def test_a_mix_of_all_types(slack, webhook):
    """As many types as there are fit into one message: those beyond the twentieth are counted together."""
    types = [f"app.thing{n}.happened" for n in range(200)]
    outcomes = await deliver(webhook(), *(delivery(name, n) for n, name in enumerate(types)))

    assert {type(outcome) for outcome in outcomes} == {Delivered}
    assert "180 \N{MULTIPLICATION SIGN} 180 other types" in shown(slack.messages[0])


async def test_messages_are_a_second_apart(slack, webhook, time):
    """Calls that follow each other at once post a second apart, and Slack never has to ask for patience."""
    sink = webhook()
    await sink.open()
    for number in range(4):
        await sink.deliver([delivery(number=number)])
    await sink.close()

    times = [message.at for message in slack.messages]
    assert [later - earlier for earlier, later in pairwise(times)] == [APART] * 3
    assert len(slack.requests) == 4


async def test_calls_at_once_keep_the_second(slack, webhook):
    """Were somebody to configure more calls at once, their messages would be a second apart all the same."""
    sink = webhook()
    await sink.open()
    async with anyio.create_task_group() as calls:
        for number in range(3):
            calls.start_soon(sink.deliver, [delivery(number=number)])
    await sink.close()

    times = [message.at for message in slack.messages]
    assert [later - earlier for earlier, later in pairwise(times)] == [APART] * 2


async def test_a_name_that_is_none_is_not_kept(slack, app):
    """What Slack calls a message is a time; anything else in its place is neither kept nor answered to."""
    sink = app(threads="user")
    for ts in (slack.token, "1" * 5000, 5, None):
        slack.misbehave(response(200, json.dumps({"ok": True, "ts": ts}), "application/json"))
        assert await deliver(sink) == [Delivered({"status": 200, "channel": "#auth", "events": 1})]
    await deliver(sink)

    assert slack.messages[0].thread_ts is None


async def test_each_channel_has_its_own_second(slack, app, time):
    """Two channels are posted to without a wait between them."""
    sink = app(rules=[{"events": [THEFT], "channel": "oncall"}])
    await deliver(sink, delivery("user.created", 1), delivery(THEFT, 2))

    assert [message.channel for message in slack.messages] == ["auth", "oncall"]
    assert time.slept == []


async def test_a_channel_for_each_rule(slack, app):
    """The first rule whose patterns match says where an event goes; where none does, that is `channel`."""
    rules = [
        {"events": ["session.*", "!session.created"], "channel": "#oncall"},
        {"events": ["*.failed", "session.token_theft_detected"], "channel": "C03"},
    ]
    types = ["user.created", THEFT, "session.created", FAILED]
    outcomes = await deliver(app(rules=rules), *(delivery(name, n) for n, name in enumerate(types)))

    assert [outcome.detail["channel"] for outcome in outcomes] == ["#auth", "#oncall", "#auth", "C03"]
    assert [message.channel for message in slack.messages] == ["auth", "oncall", "audit"]


# A message that Slack refuses


async def test_the_bad_event_is_found(slack, webhook):
    """When Slack refuses a message for what is in it, halves of it are posted until the one event is found: that one is dead."""
    slack.refuses = lambda payload: "invalid_payload" if "poison" in str(payload) else None
    events = [delivery("user.created", n, data={"email": "a@example.com"}) for n in range(31)]
    bad = delivery(THEFT, 31, data={"session_handle": "poison"})
    outcomes = await deliver(webhook(), *events[:13], bad, *events[13:])

    assert outcomes[13].reason == f"{slack.host} answered invalid_payload"
    assert [type(outcome) for outcome in outcomes] == [Delivered] * 13 + [Rejected] + [Delivered] * 18
    assert not outcomes[13].disables
    assert sum(outcome.detail["events"] == 1 for outcome in outcomes if isinstance(outcome, Delivered)) < 5


@pytest.mark.parametrize(
    "error", ["no_text", "invalid_blocks", "msg_too_long", "msg_blocks_too_long", "invalid_arguments"]
)
async def test_a_message_that_a_token_cannot_post(slack, app, error):
    """The Web API's complaints about a message are about that message: the event is dead, the sink goes on."""
    slack.refuses = lambda _: error
    (outcome,) = await deliver(app())

    assert (type(outcome), outcome.disables) == (Rejected, False)
    assert outcome.reason == f"{slack.host} answered {error}"


async def test_a_call_ends_in_time(slack, webhook, time):
    """However many bad events there are, a call ends before its deadline; what had no turn has used up an attempt, for a message
    about it was refused.
    """
    slack.refuses = lambda payload: "invalid_payload"
    sink = webhook()
    began = time.now
    outcomes = await deliver(sink, *(delivery(number=n) for n in range(500)))

    assert time.now - began < sink.deadline
    assert {type(outcome) for outcome in outcomes} == {Rejected, Retry}
    assert outcomes[-1] == Retry(f"{slack.host} answered invalid_payload to a message about this event and others")


async def test_what_had_no_turn_waits_unharmed(slack, app, time):
    """More messages than a call has time for: the rest is due again, and has used up no attempt."""
    sink = app(threads="user")
    slack.refuses = lambda _: setattr(time, "now", time.now + 20)  # it takes its time
    outcomes = await deliver(sink, *(delivery(number=n, user_id=f"u{n}") for n in range(5)))

    assert [type(outcome) for outcome in outcomes] == [Delivered] * 3 + [Retry] * 2
    assert outcomes[-1] == Retry("other messages were first", counts=False)


async def test_channels_take_turns(slack, app, time):
    """While one channel's second passes, another one is posted to."""
    sink = app(rules=[{"events": [THEFT], "channel": "oncall"}], threads="user")
    kinds = ["user.created", "user.created", THEFT, THEFT]
    await deliver(sink, *(delivery(kind, n, user_id=f"u{n}") for n, kind in enumerate(kinds)))

    assert [message.channel for message in slack.messages] == ["auth", "oncall", "auth", "oncall"]
    assert time.slept == [APART]


# Threads


async def test_a_thread_for_each_user(slack, app):
    """The first message about a user begins a thread, the later ones answer in it."""
    sink = app(threads="user")
    await sink.open()
    for number, user in enumerate(["ada", "grace", "ada", "ada"]):
        await sink.deliver([delivery(number=number, user_id=user)])
    await sink.close()

    first, other, *answers = slack.messages
    assert (first.thread_ts, other.thread_ts) == (None, None)
    assert [message.thread_ts for message in answers] == [first.ts, first.ts]


async def test_a_thread_for_each_correlation(slack, app):
    """Events of one request are one thread, and one message where they come together."""
    sink = app(threads="correlation")
    await deliver(
        sink,
        delivery("user.created", 1, correlation_id="one"),
        delivery("session.created", 2, correlation_id="one"),
        delivery("user.created", 3, correlation_id="two"),
    )

    assert [message.text[:8] for message in slack.messages] == ["2 events", "`ada@exa"]


async def test_a_burst_makes_few_threads(slack, app):
    """Events of a hundred users that come together are five threads and one message about all the others."""
    outcomes = await deliver(app(threads="user"), *(delivery(number=n, user_id=f"u{n}") for n in range(100)))

    assert len(slack.messages) == 6
    assert [outcome.detail["events"] for outcome in outcomes] == [1] * 5 + [95] * 95


async def test_a_thread_that_is_known_goes_on_in_a_burst(slack, app):
    """In a burst a thread that has begun comes before new ones."""
    sink = app(threads="user")
    await sink.open()
    await sink.deliver([delivery(number=99, user_id="u99")])
    await sink.deliver([delivery(number=n, user_id=f"u{n}") for n in range(100)])
    await sink.close()

    assert slack.messages[1].thread_ts == slack.messages[0].ts


async def test_a_thread_whose_first_message_is_gone_begins_anew(slack, app):
    """When somebody deletes the message that a thread began with, the next one begins another."""
    sink = app(threads="user")
    await sink.open()
    await sink.deliver([delivery(number=1)])
    slack.messages.clear()
    (outcome,) = await sink.deliver([delivery(number=2)])
    await sink.deliver([delivery(number=3)])
    await sink.close()

    assert isinstance(outcome, Delivered)
    assert [message.thread_ts for message in slack.messages] == [None, slack.messages[0].ts]


async def test_a_thread_lasts_a_day(slack, app, time):
    """A day after it began a thread is begun anew: nobody looks for news below an old message."""
    sink = app(threads="user")
    await sink.open()
    await sink.deliver([delivery(number=1)])
    time.now += LIFETIME - 60
    await sink.deliver([delivery(number=2)])
    time.now += 120
    await sink.deliver([delivery(number=3)])
    await sink.close()

    first, answer, later = slack.messages
    assert (answer.thread_ts, later.thread_ts) == (first.ts, None)


def test_threads_are_bounded(time):
    """So many threads are remembered and no more; the one that was used longest ago goes first."""
    threads = Threads(time)
    for number in range(MOST):
        threads.begin("C01", f"u{number}", str(number))
    threads.find("C01", "u0")
    threads.begin("C01", "one more", "x")

    assert len(threads) == MOST
    assert [threads.find("C01", key) for key in ("u0", "u1", "one more")] == ["0", None, "x"]
    assert threads.find("C02", "u0") is None


# A place that wants no more

GONE = [(403, "invalid_token"), (403, "action_prohibited"), (404, "no_service"), (404, "channel_not_found")]
GONE += [(404, "user_not_found"), (410, "channel_is_archived"), (404, "no_team")]


@pytest.mark.parametrize(("status", "body"), GONE)
async def test_a_webhook_that_is_gone(slack, webhook, status, body):
    """What Slack says of a webhook that nobody can post to any more is final, and disables the sink."""
    slack.webhook_error = (status, body)
    (outcome,) = await deliver(webhook())

    assert isinstance(outcome, Rejected)
    assert outcome.disables
    assert outcome.reason.startswith(f"{slack.host} answered {body}")


async def test_only_one_delivery_pays_for_a_place_that_is_gone(slack, webhook):
    """Of a hundred events in a message one is dead with the reason; the others wait until the sink is enabled."""
    slack.channels["auth"].archived = True
    first, *others = await deliver(webhook(), *(delivery(number=n) for n in range(100)))

    assert first.disables
    assert {(type(outcome), outcome.counts) for outcome in others} == {(Retry, False)}


@pytest.mark.parametrize(
    "error", ["token_revoked", "account_inactive", "token_expired", "missing_scope", "org_login_required"]
)
async def test_a_token_that_is_gone(slack, app, error):
    """A token that is good for nothing any more disables the sink; nothing else is posted with it."""
    slack.token_error = error
    sink = app(rules=[{"events": [THEFT], "channel": "oncall"}])
    first, second = await deliver(sink, delivery(number=1), delivery(THEFT, 2))

    assert (first.disables, type(second)) == (True, Retry)
    assert first.reason.startswith(f"{slack.host} answered {error}")
    assert len(slack.requests) == 1


async def test_a_token_that_is_wrong(slack, app):
    """`invalid_auth` disables the sink, and the reason asks the right question."""
    (outcome,) = await deliver(app(token="xoxb-somebody-elses"))

    assert outcome.disables
    assert outcome.reason == f"{slack.host} answered invalid_auth: is the token right?"


async def test_the_only_channel_is_archived(slack, app):
    """A sink whose only channel takes no messages is disabled."""
    slack.channels["auth"].archived = True
    (outcome,) = await deliver(app())

    assert outcome.disables
    assert outcome.reason == (
        f"{slack.host} answered is_archived about the channel '#auth': unarchive it, or name another one"
    )


async def test_one_channel_of_several_is_away(slack, app):
    """Where rules name other channels, one that the app is not in costs its own events and no others."""
    slack.channels["oncall"].member = False
    sink = app(rules=[{"events": [THEFT], "channel": "oncall"}])
    theft, created = await deliver(sink, delivery(THEFT, 1), delivery(number=2))

    assert (type(theft), theft.disables, type(created)) == (Rejected, False, Delivered)
    assert theft.reason == f"{slack.host} answered not_in_channel about the channel 'oncall': invite the app to it"


# A place that asks for patience, or is away


async def test_slack_asks_for_patience(slack, webhook):
    """429 uses up no attempt, heeds `Retry-After`, and holds the sink."""
    slack.misbehave(response(429, "rate_limited", retry_after=30))
    (outcome,) = await deliver(webhook())

    assert (outcome.after, outcome.counts, outcome.away) == (30.0, False, True)


@pytest.mark.parametrize("error", ["ratelimited", "rate_limited", "message_limit_exceeded"])
async def test_slack_asks_for_patience_in_an_answer(slack, app, error):
    """The same where the Web API says it with 200; the other channels of the call are not asked either."""
    slack.misbehave(response(200, f'{{"ok": false, "error": "{error}"}}', "application/json", retry_after=7))
    sink = app(rules=[{"events": [THEFT], "channel": "oncall"}])
    outcomes = await deliver(sink, delivery(number=1), delivery(THEFT, 2))

    assert [(one.after, one.counts, one.away) for one in outcomes] == [(7.0, False, True)] * 2
    assert len(slack.requests) == 1


@pytest.mark.parametrize(("status", "away"), [(500, False), (502, True), (503, True)])
async def test_a_failure_of_slacks(slack, webhook, status, away):
    """5xx is tried again."""
    slack.misbehave(response(status, "rollup_error" if status == 500 else "oops"))
    (outcome,) = await deliver(webhook())

    assert isinstance(outcome, Retry)
    assert outcome.away is (away or status == 500)  # `rollup_error`: nobody's fault but Slack's


@pytest.mark.parametrize(
    ("error", "away"), [("internal_error", False), ("fatal_error", False), ("service_unavailable", True)]
)
async def test_a_failure_in_an_answer(slack, app, error, away):
    """What the Web API says of its own failures is tried again, and so is an error that nobody has heard of."""
    for said in (error, "an_error_of_tomorrow"):
        slack.misbehave(response(200, f'{{"ok": false, "error": "{said}"}}', "application/json"))
    first, second = [(await deliver(app()))[0] for _ in range(2)]

    assert (first.reason, first.away, first.counts) == (f"{slack.host} answered {error}", away, True)
    assert second.reason == f"{slack.host} answered an_error_of_tomorrow"


PAGE = "<!DOCTYPE html><html><title>Sign in to the Wi-Fi</title></html>"


@pytest.mark.parametrize(
    "body", [PAGE, "", "okay", "ok\n<p>", '{"ok": true', '{"ok": "yes"}', "[]", "\x00\xff", "null"]
)
async def test_a_200_that_is_not_slacks(slack, webhook, app, body):
    """A 200 from somebody who is not Slack delivers nothing: it is tried again, and the reason says so."""
    slack.misbehave(response(200, body), response(200, body))
    outcomes = [*await deliver(webhook()), *await deliver(app())]

    for outcome, expected in zip(outcomes, ("ok", "JSON with 'ok' in it"), strict=True):
        assert outcome.reason == f"{slack.host} answered 200 OK, but not with {expected} as Slack does"
        assert outcome.away


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_page_is_no_error_of_slacks(slack, webhook, status):
    """An error page from somebody in between is tried again: only Slack's own words are final."""
    slack.misbehave(response(status, PAGE))
    (outcome,) = await deliver(webhook())

    assert isinstance(outcome, Retry)
    assert outcome.detail["answer"].startswith("<!DOCTYPE")


async def test_a_slack_that_hangs(slack, webhook):
    """No answer in time is a retry, and the rest of the call does not wait for another one."""
    slack.misbehave(HANG)
    (outcome,) = await deliver(webhook(timeout=0.2))

    assert (outcome.reason, outcome.away) == (f"{slack.host} did not answer in time", True)


@pytest.mark.parametrize("start", [b"HTTP/1.1 20", b"HTTP/1.1 200 OK\r\ncontent-le"])
async def test_a_slack_that_closes_in_the_middle(slack, webhook, start):
    """A connection that ends within the head of the answer is a retry."""
    slack.misbehave(start)
    (outcome,) = await deliver(webhook())

    assert outcome.reason == f"{slack.host} closed the connection before it answered"


async def test_an_answer_that_ends_in_its_body(slack, app):
    """Half an answer is no answer of Slack's."""
    slack.misbehave(b'HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{"ok": true, "ts": "1')
    (outcome,) = await deliver(app())

    assert isinstance(outcome, Retry)
    assert outcome.away


async def test_a_word_of_the_url_is_no_error(slack, webhook):
    """An answer that is a part of the webhook's URL looks like an error of Slack's, and is not repeated."""
    slack.misbehave(response(404, "part_of_the_secret"))
    (outcome,) = await deliver(webhook(webhook_url=f"http://{slack.host}/services/t0/b0/part_of_the_secret"))

    assert outcome == Retry(f"{slack.host} answered 404 Not Found", detail={"status": 404, "answer": "***"})


STATUSES = (200, 201, 302, 400, 403, 404, 410, 413, 429, 500, 503)


@pytest.mark.parametrize("kind", ["webhook", "app"])
async def test_no_secret_is_kept_of_an_answer(slack, webhook, app, kind, caplog):
    """Somebody who answers with what we sent him, wherever he puts it, has none of it kept or logged."""
    caplog.set_level("DEBUG")
    sink, secret = (webhook(), slack.webhook_url) if kind == "webhook" else (app(), slack.token)
    path = secret.partition(slack.host)[2] or secret
    echo = f"no such thing: {secret} {path}"
    errors = [json.dumps({"ok": False, "error": said}) for said in (echo, secret, path.rpartition("/")[2].lower())]
    outcomes = []
    await sink.open()
    for status in STATUSES:
        for body in (echo.encode(), path.encode(), *(error.encode() for error in errors)):
            head = (
                f"HTTP/1.1 {status} {echo}\r\nserver: {echo}\r\nlocation: {echo}\r\ncontent-length: {len(body)}\r\n\r\n"
            )
            slack.misbehave(head.encode() + body)
            outcomes += await sink.deliver([delivery()])
    await sink.close()

    said = repr(outcomes) + caplog.text
    assert "no such thing" in said
    assert secret not in said
    assert path not in said
    assert path.rpartition("/")[2] not in said


async def test_a_body_that_is_no_event(slack, webhook):
    """What is stored and cannot be read still has a type and a user: that is said, and nobody waits for it."""
    bodies = [b"", b"\xff", b"[]", b'"x"', b"{}", b'{"data": [], "actor": "x", "context": 1, "timestamp": 5}']
    outcomes = await deliver(webhook(), *(raw(body, n) for n, body in enumerate(bodies)))

    assert {type(outcome) for outcome in outcomes} == {Delivered}
    assert "`u1`" in shown(slack.messages[0])


# A check


async def test_a_check_posts_nothing(slack, app, webhook):
    """`check` asks `auth.test` with a token, and connects with a webhook; no channel hears of it."""
    assert await app().check() == []
    assert await webhook().check() == []
    assert slack.messages == []
    assert [request.path for request in slack.requests] == ["/api/auth.test"]


async def test_a_check_finds_a_bad_token(slack, app):
    """A token that Slack does not accept, and one that may not post, are problems in words."""
    assert await app(token="xoxb-wrong").check() == [f"{slack.host} does not accept the token: invalid_auth"]

    slack.scopes = "channels:read,users:read"
    assert await app().check() == ["the token lacks the scope chat:write: add it to the app, and install the app again"]


async def test_a_check_finds_that_it_is_not_slack(slack, app, webhook):
    """A page instead of an answer is a problem too, and so is nobody at all."""
    slack.misbehave(response(200, PAGE))
    assert await app().check() == [f"{slack.host} answered 200 OK, and not as Slack does: is api_url right?"]

    assert await app(api_url="http://127.0.0.1:1/api/").check() == ["127.0.0.1:1 refused the connection"]
    assert await webhook(webhook_url="http://127.0.0.1:1/services/x").check() == ["127.0.0.1:1 refused the connection"]


def test_the_plugin_brings_slack():
    """The entry point's module registers one sink type, `slack`."""
    assert [sink_type.type for sink_type in register_sink_types()] == ["slack"]
