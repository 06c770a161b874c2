"""What is told of sessions and credentials only to those who ask for it."""

from __future__ import annotations

import pytest
from supertokens_python.recipe.session.claims import PrimitiveClaim
from supertokens_python.types import RecipeUserId

from flows.harness import ADA, API, BACKEND, PASSWORD, Flow, World, rows
from flows.recipes import emailpassword, sessions

EP = [emailpassword(), sessions()]
SECRET = "what-an-app-keeps-with-a-session"


async def _plan(*_: object) -> str:
    return SECRET


PLAN = PrimitiveClaim("plan", fetch_value=_plan)


def session(w: World) -> None:
    w.secrets.add(SECRET)
    w.user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user
    user_id = RecipeUserId(w.user.id)
    w.handle = w.backend.session.create_new_session_without_request_response("public", user_id, {"old": 1}).get_handle()


def gone(w: World) -> None:
    session(w)
    w.backend.session.revoke_session(w.handle)


def merge(w: World) -> None:
    w.backend.session.merge_into_access_token_payload(w.handle, {"plan": SECRET, "old": None})


def keep(w: World) -> None:
    w.backend.session.update_session_data_in_database(w.handle, {"note": SECRET})


def verify(password: str = PASSWORD):
    return lambda w: w.backend.emailpassword.verify_credentials("public", ADA, password)


def sign_in(w: World) -> None:
    w.form("/auth/signin", email=ADA, password=PASSWORD)


FLOWS = [
    Flow("SES.merge_into_access_token_payload(handle)", BACKEND, EP, [session], merge, ""),
    Flow(
        "SES.merge_into_access_token_payload(handle), all told",
        BACKEND,
        EP,
        [session],
        merge,
        "session.claims.updated",
        captured=["*"],
    ),
    Flow(
        "SES.set_claim_value(handle)",
        BACKEND,
        EP,
        [session],
        lambda w: w.backend.session.set_claim_value(w.handle, PLAN, SECRET),
        "session.claims.updated",
        captured=["*"],
    ),
    Flow(
        "SES.fetch_and_set_claim(handle)",
        BACKEND,
        EP,
        [session],
        lambda w: w.backend.session.fetch_and_set_claim(w.handle, PLAN),
        "session.claims.updated",
        captured=["*"],
    ),
    Flow("SES.merge_into_access_token_payload(unknown)", BACKEND, EP, [gone], merge, "", captured=["*"]),
    Flow("SES.update_session_data_in_database", BACKEND, EP, [session], keep, ""),
    Flow(
        "SES.update_session_data_in_database, all told",
        BACKEND,
        EP,
        [session],
        keep,
        "session.data.updated",
        captured=["*"],
    ),
    Flow("SES.update_session_data_in_database(unknown)", BACKEND, EP, [gone], keep, "", captured=["*"]),
    Flow("EP.verify_credentials", BACKEND, EP, [session], verify(), ""),
    Flow(
        "EP.verify_credentials, all told",
        BACKEND,
        EP,
        [session],
        verify(),
        "user.credentials.verified",
        captured=["*"],
    ),
    Flow("EP.verify_credentials, wrong", BACKEND, EP, [session], verify("wrong-Pa55word"), "", captured=["*"]),
    Flow(
        "EP sign in via API, all told",
        API,
        EP,
        [session],
        sign_in,
        "user.signed_in, session.created",
        captured=["*"],
    ),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


def test_a_change_of_a_session_names_its_user_and_its_keys(world):
    """Whose session it is comes from a read that the SDK makes anyway; of what changed only the names are told."""
    w = world(EP, "asyncio", capture={"events": ["session.claims.updated", "session.data.updated"]})
    session(w)

    merge(w)
    keep(w)

    whose = {"session_handle": w.handle, "recipe_user_id": w.user.id}
    assert [event.data for event in w.told()] == [{**whose, "keys": ["plan"], "removed_keys": ["old"]}, whose]
    assert {(event.user_id, event.tenant_id, event.actor.type) for event in w.told()} == {
        (w.user.id, "public", "system")
    }


def test_the_read_before_a_merge_is_free(world):
    """The SDK asks for the session too, with the same context, and the core is asked once."""
    w = world(EP, "asyncio", capture={"events": ["*"]})
    session(w)
    before = len(w.core.requests)

    merge(w)

    assert [request.method for request in w.core.requests[before:]] == ["GET", "PUT"]


def test_verified_credentials_say_whose_they_are(world):
    """An app that asks for the password again learns from the event whose it was."""
    w = world(EP, "asyncio", capture={"events": ["user.credentials.verified"]})
    session(w)

    verify()(w)

    (verified,) = w.told()
    assert verified.data == {"method": "emailpassword", "recipe_user_id": w.user.id, "email": ADA}
    assert (verified.user_id, verified.tenant_id) == (w.user.id, "public")
