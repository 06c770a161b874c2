"""The app as an OAuth2 provider: every flow with the events it brings, by the frontend API and by a backend."""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from supertokens_python.recipe.oauth2provider.interfaces import ErrorOAuth2Response
from supertokens_python.recipe.oauth2provider.utils import InputOverrideConfig
from supertokens_python.types import GeneralErrorResponse

from flows.harness import API, BACKEND, Flow, Step, World, raises, rows, sdk_is
from flows.oauth_client import (
    GOODBYE,
    OUR_END_SESSION,
    SECRET,
    STATE,
    TOKENS,
    as_client,
    authorize,
    basic,
    by_itself,
    client,
    delete,
    end_session,
    exchange,
    implementation,
    log_in,
    log_out,
    make_client,
    params,
    post_token,
    refresh,
    revoke,
    signed_in,
    update,
)
from flows.recipes import emailpassword, oauth2provider, sessions

OA = [emailpassword(), sessions(), oauth2provider()]
ALL = ("@default", "oauth.authorization.completed")

GRANTED = "oauth.login.accepted, oauth.consent.accepted"
FAILED = "oauth.authorization.failed"
REJECTED = "oauth.login.rejected, oauth.authorization.failed"
ISSUED = "oauth.token.issued"
NOT_ISSUED = "oauth.token.issue_failed"

# Of a refresh token. Before 0.30.3 the SDK went on with one that it knew to be no good, until the core raised.
NO_LONGER_GOOD = "invalid_grant" if sdk_is("0.30.3") else "error"


def delete_ada(w: World) -> None:
    """Her session outlives her: nobody asks the core about an access token that is still good."""
    user_id = w.answer["user"]["id"] if "user" in w.answer else w.user_id
    w.backend.supertokens.delete_user(user_id)


def remember_ada(w: World) -> None:
    w.user_id = w.answer["user"]["id"]


def b_token(*, secret: str = SECRET, client_id: str = "", scope: str = "read") -> Step:
    def step(w: World) -> None:
        w.tokens = w.backend.oauth2provider.create_token_for_client_credentials(
            client_id or w.client.client_id, secret, [scope]
        )
        w.secrets.add(getattr(w.tokens, "access_token", ""))

    return step


def revoke_tokens_of_client(w: World) -> None:
    w.backend.oauth2provider.revoke_tokens_by_client_id(w.client.client_id)


def b_revoke(w: World) -> None:
    w.backend.oauth2provider.revoke_token(w.tokens.access_token, w.client.client_id, SECRET)


def b_call(name: str, **arguments: Any) -> Step:
    """A function that only a backend with a sign-in page of its own calls. ``challenge``: of the authorization just begun."""

    def step(w: World) -> None:
        given = {"challenge": getattr(w, "challenge", "no-such-challenge"), **arguments}
        w.call(getattr(implementation(), name), **given, user_context={})

    return step


def begin(w: World) -> None:
    """Ask for a login, up to its challenge."""
    authorize(session=False)(w)
    w.challenge = w.found["loginChallenge"]


def begin_consent(w: World) -> None:
    """The same up to the challenge of the consent, as a backend with a consent page of its own does."""
    begin(w)

    async def until_consent() -> str:
        functions = implementation()
        accepted = await functions.accept_login_request(w.challenge, None, None, None, None, "handle", "ada", {})
        cookies = "; ".join(f"{name}={value}" for name, value in w.cookies.items())
        answer = await functions.authorization(in_query(accepted.redirect_to), cookies, None, {})
        return in_query(answer.redirect_to)["consent_challenge"]

    w.challenge = w.call(until_consent)
    w.secrets.add(w.challenge)


