"""The dashboard: who signs in to it, who is not let in, and what an admin does there: exactly the events that are so.

One row is one flow. To add a flow, add a row. What an admin does, an admin did: the actor of every event says who.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from supertokens_python.recipe.dashboard import InputOverrideConfig

from apps.sdk import WAYS, started
from apps.servers import FRAMEWORKS, Servers
from apps.stored import stored_events
from core_double.software_authenticator import SoftwareAuthenticator
from flows.harness import ADA, API, PASSWORD, Flow, Step, World, no_session, rows
from flows.recipes import (
    dashboard,
    emailpassword,
    emailverification,
    linking,
    passwordless,
    sessions,
    thirdparty,
    userroles,
    webauthn,
)

GRACE = "grace@example.com"
MALLORY = "mallory@example.com"
ADMIN_PASSWORD = "admin-Pa55word"
API_KEY = "the-dashboard-api-key"
NEW = "ada.lovelace@example.com"

EP = [emailpassword(), emailverification(), passwordless(), userroles(), dashboard(), sessions()]
LINKED = [*EP, thirdparty(), linking()]
WA = [webauthn(), dashboard(), sessions()]
ADMINS = [emailpassword(), dashboard(admins=[GRACE]), sessions()]
BARE = [userroles(), dashboard(), sessions()]
BY_KEY = [emailpassword(), dashboard(api_key=API_KEY), sessions()]


# At the dashboard


def at_dashboard(w: World, method: str, path: str, body: Any = None, *, tenant: str = "", **query: str) -> Any:
    """One request of the dashboard's page, with its session or key if it has one."""
    headers = {"authorization": f"Bearer {w.bearer}"} if hasattr(w, "bearer") else {}
    tenant = f"/{tenant}" if tenant else ""
    query_string = f"?{urlencode(query)}" if query else ""
    return w.send(method, f"/auth{tenant}/dashboard/api{path}{query_string}", body, **headers)


def dashboard_user(email: str = GRACE) -> Step:
    body = {"email": email, "password": ADMIN_PASSWORD}
    return lambda w: httpx.post(f"{w.core.url}/recipe/dashboard/user", json=body, trust_env=False)


def try_sign_in(email: str = GRACE, password: str = ADMIN_PASSWORD) -> Step:
    def step(w: World) -> None:
        w.secrets |= {password, ADMIN_PASSWORD}
        at_dashboard(w, "POST", "/signin", {"email": email, "password": password})

    return step


def sign_in(email: str = GRACE) -> Step:
    def step(w: World) -> None:
        dashboard_user(email)(w)
        try_sign_in(email)(w)
        w.bearer = w.answer["sessionId"]
        w.secrets.add(w.bearer)

    return step


def with_key(key: str = API_KEY) -> Step:
    def step(w: World) -> None:
        w.bearer = key
        w.secrets.add(key)

    return step


def with_pass(value: str) -> Step:
    def step(w: World) -> None:
        w.bearer = value

    return step


def sign_out(w: World) -> None:
    at_dashboard(w, "POST", "/signout")


def bad_sign_in(w: World) -> None:
    at_dashboard(w, "POST", "/signin", {"email": GRACE})


def list_users(w: World) -> None:
    at_dashboard(w, "GET", "/users", limit="10", timeJoinedOrder="DESC")


def create_password_user(email: str = ADA) -> Step:
    return lambda w: at_dashboard(
        w, "POST", "/user/emailpassword", {"email": email, "password": PASSWORD}, tenant="public"
    )


def create_passwordless_user(w: World) -> None:
    at_dashboard(w, "POST", "/user/passwordless", {"email": ADA}, tenant="public")


def edit(recipe: str = "emailpassword", **changes: str) -> Step:
    unchanged = {"firstName": "", "lastName": "", "email": "", "phone": ""}
    return lambda w: at_dashboard(
        w, "PUT", "/user", {"recipeId": recipe, "recipeUserId": w.user.id, **unchanged, **changes}
    )


def set_password(w: World) -> None:
    at_dashboard(w, "PUT", "/user/password", {"recipeUserId": w.user.id, "newPassword": "new-Pa55word"})


def set_verified(verified: bool) -> Step:
    return lambda w: at_dashboard(w, "PUT", "/user/email/verify", {"recipeUserId": w.user.id, "verified": verified})


def send_verification(w: World) -> None:
    at_dashboard(w, "POST", "/user/email/verify/token", {"recipeUserId": w.user.id})


def put_metadata(w: World) -> None:
    at_dashboard(w, "PUT", "/user/metadata", {"userId": w.user.id, "data": json.dumps({"plan": "gold"})})


