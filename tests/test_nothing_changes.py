"""Sign-in comes first: with events, and with every trouble that they can have, an app answers as it does without them."""

from __future__ import annotations

import asyncio
import re
import threading

import anyio
import pytest
from supertokens_python.recipe.emailpassword import asyncio as emailpassword
from supertokens_python.recipe.session import asyncio as session
from supertokens_python.types import RecipeUserId

from apps import sdk
from apps.browser import EMAIL, PASSWORD, Browser, Plain, plain, story, tell_story
from apps.companions import app_override, closing_sign_in, delegating, noting_user_context, plugin, rebinding
from apps.processes import in_process
from apps.servers import FRAMEWORKS
from apps.stored import counted, stored_events
from apps.trouble import APPEND_TIMEOUT, TROUBLES, locked_outbox
from supertokens_events import hookimpl
from supertokens_events.outbox import DeliveryState

every_framework = pytest.mark.parametrize("framework", FRAMEWORKS)
every_way = pytest.mark.parametrize("attach", sdk.WAYS)

PATIENCE = 2.0  # seconds that a busy machine may need beside the deadline; an outbox's own lock wait is 5


@pytest.fixture(scope="module")
def without(run_app):
    """The story's answers of an app without events, in this framework."""
    known = {}

    def answers(framework="fastapi", auth_mode="header", **recipe_config):
        key = framework, auth_mode, *recipe_config.items()
        if key not in known:
            with run_app(framework, **recipe_config) as app, app.browser(auth_mode=auth_mode) as browser:
                known[key] = [plain(answer) for answer in tell_story(browser)]
        return known[key]

    return answers


# Answers


@every_framework
@pytest.mark.parametrize(("attach", "auth_mode"), [*((way, "header") for way in sdk.WAYS), (sdk.WAYS[0], "cookie")])
def test_answers_are_the_same(framework, attach, auth_mode, run_app, make_events, without):
    """Status, headers and body of every answer are those of the app without events, with tokens in headers or in cookies."""
    with run_app(framework, make_events(), attach=attach) as app, app.browser(auth_mode=auth_mode) as browser:
        answers = [plain(answer) for answer in tell_story(browser)]

    assert answers == without(framework, auth_mode)


@every_framework
def test_no_request_is_added(framework, run_app, make_events):
    """Sign-up, sign-in, refresh, sign-out and the rest ask the core exactly what they ask without events, in the same order."""
    asked = []
    for events in (None, make_events()):
        with run_app(framework, events) as app, app.browser() as browser:
            tell_story(browser)
            asked.append(app.core.requests)

    assert asked[1] == asked[0]


@pytest.mark.parametrize(
    ("framework", "name"),
    [
        *(("fastapi", name) for name in TROUBLES),
        *(("flask", name) for name in ("unwritable folder", "locked outbox", "capture raises")),
        ("django-wsgi", "locked outbox"),  # its event loop is gone when the event is stored at last
    ],
)
def test_trouble_changes_no_answer(framework, name, run_app, make_events, without, tmp_path, caplog, monkeypatch):
    """In trouble the app answers as without events, and in time. It is counted and logged; afterwards all is delivered."""
    monkeypatch.syspath_prepend(tmp_path)
    with TROUBLES[name](tmp_path) as bad:
        events = make_events(bad.plugins, **bad.tables)
        with run_app(framework, events) as app, app.browser() as browser:
            answers = tell_story(browser)
        bad.wait()
    events.stop()
    later = make_events(bad.plugins, **bad.tables)
    anyio.run(later.dispatcher().run_until_empty)

    assert [plain(answer) for answer in answers] == without(framework)
    assert max(answer.elapsed.total_seconds() for answer in answers) < APPEND_TIMEOUT + PATIENCE
    assert bad.counted.items() <= counted(later).items()
    assert any(re.search(bad.said, record.getMessage()) for record in caplog.records)
    assert [event.type for event in stored_events(later)] == story()
    states = {delivery.state for delivery in later.outbox.deliveries()}
    assert states == {DeliveryState.DEAD if bad.held else DeliveryState.DONE}


def test_who_stops_waiting_loses_no_event(run_app, make_events, tmp_path):
    """A sign-up that is cancelled while its event waits for the outbox ends at once; the event is stored later."""
    on_its_way = threading.Event()
    events = make_events([Noting(on_its_way)], outbox={"append_timeout": 60})

    async def impatient():
        sign_up = asyncio.create_task(emailpassword.sign_up("public", EMAIL, PASSWORD))
        await asyncio.to_thread(on_its_way.wait, 30)
        sign_up.cancel()
        with anyio.fail_after(PATIENCE):
            await sign_up

    with run_app("fastapi", events), locked_outbox(tmp_path), pytest.raises(asyncio.CancelledError):
        asyncio.run(impatient())
    events.stop()

    assert [event.type for event in stored_events(events)] == ["user.created"]