def in_query(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


REJECTION = ErrorOAuth2Response("access_denied", "Ada said no, and why is her secret")


CLIENTS = [
    Flow("OA.create_oauth2_client", BACKEND, OA, [], client(), "oauth.client.created"),
    Flow(
        "OA.create_oauth2_client, a public one",
        BACKEND,
        OA,
        [],
        client(token_endpoint_auth_method="none"),
        "oauth.client.created",
    ),
    Flow(
        "OA.create_oauth2_client twice",
        BACKEND,
        OA,
        [client(client_id="calendar")],
        client(client_id="calendar"),
        "oauth.client.create.failed",
    ),
    Flow(
        "OA.create_oauth2_client, bad redirect URI",
        BACKEND,
        OA,
        [],
        client(redirect_uris=["https://x/#y"]),
        "oauth.client.create.failed",
    ),
    Flow("OA.update_oauth2_client", BACKEND, OA, [client()], update(client_name="Diary"), "oauth.client.updated"),
    Flow(
        "OA.update_oauth2_client, its secret",
        BACKEND,
        OA,
        [client()],
        update(client_secret="a-new-Secret"),
        "oauth.client.secret_rotated",
    ),
    Flow(
        "OA.update_oauth2_client, both",
        BACKEND,
        OA,
        [client()],
        update(client_name="Diary", client_secret="a-new-Secret"),
        "oauth.client.updated, oauth.client.secret_rotated",
    ),
    Flow("OA.update_oauth2_client, nothing", BACKEND, OA, [client()], update(), ""),
    Flow(
        "OA.update_oauth2_client, unknown",
        BACKEND,
        OA,
        [],
        raises(update(client_id="nobody", client_name="Diary")),
        "oauth.client.update.failed",
    ),
    Flow("OA.delete_oauth2_client", BACKEND, OA, [client()], delete(), "oauth.client.deleted"),
    Flow("OA.delete_oauth2_client, unknown", BACKEND, OA, [], delete("nobody"), ""),
    Flow(
        "OA.revoke_tokens_by_client_id",
        BACKEND,
        OA,
        [client()],
        revoke_tokens_of_client,
        "oauth.client.tokens_revoked",
        since="0.31.3",  # before, the SDK asked the core to revoke those of a session, which refused
    ),
    Flow(
        "OA.revoke_tokens_by_client_id, core fails",
        BACKEND,
        OA,
        [client(), lambda w: w.core.fail_next("/revoke")],
        raises(revoke_tokens_of_client),
        "",
    ),
    Flow(
        "OA.revoke_tokens_by_session_handle",
        BACKEND,
        OA,
        [],
        lambda w: w.backend.oauth2provider.revoke_tokens_by_session_handle("handle"),
        "oauth.session.tokens_revoked",
    ),
    Flow(
        "OA.get_oauth2_client and get_oauth2_clients",
        BACKEND,
        OA,
        [client()],
        lambda w: (
            w.backend.oauth2provider.get_oauth2_client(w.client.client_id),
            w.backend.oauth2provider.get_oauth2_clients(),
        ),
        "",
    ),
]

AUTHORIZATIONS = [
    Flow("OAuth auth_get with session", API, OA, [signed_in, client()], authorize(), GRANTED),
    Flow(
        "OAuth auth_get with session, all told",
        API,
        OA,
        [signed_in, client()],
        authorize(),
        f"{GRANTED}, oauth.authorization.completed",
        captured=ALL,
    ),
    Flow("OAuth auth_get without session", API, OA, [client()], authorize(session=False), ""),
    Flow("OAuth login_get with session", API, OA, [client(), authorize(session=False), signed_in], log_in(), GRANTED),
    Flow(
        "OAuth login_get with the session of who began, all told",
        API,
        OA,
        [signed_in, client(), authorize(prompt="login")],
        log_in(),
        f"{GRANTED}, oauth.authorization.completed",
        captured=ALL,
    ),
    Flow(
        "OAuth login_get with a used challenge",
        API,
        OA,
        [signed_in, client(), authorize(prompt="login"), log_in()],
        log_in(),
        f"oauth.login.accepted, {FAILED}",
    ),
    Flow(
        "OAuth login_get, unknown challenge",
        API,
        OA,
        [signed_in, client()],
        log_in(challenge="unknown-challenge"),
        FAILED,
    ),
    Flow(
        "OAuth auth_get with session, a code and an error that nobody gave",
        API,
        OA,
        [signed_in, client()],
        authorize(code="made-up", error="made_up", access_token="made-up"),
        f"{GRANTED}, oauth.authorization.completed",
        captured=ALL,
    ),
    Flow(
        "OAuth auth_get, a code that nobody gave",
        API,
        OA,
        [client()],
        authorize(session=False, code="made-up", error="made_up", access_token="made-up"),
        "",
        captured=ALL,
    ),
    *(
        Flow(f"OAuth auth_get, {name}", API, OA, [signed_in, client()], authorize(**asked), FAILED)
        for name, asked in {
            "invalid_scope": {"scope": "openid admin"},
            "invalid_state": {"state": "short"},
            "unsupported_response_type": {"response_type": "token"},
            "unknown client": {"client_id": "nobody"},
            "missing client": {"client_id": None},
            "unregistered redirect URI": {"redirect_uri": "https://evil.example.com"},
        }.items()
    ),
    Flow(
        "OAuth auth_get, unknown client, no session",
        API,
        OA,
        [client()],
        authorize(session=False, client_id="nobody"),
        FAILED,
    ),
    Flow("OAuth auth_get, deleted user", API, OA, [signed_in, remember_ada, client(), delete_ada], authorize(), FAILED),
    Flow(
        "OAuth auth_get, core fails",
        API,
        OA,
        [signed_in, client(), lambda w: w.core.fail_next("/oauth/auth")],
        authorize(),
        FAILED,
    ),
    Flow(
        "OAuth auth_get, prompt=none without session",
        API,
        OA,
        [client()],
        authorize(session=False, prompt="none"),
        REJECTED,
    ),
    Flow("OAuth auth_get, prompt=none with session", API, OA, [signed_in, client()], authorize(prompt="none"), GRANTED),
    Flow("OAuth auth_get, negative max_age", API, OA, [signed_in, client()], authorize(max_age="-1"), REJECTED),
    Flow("OAuth auth_get, max_age is no number", API, OA, [signed_in, client()], authorize(max_age="old"), REJECTED),
    Flow(
        "OAuth implicit grant",
        API,
        OA,
        [signed_in, client()],
        authorize(response_type="id_token token"),
        f"{GRANTED}, {ISSUED}",
    ),
    Flow(
        "OAuth implicit grant, id token only",
        API,
        OA,
        [signed_in, client()],
        authorize(response_type="id_token"),
        f"{GRANTED}, {ISSUED}",
    ),
    Flow(
        "OAuth hybrid grant, all told",
        API,
        OA,
        [signed_in, client()],
        authorize(response_type="code id_token"),
        f"{GRANTED}, oauth.authorization.completed, {ISSUED}",
        captured=ALL,
    ),
    Flow(
        "OAuth implicit grant through login_get",
        API,
        OA,
        [client(), authorize(session=False, response_type="id_token token"), signed_in],
        log_in(),
        f"{GRANTED}, {ISSUED}",
    ),
    Flow(
        "OA.accept_login_request backend",
        ("asyncio",),
        OA,
        [client(), begin],
        b_call(
            "accept_login_request",
            acr=None,
            amr=None,
            context=None,
            extend_session_lifespan=None,
            identity_provider_session_id=None,
            subject="ada",
        ),
        "oauth.login.accepted",
    ),
    Flow(
        "OA.reject_login_request backend",
        ("asyncio",),
        OA,
        [client(), begin],
        b_call("reject_login_request", error=REJECTION),
        "oauth.login.rejected",
    ),
    Flow(
        "OA.reject_consent_request backend",
        ("asyncio",),
        OA,
        [client(), begin_consent],
        b_call("reject_consent_request", error=REJECTION),
        "oauth.consent.rejected",
    ),
    Flow(
        "OA.reject_consent_request backend, unknown challenge",
        ("asyncio",),
        OA,
        [],
        raises(b_call("reject_consent_request", error=REJECTION)),
        "",
    ),
    Flow(
        "OA.authorization backend, no session, bad scope",
        ("asyncio",),
        OA,
        [client()],
        lambda w: w.call(implementation().authorization, params(w, scope="admin"), None, None, {}),
        FAILED,
    ),
]

CODE = [signed_in, client(), authorize()]

TOKEN_FLOWS = [
    Flow("OAuth token_post authorization_code", API, OA, CODE, exchange(), ISSUED),
    Flow("OAuth token_post client_credentials", API, OA, [client()], by_itself(), ISSUED),
    Flow(
        "OAuth token_post client_credentials, Basic",
        API,
        OA,
        [client(token_endpoint_auth_method="client_secret_basic")],
        lambda w: post_token(w, {"grant_type": "client_credentials"}, authorization=basic(w)),
        ISSUED,
    ),
    Flow("OAuth token_post refresh_token", API, OA, TOKENS, refresh(), ISSUED),
    Flow("OAuth token_post refresh_token, narrowed", API, OA, TOKENS, refresh(scope="openid"), ISSUED),
    Flow(
        "OAuth token_post refresh_token, rotated",
        API,
        OA,
        [signed_in, client(enable_refresh_token_rotation=True), authorize(), exchange()],
        refresh(),
        ISSUED,
    ),
    Flow("OA.create_token_for_client_credentials", BACKEND, OA, [client()], b_token(), ISSUED),
    Flow(
        "OA.create_token_for_client_credentials, wrong secret",
        BACKEND,
        OA,
        [client()],
        b_token(secret="wrong"),
        NOT_ISSUED,
    ),
    Flow(
        "OA.create_token_for_client_credentials, unknown",
        BACKEND,
        OA,
        [client()],
        b_token(client_id="nobody"),
        NOT_ISSUED,
    ),
    Flow("OAuth revoke_post", API, OA, TOKENS, revoke(), "oauth.token.revoked"),
    Flow("OAuth revoke_post, access token", API, OA, TOKENS, revoke("access_token"), "oauth.token.revoked"),
    Flow("OAuth revoke_post, unknown token", API, OA, TOKENS, revoke(token="st_rt_unknown"), "oauth.token.revoked"),
    Flow(
        "OAuth revoke_post, wrong secret", API, OA, TOKENS, revoke(client_secret="wrong"), "oauth.token.revoke.failed"
    ),
    Flow(
        "OAuth revoke_post, Basic",
        API,
        OA,
        TOKENS,
        lambda w: w.send("POST", "/auth/oauth/revoke", {"token": w.tokens["access_token"]}, authorization=basic(w)),
        "oauth.token.revoked",
    ),
    Flow("OA.revoke_token", BACKEND, OA, [client(), b_token()], b_revoke, "oauth.token.revoked"),
    Flow(
        "OAuth userinfo and introspection",
        API,
        OA,
        TOKENS,
        lambda w: (
            w.send("GET", "/auth/oauth/userinfo", authorization=f"Bearer {w.tokens['access_token']}"),
            w.send("POST", "/auth/oauth/introspect", {"token": w.tokens["access_token"]}),
        ),
        "",
    ),
]

LOGOUTS = [
    Flow("OAuth end_session_get (session present)", API, OA, TOKENS, end_session(session=True), ""),
    Flow("OAuth end_session_post (session present)", API, OA, TOKENS, end_session(session=True, post=True), ""),
    Flow("OAuth end_session_get without session", API, OA, TOKENS, end_session(session=False), "oauth.logout.accepted"),
    Flow(
        "OAuth end_session_post without session",
        API,
        OA,
        TOKENS,
        end_session(session=False, post=True),
        "oauth.logout.accepted",
    ),
    Flow(
        "OAuth logout_post",
        API,
        OA,
        [*TOKENS, end_session(session=True)],
        log_out(),
        "session.revoked, oauth.logout.accepted",
    ),
    Flow(
        "OAuth logout_post, with an address to go to",
        API,
        OA,
        [*TOKENS, end_session(session=True, post_logout_redirect_uri=GOODBYE)],
        log_out(),
        "session.revoked, oauth.logout.accepted",
    ),
    Flow(
        "OAuth logout_post, back to our own end_session (the SDK raises)",
        API,
        OA,
        [*TOKENS, end_session(session=True, post_logout_redirect_uri=OUR_END_SESSION, state=STATE)],
        log_out(),
        "session.revoked, oauth.logout.accepted",
    ),
    Flow(
        "OAuth logout_post without session",
        API,
        OA,
        [*TOKENS, end_session(session=True)],
        log_out(session=False),
        "oauth.logout.accepted",
    ),
    Flow(
        "OAuth logout_post, unknown challenge",
        API,
        OA,
        TOKENS,
        log_out(challenge="unknown-challenge"),
        "session.revoked",
    ),
    Flow(
        "OAuth logout_post, the same challenge again",
        API,
        OA,
        [*TOKENS, end_session(session=True), log_out()],
        log_out(session=False),
        "oauth.logout.accepted",
    ),
    Flow(
        "OA.reject_logout_request (the SDK always raises)",
        ("asyncio",),
        OA,
        [],
        raises(b_call("reject_logout_request")),
        "",
    ),
]

FLOWS = [*CLIENTS, *AUTHORIZATIONS, *TOKEN_FLOWS, *LOGOUTS]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


# What the events say


def played(world, given, when, recipes=OA) -> World:
    w = world(recipes)
    for step in given:
        step(w)
    w.mark()
    when(w)
    return w


def test_a_client_without_its_secret(world):
    """A new client comes with what it may do; its secret and the app's metadata stay where they are."""
    w = played(world, [], client())

    (created,) = w.told()
    assert created.data == {
        "client_id": w.client.client_id,
        "client_name": "Calendar",
        "grant_types": ["authorization_code", "refresh_token", "client_credentials", "implicit"],
        "response_types": ["code", "id_token", "id_token token", "code id_token"],
        "scopes": ["openid", "email", "offline_access", "read"],
        "redirect_uris": ["https://calendar.example.com/callback"],
        "token_endpoint_auth_method": "client_secret_post",
    }
    assert (created.user_id, created.tenant_id, created.actor.type) == (None, None, "system")


def test_an_update_names_its_fields(world):
    """An update says which settings were stored, and not to what; a secret among them is a fact of its own."""
    w = played(world, [client()], update(redirect_uris=[GOODBYE], client_secret="a-new-Secret", metadata=None))

    updated, rotated = w.told()
    named = {"client_id": w.client.client_id, "client_name": "Calendar"}
    assert updated.data == {**named, "fields": ["redirect_uris", "metadata"]}
    assert rotated.data == named


def test_a_deleted_client_is_named(world):
    """What the client was called is read before it goes."""
    w = played(world, [client()], delete())

    assert w.told()[0].data == {"client_id": w.client.client_id, "client_name": "Calendar"}


def test_a_client_that_could_not_be_read(world):
    """When the core does not answer the read, the deletion is told without a name, and the gap is counted."""
    w = played(world, [client(), lambda w: w.core.fail_next("/recipe/oauth/clients")], delete())

    assert [event.data for event in w.told()] == [{"client_id": w.client.client_id}]
    assert w.trouble() == {("capture_failed", "oauth2provider.delete_oauth2_client"): 1}


def test_no_read_that_nobody_wants(world):
    """When nobody gets ``oauth.client.deleted``, the core is not asked for the client."""
    w = world(OA, wanted=False)
    make_client(w)
    before = len(w.core.requests)

    delete()(w)

    assert [request.path for request in w.core.requests[before:]] == ["/recipe/oauth/clients/remove"]


def ids(w: World) -> dict[str, str]:
    """Of Ada's session."""
    (session,) = w.told("session.created")
    return {"recipe_user_id": session.user_id, "session_handle": session.data["session_handle"]}


def test_an_authorization_says_who_and_for_whom(world):
    """Each step names the client; the user of the session did it, in the session's tenant."""
    w = world(OA, capture={"events": list(ALL)})
    for step in (signed_in, client(), authorize()):
        step(w)

    accepted, consented, completed = w.told()[-3:]
    about = {"client_id": w.client.client_id, **ids(w)}
    assert accepted.data == {"client_id": about["client_id"], "session_handle": about["session_handle"]}
    assert consented.data == {**about, "scopes": ["openid", "email", "offline_access"]}
    assert completed.data == {**consented.data, "gave_code": True}
    for event in (accepted, consented, completed):
        assert (event.user_id, event.tenant_id) == (about["recipe_user_id"], "public")
        assert (event.actor.type, event.actor.user_id) == ("user", about["recipe_user_id"])
        assert event.context.path == "/auth/oauth/auth"


def test_tokens_for_a_user(world):
    """Tokens for a code say for which user a client may act now, though the client alone asked for them."""
    w = world(OA)
    for step in TOKENS:
        step(w)

    issued = w.told()[-1]
    assert issued.data == {
        "grant_type": "authorization_code",
        "client_id": w.client.client_id,
        "token_types": ["access_token", "id_token", "refresh_token"],
        "scopes": ["openid", "email", "offline_access"],
        "expires_in": 3600,
        **ids(w),
    }
    assert (issued.user_id, issued.tenant_id, issued.actor.type) == (ids(w)["recipe_user_id"], "public", "unknown")


def test_tokens_without_a_code(world):
    """An implicit grant is told from where the browser is sent: its tokens, and whose they are."""
    w = world(OA)
    for step in (signed_in, client(), authorize(response_type="id_token token", scope="openid email")):
        step(w)

    issued = w.told()[-1]
    assert issued.data == {
        "grant_type": "implicit",
        "client_id": w.client.client_id,
        "token_types": ["access_token", "id_token"],
        "scopes": ["openid", "email"],
        "expires_in": 3600,
        **ids(w),
    }
    assert issued.user_id == ids(w)["recipe_user_id"]


def test_a_client_for_itself(world):
    """A client's own token has no user: its subject is the client."""
    w = played(world, [client()], b_token())

    (issued,) = w.told()
    assert issued.data == {
        "grant_type": "client_credentials",
        "client_id": w.client.client_id,
        "token_types": ["access_token"],
        "scopes": ["read"],
        "expires_in": 3600,
    }
    assert (issued.user_id, issued.actor.type) == (None, "system")


def test_a_revocation_names_no_client_as_a_fact(world):
    """Whoever revokes an access token may say they are anybody; the event calls that a claim."""
    w = played(world, TOKENS, revoke("access_token", client_id="somebody-else"))

    assert w.told()[0].data == {"token_type": "access_token", "claimed_client_id": "somebody-else"}


def test_a_refresh_token_is_known_by_its_beginning(world):
    """Of a token that is revoked only its kind is told."""
    w = played(world, TOKENS, revoke())

    assert w.told()[0].data == {"token_type": "refresh_token", "claimed_client_id": w.client.client_id}


def test_who_logged_out(world):
    """The session is gone by then; the request still knows whose it was."""
    w = world(OA)
    for step in (*TOKENS, end_session(session=True), log_out()):
        step(w)

    (accepted,) = w.told("oauth.logout.accepted")
    assert accepted.data == {"session_handle": ids(w)["session_handle"]}
    assert (accepted.user_id, accepted.tenant_id) == (ids(w)["recipe_user_id"], "public")


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"scope": "openid admin"}, "invalid_scope"),
        ({"state": "short"}, "invalid_state"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"client_id": "nobody"}, "invalid_client"),
        ({"client_id": None}, "invalid_request"),
        ({"redirect_uri": "https://evil.example.com"}, "invalid_request"),
        ({"max_age": "-1"}, "invalid_request"),
    ],
)
def test_why_a_client_was_not_let_in(asked, reason, world):
    """A failed authorization has a reason from a closed set, whether the browser was sent away with it or stopped."""
    w = played(world, [signed_in, client()], authorize(**asked))

    failed = w.told()[-1]
    assert (failed.data["reason"], failed.data.get("client_id")) == (reason, asked.get("client_id", w.client.client_id))


