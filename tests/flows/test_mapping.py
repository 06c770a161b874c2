"""User ids of the app's own: exactly the events that are so. One row is one flow; to add a flow, add a row.

No override of the SDK is reached here: capture is on its instance.
"""

from __future__ import annotations

from contextlib import suppress

import pytest

from apps.sdk import WAYS
from flows.harness import ADA, BACKEND, PASSWORD, Flow, Step, World, rows
from flows.recipes import emailpassword, sessions

EP = [emailpassword(), sessions()]
OURS = "customer-4711"
NOTE = "moved from the old shop"


def user(w: World) -> None:
    w.user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user


def session(w: World) -> None:
    w.backend.session.create_new_session_without_request_response("public", w.user.login_methods[0].recipe_user_id)


def map_to(external_id: str = OURS, user_id: str = "", *, force: bool | None = None) -> Step:
    return lambda w: w.backend.supertokens.create_user_id_mapping(user_id or w.user.id, external_id, NOTE, force)


def unmap(user_id: str = OURS, kind: str | None = "EXTERNAL") -> Step:
    return lambda w: w.backend.supertokens.delete_user_id_mapping(user_id, kind)


def change_note(note: str | None, user_id: str = OURS, kind: str = "EXTERNAL") -> Step:
    return lambda w: w.backend.supertokens.update_or_delete_user_id_mapping_info(user_id, kind, note)


def raises(step: Step) -> Step:
    """The step, which must raise."""

    def act(w: World) -> None:
        with suppress(Exception):
            step(w)
            pytest.fail("it did not raise")

    return act


FLOWS = [
    Flow("create_user_id_mapping", BACKEND, EP, [user], map_to(), "user.id_mapping.created"),
    Flow(
        "create_user_id_mapping duplicate -> SDK BUG KeyError",
        BACKEND,
        EP,
        [user, map_to()],
        raises(map_to("customer-4712")),
        "",
    ),
    Flow("create_user_id_mapping: unknown user", BACKEND, EP, [], map_to(user_id="nobody"), ""),
    Flow("create_user_id_mapping: a user with a session", BACKEND, EP, [user, session], raises(map_to()), ""),
    Flow(
        "create_user_id_mapping: a user with a session, forced",
        BACKEND,
        EP,
        [user, session],
        map_to(force=True),
        "user.id_mapping.created",
    ),
    Flow(
        "get_user_id_mapping",
        BACKEND,
        EP,
        [user, map_to()],
        lambda w: w.backend.supertokens.get_user_id_mapping(OURS, "EXTERNAL"),
        "",
    ),
    Flow(
        "update_or_delete_user_id_mapping_info",
        BACKEND,
        EP,
        [user, map_to()],
        change_note("new"),
        "user.id_mapping.info_changed",
    ),
    Flow("update_or_delete_user_id_mapping_info: unknown", BACKEND, EP, [], change_note("new"), ""),
    Flow("delete_user_id_mapping", BACKEND, EP, [user, map_to()], unmap(), "user.id_mapping.deleted"),
    Flow("delete_user_id_mapping again", BACKEND, EP, [user, map_to(), unmap()], unmap(), ""),
    Flow(
        "delete_user_id_mapping without a type -> SDK BUG", BACKEND, EP, [user, map_to()], raises(unmap(kind=None)), ""
    ),
    Flow("get_user_count", BACKEND, EP, [user], lambda w: w.backend.supertokens.get_user_count(), ""),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


@pytest.mark.parametrize("attach", WAYS)
def test_what_is_said_of_a_mapping(attach, world):
    """Both ids when it is made, and after that which of the two the event's user id is. The app's note is not told."""
    w = world(EP, "asyncio", attach=attach)
    user(w)
    w.mark()
    for step in (map_to(), change_note("new"), change_note(None), unmap()):
        step(w)

    assert [(event.user_id, event.data) for event in w.told()] == [
        (w.user.id, {"supertokens_user_id": w.user.id, "external_user_id": OURS}),
        (OURS, {"user_id_type": "external", "removed": False}),
        (OURS, {"user_id_type": "external", "removed": True}),
        (OURS, {"user_id_type": "external"}),
    ]
    assert {event.actor.type for event in w.told()} == {"system"}
    assert NOTE not in str(w.told())
