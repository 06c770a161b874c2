"""Every flow of e-mail, password and session, through every entry point, brings exactly the events that are so.

One row is one flow. To add a flow, add a row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from supertokens_python.recipe.multitenancy.interfaces import TenantConfigCreateOrUpdate
from supertokens_python.types import RecipeUserId

from apps.browser import PASSWORD, WRONG
from apps.canary import LONG, leaks
from apps.running import App, AppRunner, configuration
from apps.world import World, end_sync_thread, sentence, sync_thread
from supertokens_events import Events

ADA = "ada@example.com"
BOB = "bob@example.com"
NEW = "another-Pa55word"
WEAK = "weak"

Step = Callable[[World], Any]


class Flow(NamedTuple):
    """After ``given``, ``when`` ``says`` these events: type, reason, whose, by whom, and the tenant unless it is the public.

    ``needs`` are recipes that the app must have beside e-mail, password and session (``apps.sdk.MORE``).
    """

    name: str
    given: Sequence[Step]
    when: Step
    says: Sequence[str]
    needs: Sequence[str] = ()


# Given


def ada(w: World) -> None:
    w.user = w.emailpassword.sign_up("public", ADA, PASSWORD).user


def bob(w: World) -> None:
    w.emailpassword.sign_up("public", BOB, PASSWORD)


def signed_in(w: World) -> None:
    w.browser.sign_in(ADA)
    w.token = w.browser.refresh_token


def refreshed_twice(w: World) -> None:
    """So that the core knows that the first successor of ``w.token`` was received."""
    w.browser.refresh()
    w.browser.refresh()


def signed_out(w: World) -> None:
    w.browser.sign_out()


def reset_link(w: World) -> None:
    w.browser.forgot_password(ADA)
    w.token = w.mailbox.token


def reset_token(w: World) -> None:
    w.token = w.emailpassword.create_reset_password_token("public", w.user.id, ADA).token


def session(w: World) -> None:
    w.session = new_session(w)
    w.token = w.session.get_all_session_tokens_dangerously()["refreshToken"]


def another_session(w: World) -> None:
    w.other = new_session(w)


def refreshed_twice_by_backend(w: World) -> None:
    token = w.token
    for _ in range(2):
        token = refresh(w, token).get_all_session_tokens_dangerously()["refreshToken"]


def tenant(w: World) -> None:
    w.tenants.append("t1")
    w.multitenancy.create_or_update_tenant("t1", TenantConfigCreateOrUpdate(first_factors=["emailpassword"]))


def core_fails(path: str) -> Step:
    return lambda w: w.core.fail_next(path)


# When


def new_session(w: World) -> Any:
    return w.sessions.create_new_session_without_request_response(
        "public", RecipeUserId(w.user.id), {"role": "x"}, {"note": "y"}
    )


def refresh(w: World, token: str) -> Any:
    return w.sessions.refresh_session_without_request_response(token, disable_anti_csrf=True)


def update(w: World, **changes: Any) -> Any:
    return w.emailpassword.update_email_or_password(RecipeUserId(w.user.id), **changes)


def raises(step: Step) -> Step:
    """The step, which must raise."""

    def act(w: World) -> None:
        with suppress(Exception):
            step(w)
            pytest.fail("it did not raise")

    return act


FRONTEND = [
    Flow(
        "sign-up", [], lambda w: w.browser.sign_up(ADA), ["user.created of ada by ada", "session.created of ada by ada"]
    ),
    Flow(
        "sign-up: e-mail is taken",
        [ada],
        lambda w: w.browser.sign_up(ADA),
        ["user.sign_up.failed email_already_exists by unknown"],
    ),
    Flow("sign-up: weak password", [], lambda w: w.browser.sign_up(ADA, WEAK), []),
    Flow("sign-up: no e-mail", [], lambda w: w.browser.post_form("/auth/signup", password=PASSWORD), []),
    Flow(
        "sign-up: core fails",
        [core_fails("/recipe/signup")],
        lambda w: w.browser.sign_up(ADA),
        ["user.sign_up.failed error by unknown"],
    ),
    Flow(
        "sign-up: core fails after the user is made",
        [core_fails("/recipe/session")],
        lambda w: w.browser.sign_up(ADA),
        ["user.created of ada by ada", "user.sign_up.failed error by unknown"],
    ),
    Flow(
        "sign-up in a tenant",
        [tenant],
        lambda w: w.browser.post_form("/auth/t1/signup", email=ADA, password=PASSWORD),
        ["user.created of ada by ada in t1", "session.created of ada by ada in t1"],
    ),
    Flow("e-mail exists?", [ada], lambda w: w.browser.send("GET", f"/auth/signup/email/exists?email={ADA}"), []),
    Flow(
        "sign-in",
        [ada],
        lambda w: w.browser.sign_in(ADA),
        ["user.signed_in of ada by ada", "session.created of ada by ada"],
    ),
    Flow(
        "sign-in: wrong password",
        [ada],
        lambda w: w.browser.sign_in(ADA, WRONG),
        ["user.sign_in.failed wrong_credentials by unknown"],
    ),
    Flow(
        "sign-in: unknown e-mail",
        [],
        lambda w: w.browser.sign_in(ADA),
        ["user.sign_in.failed wrong_credentials by unknown"],
    ),
    Flow("sign-in: no password", [ada], lambda w: w.browser.post_form("/auth/signin", email=ADA), []),
    Flow(
        "sign-in: core fails",
        [ada, core_fails("/recipe/signin")],
        lambda w: w.browser.sign_in(ADA),
        ["user.sign_in.failed error by unknown"],
    ),
    Flow(
        "sign-in as another, with a session",
        [ada, bob, signed_in],
        lambda w: w.browser.sign_in(BOB, token=w.browser.access_token),
        ["user.signed_in of bob by bob", "session.created of bob by bob"],
    ),
    Flow(
        "password reset request",
        [ada],
        lambda w: w.browser.forgot_password(ADA),
        ["password.reset.requested of ada by unknown"],
    ),
    Flow("password reset request: unknown e-mail", [], lambda w: w.browser.forgot_password(ADA), []),
    Flow(
        "password reset",
        [ada, reset_link],
        lambda w: w.browser.reset_password(w.token, NEW),
        ["password.reset.completed of ada by ada"],
    ),
    Flow(
        "password reset: invalid token",
        [ada],
        lambda w: w.browser.reset_password("no-such-token", NEW),
        ["password.reset.failed invalid_token by unknown"],
    ),
    Flow(
        "password reset: link used twice",
        [ada, reset_link, lambda w: w.browser.reset_password(w.token, NEW)],
        lambda w: w.browser.reset_password(w.token, NEW),
        ["password.reset.failed invalid_token by unknown"],
    ),
    Flow("password reset: weak password", [ada, reset_link], lambda w: w.browser.reset_password(w.token, WEAK), []),
    Flow("refresh", [ada, signed_in], lambda w: w.browser.refresh(), ["session.refreshed of ada by ada"]),
    Flow("refresh without a token", [], lambda w: w.browser.refresh(""), []),
    Flow(
        "refresh with a stolen token",
        [ada, signed_in, refreshed_twice],
        lambda w: w.browser.refresh(w.token),
        ["session.token_theft_detected of ada by unknown", "session.revoked of ada by system"],
    ),
    Flow(
        "refresh after sign-out",
        [ada, signed_in, signed_out],
        lambda w: w.browser.refresh(w.token),
        ["session.refresh.failed unauthorised by unknown"],
    ),
    Flow("sign-out", [ada, signed_in], lambda w: w.browser.sign_out(), ["session.revoked of ada by ada"]),
    Flow(
        "sign-out twice",
        [ada, signed_in, signed_out],
        lambda w: w.browser.send("POST", "/auth/signout", token=w.browser.answers[0].headers["st-access-token"]),
        [],
    ),
    Flow("sign-out without a session", [], lambda w: w.browser.sign_out(), []),
]

BACKEND = [
    Flow("sign_up", [], lambda w: w.emailpassword.sign_up("public", ADA, PASSWORD), ["user.created of ada by system"]),
    Flow(
        "sign_up: e-mail is taken",
        [ada],
        lambda w: w.emailpassword.sign_up("public", ADA, PASSWORD),
        ["user.sign_up.failed email_already_exists by system"],
    ),
    Flow(
        "sign_up: core fails",
        [core_fails("/recipe/signup")],
        raises(lambda w: w.emailpassword.sign_up("public", ADA, PASSWORD)),
        ["user.sign_up.failed error by system"],
    ),
    Flow(
        "sign_in",
        [ada],
        lambda w: w.emailpassword.sign_in("public", ADA, PASSWORD),
        ["user.signed_in of ada by system"],
    ),
    Flow(
        "sign_in: wrong password",
        [ada],
        lambda w: w.emailpassword.sign_in("public", ADA, WRONG),
        ["user.sign_in.failed wrong_credentials by system"],
    ),
    Flow(
        "sign_in: unknown e-mail",
        [],
        lambda w: w.emailpassword.sign_in("public", ADA, PASSWORD),
        ["user.sign_in.failed wrong_credentials by system"],
    ),
    Flow(
        "sign_in with a session, linking not configured",
        [ada, session],
        raises(lambda w: w.emailpassword.sign_in("public", ADA, PASSWORD, w.session)),
        ["user.sign_in.failed error by ada"],
    ),
    Flow(
        "sign_in with the same user's session",
        [ada, session],
        lambda w: w.emailpassword.sign_in("public", ADA, PASSWORD, w.session),
        ["user.reauthenticated of ada by ada"],
        needs=["accountlinking"],
    ),
    Flow("verify_credentials", [ada], lambda w: w.emailpassword.verify_credentials("public", ADA, PASSWORD), []),
    Flow(
        "verify_credentials: wrong password",
        [ada],
        lambda w: w.emailpassword.verify_credentials("public", ADA, WRONG),
        [],
    ),
    Flow(
        "create_reset_password_token",
        [ada],
        lambda w: w.emailpassword.create_reset_password_token("public", w.user.id, ADA),
        ["password.reset.requested of ada by system"],
    ),
    Flow(
        "create_reset_password_token: unknown user",
        [],
        lambda w: w.emailpassword.create_reset_password_token("public", "nobody", ADA),
        [],
    ),
    Flow(
        "create_reset_password_link",
        [ada],
        lambda w: w.emailpassword.create_reset_password_link("public", w.user.id, ADA),
        ["password.reset.requested of ada by system"],
    ),
    Flow(
        "send_reset_password_email",
        [ada],
        lambda w: w.emailpassword.send_reset_password_email("public", w.user.id, ADA),
        ["password.reset.requested of ada by system"],
    ),
    Flow(
        "reset_password_using_token",
        [ada, reset_token],
        lambda w: w.emailpassword.reset_password_using_token("public", w.token, NEW),
        ["password.reset.completed of ada by system"],
    ),
    Flow(
        "reset_password_using_token: invalid token",
        [ada],
        lambda w: w.emailpassword.reset_password_using_token("public", "no-such-token", NEW),
        ["password.reset.failed invalid_token by system"],
    ),
    Flow(
        "reset_password_using_token: weak password",
        [ada, reset_token],
        lambda w: w.emailpassword.reset_password_using_token("public", w.token, WEAK),
        [],
    ),
    Flow(
        "consume_password_reset_token",
        [ada, reset_token],
        lambda w: w.emailpassword.consume_password_reset_token("public", w.token),
        [],
    ),
    Flow("update: e-mail", [ada], lambda w: update(w, email=BOB), ["user.email.changed of ada by system"]),
    Flow("update: the same e-mail", [ada], lambda w: update(w, email=ADA), []),
    Flow("update: e-mail is taken", [ada, bob], lambda w: update(w, email=BOB), []),
    Flow("update: password", [ada], lambda w: update(w, password=NEW), ["password.changed of ada by system"]),
    Flow("update: weak password", [ada], lambda w: update(w, password=WEAK), []),
    Flow(
        "update: weak password, policy off",
        [ada],
        lambda w: update(w, password=WEAK, apply_password_policy=False),
        ["password.changed of ada by system"],
    ),
    Flow(
        "update: e-mail and password",
        [ada],
        lambda w: update(w, email=BOB, password=NEW),
        ["password.changed of ada by system", "user.email.changed of ada by system"],
    ),
    Flow(
        "update: unknown user",
        [],
        lambda w: w.emailpassword.update_email_or_password(RecipeUserId("nobody"), password=NEW),
        [],
    ),
    Flow("create_new_session", [ada], new_session, ["session.created of ada by system"]),
    Flow(
        "get_session",
        [ada, session],
        lambda w: w.sessions.get_session_without_request_response(w.session.get_access_token(), anti_csrf_check=False),
        [],
    ),
    Flow("refresh_session", [ada, session], lambda w: refresh(w, w.token), ["session.refreshed of ada by system"]),
    Flow(
        "refresh_session with a stolen token",
        [ada, session, refreshed_twice_by_backend],
        raises(lambda w: refresh(w, w.token)),
        ["session.token_theft_detected of ada by system"],
    ),
    Flow(
        "refresh_session after revoke",
        [ada, session, lambda w: w.of_session("revoke_session")],
        raises(lambda w: refresh(w, w.token)),
        ["session.refresh.failed unauthorised by system"],
    ),
    Flow(
        "refresh_session: core fails",
        [ada, session, core_fails("/recipe/session/refresh")],
        raises(lambda w: refresh(w, w.token)),
        ["session.refresh.failed error by system"],
    ),
    Flow(
        "container.revoke_session",
        [ada, session],
        lambda w: w.of_session("revoke_session"),
        ["session.revoked of ada by system"],
    ),
    Flow(
        "revoke_session",
        [ada, session],
        lambda w: w.sessions.revoke_session(w.session.get_handle()),
        ["session.revoked of ada by system"],
    ),
    Flow(
        "revoke_session: whose it was cannot be read",
        [ada, session, core_fails("/recipe/session")],
        lambda w: w.sessions.revoke_session(w.session.get_handle()),
        ["session.revoked by system"],
    ),
    Flow("revoke_session: unknown", [], lambda w: w.sessions.revoke_session("no-such-session"), []),
    Flow(
        "revoke_multiple_sessions",
        [ada, session, another_session],
        lambda w: w.sessions.revoke_multiple_sessions(
            [w.session.get_handle(), "no-such-session", w.other.get_handle()]
        ),
        ["session.revoked by system"] * 2,
    ),
    Flow(
        "revoke_all_sessions_for_user",
        [ada, session, another_session],
        lambda w: w.sessions.revoke_all_sessions_for_user(w.user.id),
        ["session.revoked of ada by system"] * 2,
    ),
    Flow("revoke_all_sessions_for_user: none", [ada], lambda w: w.sessions.revoke_all_sessions_for_user(w.user.id), []),
    Flow(
        "container.merge_into_access_token_payload",
        [ada, session],
        lambda w: w.of_session("merge_into_access_token_payload", {"a": 1}),
        [],
    ),
    Flow(
        "merge_into_access_token_payload",
        [ada, session],
        lambda w: w.sessions.merge_into_access_token_payload(w.session.get_handle(), {"a": 1}),
        [],
    ),
    Flow(
        "update_session_data_in_database",
        [ada, session],
        lambda w: w.sessions.update_session_data_in_database(w.session.get_handle(), {"a": 1}),
        [],
    ),
]

API = ("fastapi", "flask", "django-wsgi")

ROWS = [(framework, flow) for framework in API for flow in FRONTEND] + [
    (style, flow) for style in ("asyncio", "syncio") for flow in BACKEND
]


class Stage:
    """Makes worlds, each with an empty core. The app goes on for as long as the flows need the same framework and recipes."""

    def __init__(self, run_app: AppRunner, events: Events, folder: Path) -> None:
        self.folder = folder
        self._run_app = run_app
        self._events = events
        self._apps = ExitStack()
        self._running: tuple[App, str, Sequence[str]] | None = None
        self._sync_thread = sync_thread()

    def world(self, entry: str, flow: Flow) -> World:
        app = self._app(entry if entry in API else API[0], flow.needs)
        app.core.reset()
        return World(app, self._events, "syncio" if entry == "syncio" else "asyncio", self._sync_thread)

    def places(self, records: Sequence[logging.LogRecord]) -> dict[str, bytes]:
        """Wherever a secret could have ended up."""
        written = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
        ours = [record for record in records if record.name.startswith("supertokens_events")]
        said = "\n".join(f"{vars(record)!r} {record.getMessage()}" for record in ours)
        return {**written, "log": said.encode()}

    def close(self) -> None:
        self._apps.close()
        end_sync_thread(self._sync_thread)

    def _app(self, framework: str, needs: Sequence[str]) -> App:
        if self._running is None or self._running[1:] != (framework, needs):
            self._apps.close()
            app = self._apps.enter_context(self._run_app(framework, self._events, more=needs))
            self._running = app, framework, needs
        return self._running[0]


@pytest.fixture(scope="module")
def stage(run_app, tmp_path_factory) -> Iterator[Stage]:
    everything = {"events": ["@default", "session.refreshed"]}
    folder = tmp_path_factory.mktemp("flows")
    events = Events.from_dict(configuration(folder, capture=everything))
    stage = Stage(run_app, events, folder)
    yield stage
    stage.close()
    events.stop()


@pytest.mark.parametrize(("entry", "flow"), ROWS, ids=[f"{entry}: {flow.name}" for entry, flow in ROWS])
def test_flow(entry, flow, stage, caplog):
    """The flow brings exactly these events, of one correlation id, with the request's context if there was one, and no
    secret is in them, in the outbox's files or in the log.
    """
    caplog.set_level(logging.DEBUG, "supertokens_events")
    w = stage.world(entry, flow)
    with w.browser:
        for step in flow.given:
            step(w)
        w.mark()

        flow.when(w)

    told = w.told()
    assert [sentence(event, w.names()) for event in told] == list(flow.says)
    assert len({event.correlation_id for event in told}) <= 1
    assert {event.context.method for event in told} <= ({"POST"} if entry in API else {None})
    assert len({event.id for event in told}) == len(told)
    assert (
        leaks({secret: secret for secret in w.secrets() if len(secret) >= LONG}, stage.places(caplog.records)) == set()
    )