def test_a_login_that_nobody_can_answer(world):
    """``prompt=none`` without a session: the login is rejected and the authorization fails, both for the same reason."""
    w = played(world, [client()], authorize(session=False, prompt="none"))

    about = {"reason": "login_required", "client_id": w.client.client_id}
    assert [event.data for event in w.told()] == [about, about]


def test_a_used_challenge_is_denied(world):
    """The same login challenge a second time ends in ``access_denied``, though its login was accepted again."""
    w = played(world, [signed_in, client(), authorize(prompt="login"), log_in()], log_in())

    assert w.told()[-1].data == {"reason": "access_denied", "client_id": w.client.client_id}


def test_a_rejection_in_words_of_the_app(world):
    """An error that is none of OAuth2's is ``other``: its text is the app's."""
    odd = ErrorOAuth2Response("Ada does not want to", "at all")
    w = played(world, [client(), begin], b_call("reject_login_request", error=odd))

    assert w.told()[0].data == {"reason": "other"}


@pytest.mark.parametrize(
    ("given", "when", "reason", "grant_type"),
    [
        ([client()], by_itself(client_secret="wrong"), "invalid_client", "client_credentials"),
        ([client()], by_itself(client_id="nobody"), "invalid_client", "client_credentials"),
        ([client()], by_itself(scope="admin"), "invalid_scope", "client_credentials"),
        ([client(grant_types=["authorization_code"])], by_itself(), "unauthorized_client", "client_credentials"),
        ([client()], by_itself(grant_type="password"), "invalid_request", "other"),
        ([client()], by_itself(grant_type="juggling"), "error", "other"),
        (CODE, exchange(code="no-such-code"), "invalid_grant", "authorization_code"),
        ([*CODE, exchange()], exchange(), "invalid_grant", "authorization_code"),
        (CODE, exchange(client_id="nobody"), "invalid_request", "authorization_code"),
        (TOKENS, refresh(refresh_token="st_rt_unknown"), NO_LONGER_GOOD, "refresh_token"),
        ([*TOKENS, revoke()], refresh(), NO_LONGER_GOOD, "refresh_token"),
        ([client()], lambda w: post_token(w, as_client(w, grant_type="refresh_token")), "error", "refresh_token"),
        ([client()], lambda w: post_token(w, as_client(w)), "error", "other"),
        ([client()], lambda w: post_token(w, {"grant_type": ["a"]}), "error", "other"),
    ],
)
def test_why_there_was_no_token(given, when, reason, grant_type, world):
    """A client that gets no token is told with a reason and a grant type, each from a closed set."""
    w = played(world, given, when)

    failed = w.told("oauth.token.issue_failed")[-1]
    assert (failed.data["reason"], failed.data["grant_type"]) == (reason, grant_type)
    assert w.leaked() == set()