def save_role(*permissions: str) -> Step:
    return lambda w: at_dashboard(w, "PUT", "/userroles/role", {"role": "editor", "permissions": list(permissions)})


def forbid(w: World) -> None:
    at_dashboard(w, "PUT", "/userroles/role/permissions/remove", {"role": "editor", "permissions": ["read"]})


def give_role(w: World) -> None:
    at_dashboard(w, "PUT", "/userroles/user/roles", {"userId": w.user.id, "role": "editor"}, tenant="public")


def take_role(w: World) -> None:
    at_dashboard(w, "DELETE", "/userroles/user/roles", tenant="public", userId=w.user.id, role="editor")


def delete_role(w: World) -> None:
    at_dashboard(w, "DELETE", "/userroles/role", role="editor")


def revoke_session(w: World) -> None:
    at_dashboard(w, "POST", "/user/sessions", {"sessionHandles": [w.session.get_handle()]})


def create_tenant(w: World) -> None:
    at_dashboard(w, "POST", "/tenant", {"tenantId": "t1", "firstFactors": ["emailpassword"]})


def update_tenant(w: World) -> None:
    at_dashboard(w, "PUT", "/tenant/first-factor", {"factorId": "otp-email", "enable": True}, tenant="t1")


def delete_tenant(w: World) -> None:
    at_dashboard(w, "DELETE", "/tenant", tenant="t1")


def unlink(w: World) -> None:
    """A GET, though it changes a user."""
    at_dashboard(w, "GET", "/user/unlink", recipeUserId=w.linked)


def delete_user(w: World) -> None:
    at_dashboard(w, "DELETE", "/user", userId=w.user.id)


# Users


def user(w: World) -> None:
    w.user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user


def verified_user(w: World) -> None:
    user(w)
    recipe_user_id = w.user.login_methods[0].recipe_user_id
    token = w.backend.emailverification.create_email_verification_token("public", recipe_user_id).token
    w.backend.emailverification.verify_email_using_token("public", token)


def session(w: World) -> None:
    w.session = w.backend.session.create_new_session_without_request_response(
        "public", w.user.login_methods[0].recipe_user_id
    )


def linked_user(w: World) -> None:
    user(w)
    w.linked = w.backend.thirdparty.manually_create_or_update_user(
        "public", "acme", "a-1", ADA, True
    ).recipe_user_id.get_as_string()


def passkey_user(w: World) -> None:
    passkey = SoftwareAuthenticator("localhost", "http://localhost")
    options = w.send("POST", "/auth/webauthn/options/register", {"email": ADA}, rid="webauthn")
    body = {
        "webauthnGeneratedOptionsId": options["webauthnGeneratedOptionsId"],
        "credential": passkey.register(options["challenge"]),
    }
    w.send("POST", "/auth/webauthn/signup", body, rid="webauthn")
    (w.user,) = w.backend.supertokens.get_users_oldest_first("public").users
    no_session(w)


def core_fails(path: str) -> Step:
    return lambda w: w.core.fail_next(path)


DENIED = "dashboard.access.denied"