class Noting:
    """A plugin that notes that an event is on its way to the outbox."""

    def __init__(self, on_its_way):
        self.on_its_way = on_its_way

    @hookimpl
    def enrich_event(self, event):
        self.on_its_way.set()


def test_a_full_disk_changes_no_answer(core, without, tmp_path):
    """When not a byte more can be written, answers stay the same and in time; when there is room again, all is stored."""
    core.reset()

    told = in_process("apps.full_disk", core.url, tmp_path)

    assert [
        Plain(status, [(name, value) for name, value in headers], body) for status, headers, body in told["answers"]
    ] == without()
    assert told["slowest"] < APPEND_TIMEOUT + PATIENCE
    assert told["during"] == []
    assert told["after"] == story()
    assert told["late"] == len(story())
    assert "The outbox is not available; events wait in memory." in told["log"]


# What is passed through


def test_user_context_is_passed_on(run_app, make_events):
    """``user_context`` reaches the SDK as the very dict that the app gave, and ends as it does without events."""
    ended = []
    for events in (None, make_events()):
        seen, given = [], {"the app's": "own"}
        with run_app("fastapi", events, attach="instrument", **app_override(noting_user_context(seen))):
            asyncio.run(sign_up_and_in(given))
        assert len(seen) == 4
        assert all(user_context is given for user_context in seen)
        ended.append(given)

    assert keys(ended[1]) == keys(ended[0])
    assert ended[1]["the app's"] == "own"


async def sign_up_and_in(user_context):
    user = (await emailpassword.sign_up("public", EMAIL, PASSWORD, user_context=user_context)).user
    await emailpassword.sign_in("public", EMAIL, PASSWORD, user_context=user_context)
    user_id = RecipeUserId(user.id)
    await session.create_new_session_without_request_response("public", user_id, user_context=user_context)


def keys(user_context):
    """The names in it, and in what the SDK keeps in it."""
    return {name: sorted(value) if isinstance(value, dict) else None for name, value in user_context.items()}


# Neighbours


POSITIONS = {"the app's own override": app_override}
if sdk.HAS_PLUGINS:
    POSITIONS["another plugin below"] = lambda override: {"below": [plugin(override)]}
    POSITIONS["another plugin above"] = lambda override: {"above": [plugin(override)]}


@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("override", [rebinding, delegating], ids=lambda override: override.__name__)
@every_way
def test_neighbours_change_nothing(position, override, attach, run_app, make_events, without):
    """With other plugins and overrides around ours, each fact is said once and answers stay the same.

    What the SDK calls on itself passes by an object that stands in its place, and by whoever wraps that object after it:
    those facts are not said, and the ledger says that there is a gap.
    """
    events = make_events()

    with run_app("fastapi", events, attach=attach, **POSITIONS[position](override)) as app, app.browser() as browser:
        answers = [plain(answer) for answer in tell_story(browser)]

    hidden = override is delegating and (attach == "instrument" or position == "another plugin below")
    said = [event_type for event_type in story() if not hidden or event_type not in {"user.created", "session.revoked"}]
    assert answers == without()
    assert [event.type for event in stored_events(events)] == said
    assert {("capture_gap", recipe) in counted(events) for recipe in ("emailpassword", "session")} == {hidden}


@every_way
def test_an_override_that_answers_itself(attach, run_app, make_events):
    """An app that answers a sign-in without the SDK keeps its answer; only ``instrument()``, outside of it, can know of it."""
    events = make_events()
    closed = app_override(closing_sign_in)

    with run_app("fastapi", events, attach=attach, **closed) as app, app.browser() as browser:
        browser.sign_up()
        answer = browser.sign_in()

    assert answer.json() == {"status": "GENERAL_ERROR", "message": "We are closed."}
    said = ["user.sign_in.failed"] if attach == "instrument" else []
    assert [event.type for event in stored_events(events)] == ["user.created", "session.created", *said]


def test_init_twice_with_the_same_recipes(core, run_app, make_events, without):
    """An app that gives ``init`` the recipe list of an earlier ``init`` again says each fact once."""
    events = make_events()
    mailbox = sdk.Mailbox()
    recipe_list = sdk.recipes(mailbox)
    with run_app("fastapi") as app:
        url = app.url
    core.reset()

    for _ in range(2):
        sdk.reset()
        sdk.start(core.url, recipe_list, events)
    with Browser(url) as browser:
        answers = [plain(answer) for answer in tell_story(browser)]
    sdk.reset()

    assert answers == without()
    assert [event.type for event in stored_events(events)] == story()


@every_way
def test_attaching_again_changes_nothing(attach, run_app, make_events, without):
    """``instrument()`` after the plugin, and again, says each fact once."""
    events = make_events()

    with run_app("fastapi", events, attach=attach) as app, app.browser() as browser:
        events.instrument()
        events.instrument()
        answers = [plain(answer) for answer in tell_story(browser)]

    assert answers == without()
    assert [event.type for event in stored_events(events)] == story()