@pytest.mark.parametrize(
    ("given", "when", "data"),
    [
        ([], client(redirect_uris=["https://x/#y"]), {"reason": "invalid_redirect_uri", "client_name": "Calendar"}),
        (
            [client(client_id="calendar")],
            client(client_id="calendar"),
            {"reason": "already_exists", "client_id": "calendar", "client_name": "Calendar"},
        ),
        (
            [client(client_id="calendar")],
            update(redirect_uris=["https://x/#y"]),
            {"reason": "invalid_redirect_uri", "client_id": "calendar"},
        ),
        ([], raises(update("nobody", client_name="Diary")), {"reason": "error", "client_id": "nobody"}),
        (
            [client(client_id="calendar"), signed_in, authorize(), exchange()],
            revoke(client_secret="wrong"),
            {"reason": "invalid_client", "token_type": "refresh_token", "claimed_client_id": "calendar"},
        ),
        (
            [client()],
            lambda w: w.send("POST", "/auth/oauth/revoke", {"token": "st_rt_of_nobody"}),
            {"reason": "error", "token_type": "refresh_token"},
        ),
    ],
)
def test_why_nothing_was_changed(given, when, data, world):
    """A client that could not be stored, and a token that could not be made void, are told with a reason."""
    w = played(world, given, when)

    assert [event.data for event in w.told()] == [data]
    assert w.leaked() == set()