FLOWS = [
    Flow("dashboard sign in ok", API, EP, [dashboard_user()], try_sign_in(), "dashboard.admin.signed_in"),
    Flow(
        "dashboard sign in wrong",
        API,
        EP,
        [dashboard_user()],
        try_sign_in(password="wrong"),
        "dashboard.admin.sign_in.failed",
    ),
    Flow("dashboard sign in without a password", API, EP, [dashboard_user()], bad_sign_in, ""),
    Flow(
        "dashboard sign in: core fails",
        API,
        EP,
        [core_fails("/recipe/dashboard/signin")],
        try_sign_in(),
        "dashboard.admin.sign_in.failed",
    ),
    Flow("dashboard sign out", API, EP, [sign_in()], sign_out, "dashboard.admin.signed_out"),
    Flow("dashboard sign out with an API key", API, BY_KEY, [with_key()], sign_out, ""),
    Flow("dashboard call with invalid session", API, EP, [with_pass("no-such-session")], list_users, DENIED),
    Flow("dashboard call without a session", API, EP, [], list_users, DENIED),
    Flow("dashboard call with a wrong API key", API, BY_KEY, [with_pass("wrong-key")], list_users, DENIED),
    Flow("dashboard change by one who is no admin", API, ADMINS, [sign_in(MALLORY)], create_password_user(), DENIED),
    Flow("dashboard list users", API, EP, [sign_in()], list_users, ""),
    Flow("dashboard list users with an API key", API, BY_KEY, [with_key()], list_users, ""),
    Flow(
        "dashboard create EP user",
        API,
        LINKED,
        [sign_in()],
        create_password_user(),
        "user.created, user.became_primary",
    ),
    Flow("dashboard create EP user with an API key", API, BY_KEY, [with_key()], create_password_user(), "user.created"),
    Flow(
        "dashboard create EP user: e-mail is taken",
        API,
        EP,
        [sign_in(), user],
        create_password_user(),
        "user.sign_up.failed",
    ),
    Flow(
        "dashboard create passwordless user",
        API,
        LINKED,
        [sign_in()],
        create_passwordless_user,
        "passwordless.code.created, user.created, user.became_primary",
    ),
    Flow(
        "dashboard edit user (metadata + email)",
        API,
        EP,
        [sign_in(), user],
        edit(firstName="Ada", email=NEW),
        "user.metadata.updated, user.email.changed",
    ),
    Flow("dashboard edit user: nothing", API, EP, [sign_in(), user], edit(), ""),
    Flow("dashboard set password", API, EP, [sign_in(), user], set_password, "password.changed"),
    Flow("dashboard mark email verified", API, EP, [sign_in(), user], set_verified(True), "email.verified"),
    Flow("dashboard unverify email", API, EP, [sign_in(), verified_user], set_verified(False), "email.unverified"),
    Flow(
        "dashboard send verification email",
        API,
        EP,
        [sign_in(), user],
        send_verification,
        "email.verification.requested",
    ),
    Flow(
        "dashboard metadata put",
        API,
        EP,
        [sign_in(), user],
        put_metadata,
        "user.metadata.cleared, user.metadata.updated",
    ),
    Flow("dashboard create role", API, EP, [sign_in()], save_role("read"), "role.created"),
    Flow("dashboard add a permission", API, EP, [sign_in(), save_role()], save_role("read"), "role.permissions.added"),
    Flow("dashboard remove a permission", API, EP, [sign_in(), save_role("read")], forbid, "role.permissions.removed"),
    Flow("dashboard add role to user", API, EP, [sign_in(), user, save_role()], give_role, "role.assigned"),
    Flow(
        "dashboard remove role from user",
        API,
        EP,
        [sign_in(), user, save_role(), give_role],
        take_role,
        "role.unassigned",
    ),
    Flow("dashboard delete role", API, EP, [sign_in(), save_role()], delete_role, "role.deleted"),
    Flow("dashboard revoke sessions", API, EP, [sign_in(), user, session], revoke_session, "session.revoked"),
    Flow("dashboard create tenant", API, EP, [sign_in()], create_tenant, "tenant.created"),
    Flow("dashboard update tenant first factor", API, EP, [sign_in(), create_tenant], update_tenant, "tenant.updated"),
    Flow("dashboard delete tenant", API, EP, [sign_in(), create_tenant], delete_tenant, "tenant.deleted"),
    Flow("dashboard unlink user (GET!)", API, LINKED, [sign_in(), linked_user], unlink, "account.unlinked"),
    Flow("dashboard delete user", API, EP, [sign_in(), user], delete_user, "user.deleted"),
    Flow(
        "dashboard edit WEBAUTHN user email -> SDK BUG: core updated then raises",
        API,
        WA,
        [sign_in(), passkey_user],
        edit("webauthn", email=NEW),
        "user.email.changed",
    ),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}
    assert len({event.correlation_id for event in w.told()}) <= 1


def played(world, recipes, given, when, **how) -> World:
    w = world(recipes, **how)
    for step in given:
        step(w)
    w.mark()
    when(w)
    return w


BY_ADMIN = [
    flow
    for flow in FLOWS
    if flow.event_types and not flow.event_types[0].startswith("dashboard.") and flow.recipes is not BY_KEY
]


@pytest.mark.parametrize(("flow", "entry"), rows(BY_ADMIN))
def test_an_admin_did_it(flow, entry, play):
    """What an admin does at the dashboard has the admin as its actor, by e-mail address, and the request as its context."""
    w = play(flow, entry)

    assert {(event.actor.type, event.actor.email, event.actor.user_id) for event in w.told()} == {
        ("admin", GRACE, None)
    }
    assert all("/dashboard/api/" in event.context.path for event in w.told())


@pytest.mark.parametrize("attach", WAYS)
def test_an_admin_comes_and_goes(attach, world):
    """Signing in and out name the admin; a failed sign-in says what was typed, and that nobody is known."""
    w = world(EP, attach=attach)
    for step in (sign_in(), try_sign_in(password="wrong"), sign_out):
        step(w)

    signed_in, failed, signed_out = w.told()
    assert signed_in.data == signed_out.data == {"email": GRACE}
    assert failed.data == {"reason": "wrong_credentials", "email": GRACE}
    assert [(event.actor.type, event.actor.email) for event in w.told()] == [
        ("admin", GRACE),
        ("unknown", None),
        ("admin", GRACE),
    ]
    assert w.leaked() == set()