@pytest.mark.parametrize(
    ("header", "claimed"),
    [
        (f"Basic {base64.b64encode(b'calendar:wrong').decode()}", "calendar"),
        (f"basic {base64.b64encode(b'calendar:wrong').decode()}", "calendar"),
        (f"Basic {base64.b64encode(b'a-secret-alone').decode()}", None),
        ("Basic not base64", None),
        ("Bearer st_rt_of_somebody", None),
    ],
)
def test_who_says_they_are(header, claimed, world):
    """Of a header only the id before the colon is taken; one that makes the SDK stumble is told with nobody's name."""
    w = played(world, [client()], lambda w: post_token(w, {"grant_type": "client_credentials"}, authorization=header))

    (failed,) = w.told()
    assert failed.data.get("claimed_client_id") == claimed
    assert w.trouble() == {}


def says_no(original: Any) -> Any:
    async def refuse(*_: Any, **__: Any) -> GeneralErrorResponse:
        return GeneralErrorResponse("not today")

    original.auth_get = original.token_post = refuse
    return original


@pytest.mark.parametrize(("attach", "reasons"), [("plugin", []), ("instrument", ["general_error", "general_error"])])
def test_an_app_that_says_no_itself(attach, reasons, world):
    """A plugin is inside an app's own override and does not see what that answers; ``instrument()`` is outside and does."""
    own = [emailpassword(), sessions(), oauth2provider(override=InputOverrideConfig(apis=says_no))]
    w = world(own, attach=attach)
    signed_in(w)
    make_client(w)
    w.mark()

    authorize()(w)
    by_itself()(w)

    assert w.answer == {"status": "GENERAL_ERROR", "message": "not today"}
    assert [event.data["reason"] for event in w.told()] == reasons