@pytest.mark.parametrize(
    ("recipes", "given", "when", "reason", "actor"),
    [
        (EP, [with_pass("no-such-session")], list_users, "unauthorised", ("unknown", None)),
        (EP, [with_pass("no-such-session")], create_password_user(), "unauthorised", ("unknown", None)),
        (ADMINS, [sign_in(MALLORY)], create_password_user(), "not_allowed", ("admin", MALLORY)),
    ],
)
def test_who_is_not_let_in(recipes, given, when, reason, actor, world):
    """Without a session nobody is known; a dashboard user who is no admin is known by e-mail address."""
    w = played(world, recipes, given, when)

    (denied,) = w.told()
    assert (denied.data, (denied.actor.type, denied.actor.email)) == ({"reason": reason}, actor)


def test_with_an_api_key_an_admin_has_no_name(world):
    """The actor is an admin all the same, and the key is never sent to the core."""
    w = played(world, BY_KEY, [with_key()], create_password_user())

    (created,) = w.told()
    assert (created.actor.type, created.actor.email) == ("admin", None)
    assert not [request for request in w.core.requests if "dashboard" in request.path]


def test_looking_costs_nothing(world):
    """The core is asked who the admin is only when something may change."""
    w = played(world, EP, [sign_in()], list_users)

    assert [request.path for request in w.core.requests].count("/recipe/dashboard/session/verify") == 1


def test_a_core_that_does_not_say_who(world):
    """When the core does not answer who the admin is, the change is told all the same, by an admin without a name."""
    w = world(EP)
    for step in (sign_in(), user):
        step(w)
    w.mark()
    core_fails("/recipe/dashboard/session/verify")(w)
    delete_user(w)

    (deleted,) = w.told()
    assert (deleted.type, deleted.actor.type, deleted.actor.email) == ("user.deleted", "admin", None)


@pytest.fixture(scope="module")
def servers() -> Iterator[Servers]:
    started = Servers()
    yield started
    started.stop()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_in_every_framework(framework, servers, core, make_events):
    """Each framework keeps its requests and answers in its own way; the events are the same."""
    how = FRAMEWORKS[framework]
    events = make_events()
    core.reset()
    httpx.post(f"{core.url}/recipe/dashboard/user", json={"email": GRACE, "password": ADMIN_PASSWORD}, trust_env=False)
    recipes = [make(None) for make in BARE]
    with started(core.url, recipes, events, framework=how.framework, mode=how.mode):
        base = f"{servers.url(framework)}/auth/dashboard/api"
        for password in ("wrong", ADMIN_PASSWORD):
            answer = httpx.post(f"{base}/signin", json={"email": GRACE, "password": password}, trust_env=False)
        headers = {"authorization": f"Bearer {answer.json()['sessionId']}"}
        httpx.put(
            f"{base}/userroles/role", json={"role": "editor", "permissions": []}, headers=headers, trust_env=False
        )
        httpx.post(f"{base}/signout", headers=headers, trust_env=False)

    told = stored_events(events)
    assert [(event.type, event.actor.type) for event in told] == [
        ("dashboard.admin.sign_in.failed", "unknown"),
        ("dashboard.admin.signed_in", "admin"),
        ("role.created", "admin"),
        ("dashboard.admin.signed_out", "admin"),
    ]
    assert told[0].data == {"reason": "wrong_credentials", "email": GRACE}
    assert {event.actor.email for event in told[1:]} == {GRACE}
    assert {urlsplit(event.context.path).path for event in told} == {
        f"/auth/dashboard/api/{name}" for name in ("signin", "signout", "userroles/role")
    }


async def _let_everybody_in(request: Any, config: Any, user_context: Any) -> bool:
    return True


def own_door(implementation: Any) -> Any:
    """An app that decides itself who may use its dashboard."""
    implementation.should_allow_access = _let_everybody_in
    return implementation


def test_an_apps_own_pass_stays_in_the_app(world):
    """What an app puts into the header instead of a session's id is not sent to the core."""
    own = [emailpassword(), dashboard(override=InputOverrideConfig(functions=own_door)), sessions()]
    w = played(world, own, [with_pass("the-app's-own-token")], create_password_user())

    assert [(event.type, event.actor.type, event.actor.email) for event in w.told()] == [
        ("user.created", "admin", None)
    ]
    assert not [request for request in w.core.requests if "dashboard" in request.path]
