"""Passkeys: users who come with one, get one more, lose one, and come back with another: exactly the events that are so.

One row is one flow. To add a flow, add a row. Every credential is a real one, of an authenticator in software.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest

from core_double.software_authenticator import SoftwareAuthenticator
from flows.harness import ADA, API, BACKEND, BOB, PASSWORD, Flow, Step, World, no_session, rows, since
from flows.recipes import emailpassword, emailverification, linking, multifactorauth, sessions, webauthn
from supertokens_events.capture.rebind import rebind
from supertokens_events.capture.webauthn import recipe

sdk = pytest.importorskip("supertokens_python.recipe.webauthn.functions", reason="webauthn came with SDK 0.30")
payloads = pytest.importorskip("supertokens_python.recipe.webauthn.interfaces.recipe")

HOST = "localhost"
ORIGIN = "http://localhost"
NEW = "ada.lovelace@example.com"

WA = [webauthn(), sessions()]
EV = [webauthn(), emailverification(), sessions()]
LINKED = [webauthn(), emailpassword(), emailverification(), sessions(), linking()]
SECOND = [emailpassword(), webauthn(), multifactorauth(), sessions(), linking()]


def new_passkey() -> SoftwareAuthenticator:
    return SoftwareAuthenticator(HOST, ORIGIN)


# What a person does


def post(w: World, path: str, body: Any, *, session: bool = False) -> Any:
    """Without the header ``rid`` the SDK takes ``/webauthn/signup`` for the e-mail and password of a tenant "webauthn"."""
    return w.send("POST", f"/auth{path}", body, session=session, rid="webauthn")


def ask_options(w: World, **body: str) -> Any:
    w.options = post(w, "/webauthn/options/register", body or {"email": ADA})
    return w.options


def registered(w: World, passkey: SoftwareAuthenticator, **body: str) -> dict[str, Any]:
    options = ask_options(w, **body)
    return {
        "webauthnGeneratedOptionsId": options["webauthnGeneratedOptionsId"],
        "credential": passkey.register(options["challenge"]),
    }


def asserted(w: World, passkey: SoftwareAuthenticator) -> dict[str, Any]:
    """By a passkey without a counter, as one that is synced: before 0.31.4 the SDK shows each assertion to the core twice."""
    passkey.sign_count = -1
    options = post(w, "/webauthn/options/signin", {})
    return {
        "webauthnGeneratedOptionsId": options["webauthnGeneratedOptionsId"],
        "credential": passkey.sign_in(options["challenge"]),
    }


def sign_up(email: str = ADA, *, link: bool = False) -> Step:
    """With a new passkey, ``w.passkey``; ``link``: to the user of the session."""

    def step(w: World) -> None:
        w.passkey = new_passkey()
        body = registered(w, w.passkey, email=email)
        post(w, "/webauthn/signup", {**body, "shouldTryLinkingWithSessionUser": link}, session=link)

    return step


def sign_in(*, link: bool = False) -> Step:
    return lambda w: post(
        w, "/webauthn/signin", {**asserted(w, w.passkey), "shouldTryLinkingWithSessionUser": link}, session=link
    )


def stranger_signs_in(w: World) -> None:
    post(w, "/webauthn/signin", asserted(w, new_passkey()))


def broken_sign_in(w: World) -> None:
    """The challenge of other options is signed."""
    body = asserted(w, w.passkey)
    post(w, "/webauthn/signin", {**asserted(w, w.passkey), "credential": body["credential"]})


def add_passkey(w: World) -> None:
    w.other = new_passkey()
    post(w, "/webauthn/credential", registered(w, w.other, email=ADA), session=True)


def remove_passkey(w: World) -> None:
    key = w.passkey.sign_in("")["id"]
    post(w, "/webauthn/credential/remove", {"webauthnCredentialId": key}, session=True)


def ask_recovery(email: str = ADA) -> Step:
    return lambda w: post(w, "/user/webauthn/reset/token", {"email": email})


def recover(w: World) -> None:
    token = w.post.token
    post(w, "/user/webauthn/reset", {**registered(w, new_passkey(), recoverAccountToken=token), "token": token})


def recover_for_another(w: World) -> None:
    """With options that were made for another address."""
    post(w, "/user/webauthn/reset", {**registered(w, new_passkey(), email=BOB), "token": w.post.token})


def recover_without_token(w: World) -> None:
    post(w, "/user/webauthn/reset", {**registered(w, new_passkey(), email=ADA), "token": "no-such-token"})


def password_user(w: World) -> None:
    """Ada, with an e-mail address that is verified and a password."""
    w.form("/auth/signup", email=ADA, password=PASSWORD)
    w.send("POST", "/auth/user/email/verify/token", session=True)
    w.send("POST", "/auth/user/email/verify", {"method": "token", "token": w.post.token}, session=True)
    no_session(w)


def password_first(w: World) -> None:
    w.form("/auth/signup", email=ADA, password=PASSWORD)


# What a backend does


def call(w: World, name: str, **named: Any) -> Any:
    """A function of the recipe, as the flow's entry point asks for."""
    function = getattr(sdk, name)
    return asyncio.run(function(**named)) if w.style == "asyncio" else w.call(function.sync, **named)


def b_registered(w: World, passkey: SoftwareAuthenticator, email: str = ADA) -> dict[str, Any]:
    options = call(w, "register_options", relying_party_id=HOST, relying_party_name="App", origin=ORIGIN, email=email)
    credential = payloads.RegistrationPayload.from_json(passkey.register(options.challenge))
    return {"webauthn_generated_options_id": options.webauthn_generated_options_id, "credential": credential}


def b_asserted(w: World, passkey: SoftwareAuthenticator) -> dict[str, Any]:
    options = call(w, "sign_in_options", relying_party_id=HOST, relying_party_name="App", origin=ORIGIN)
    credential = payloads.AuthenticationPayload.from_json(passkey.sign_in(options.challenge))
    return {"webauthn_generated_options_id": options.webauthn_generated_options_id, "credential": credential}


def b_sign_up(w: World, email: str = ADA) -> Any:
    w.passkey = new_passkey()
    w.result = call(w, "sign_up", **b_registered(w, w.passkey, email))
    return w.result


def b_user(w: World) -> None:
    w.user = b_sign_up(w).user


def b_sign_in(w: World) -> None:
    call(w, "sign_in", **b_asserted(w, w.passkey))


def b_stranger_signs_in(w: World) -> None:
    call(w, "sign_in", **b_asserted(w, new_passkey()))


def b_sign_in_twice_with_one_assertion(w: World) -> None:
    body = b_asserted(w, w.passkey)
    for _ in range(2):
        call(w, "sign_in", **body)


def b_add_passkey(w: World) -> None:
    call(w, "register_credential", recipe_user_id=w.user.id, **b_registered(w, new_passkey()))


def b_remove_passkey(key: str = "") -> Step:
    return lambda w: call(
        w, "remove_credential", recipe_user_id=w.user.id, webauthn_credential_id=key or w.passkey.sign_in("")["id"]
    )


def b_token(w: World) -> None:
    w.token = call(w, "generate_recover_account_token", user_id=w.user.id, email=ADA).token
    w.secrets.add(w.token)


def b_recover(w: World) -> None:
    call(w, "recover_account", token=w.token, **b_registered(w, new_passkey()))


def b_update_email(email: str) -> Step:
    return lambda w: call(w, "update_user_email", recipe_user_id=w.user.id, email=email)


def core_fails(path: str) -> Step:
    return lambda w: w.core.fail_next(path)


def raises(step: Step) -> Step:
    """The step, which must raise."""

    def act(w: World) -> None:
        with suppress(Exception):
            step(w)
            pytest.fail("it did not raise")

    return act


FLOWS = [
    Flow("WA register options", API, WA, [], ask_options, ""),
    Flow("WA sign up via API", API, WA, [], sign_up(), "user.created, session.created"),
    Flow("WA sign up: e-mail is taken", API, WA, [sign_up(), no_session], sign_up(), "user.sign_up.failed"),
    Flow("WA sign up: core fails", API, WA, [core_fails("/recipe/webauthn/signup")], sign_up(), "user.sign_up.failed"),
    Flow(
        "WA sign in via API -> complete_sign_in",
        API,
        WA,
        [sign_up(), no_session],
        sign_in(),
        "user.signed_in, session.created",
    ),
    Flow("WA sign in unknown credential", API, WA, [], stranger_signs_in, "user.sign_in.failed"),
    Flow("WA sign in: another challenge", API, WA, [sign_up(), no_session], broken_sign_in, "user.sign_in.failed"),
    Flow("WA register credential via API", API, WA, [sign_up()], add_passkey, "webauthn.credential.registered"),
    Flow(
        "WA remove credential via API",
        API,
        WA,
        [sign_up(), add_passkey],
        remove_passkey,
        "webauthn.credential.removed",
        since="0.31",
    ),
    Flow("WA remove credential: without a session", API, WA, [sign_up(), no_session], remove_passkey, ""),
    Flow(
        "WA recover account token via API",
        API,
        WA,
        [sign_up(), no_session],
        ask_recovery(),
        "webauthn.recovery.requested",
    ),
    Flow("WA recover account token: unknown e-mail", API, WA, [], ask_recovery(BOB), ""),
    Flow(
        "WA register options w/ recover token",
        API,
        WA,
        [sign_up(), no_session, ask_recovery()],
        lambda w: ask_options(w, recoverAccountToken=w.post.token),
        "",
    ),
    Flow(
        "WA recover account via API (unverified email: revoke sessions, remove other credentials)",
        API,
        EV,
        [sign_up(), sign_in(), no_session, ask_recovery()],
        recover,
        "webauthn.recovery.token_consumed, session.revoked, session.revoked, webauthn.credential.registered, "
        "webauthn.credential.removed, email.verified, webauthn.recovery.completed",
        since="0.31.4",
    ),
    Flow(
        "WA recover account via API: a user of another method gets a passkey",
        API,
        LINKED,
        [password_user, ask_recovery()],
        recover,
        "webauthn.recovery.token_consumed, user.created, email.verified, account.linked, webauthn.recovery.completed",
    ),
    Flow(
        "WA recover account: invalid token",
        API,
        WA,
        [sign_up(), no_session],
        recover_without_token,
        "webauthn.recovery.failed",
    ),
    Flow(
        "WA recover account: options for another address",
        API,
        WA,
        [sign_up(), no_session, ask_recovery()],
        recover_for_another,
        "webauthn.recovery.token_consumed, webauthn.recovery.failed",
        since="0.31.4",
    ),
    Flow(
        "WA recover account: core fails",
        API,
        WA,
        [sign_up(), no_session, ask_recovery(), core_fails("/recover/token/consume")],
        recover,
        "webauthn.recovery.failed",
    ),
    Flow(
        "WA sign up as 2nd factor: a passkey for the session's user",
        API,
        SECOND,
        [password_first],
        sign_up(link=True),
        "user.created, account.linked, mfa.enrolled, mfa.factor.completed",
    ),
    Flow(
        "WA sign in as 2nd factor",
        API,
        SECOND,
        [
            password_first,
            sign_up(link=True),
            no_session,
            lambda w: w.form("/auth/signin", email=ADA, password=PASSWORD),
        ],
        sign_in(link=True),
        "user.reauthenticated, mfa.factor.completed",
    ),
    Flow("WA.sign_up backend", BACKEND, WA, [], b_sign_up, "user.created"),
    Flow("WA.sign_up backend: e-mail is taken", BACKEND, WA, [b_sign_up], b_sign_up, "user.sign_up.failed"),
    Flow(
        "WA.create_new_recipe_user backend",
        BACKEND,
        WA,
        [],
        lambda w: call(w, "create_new_recipe_user", **b_registered(w, new_passkey())),
        "user.created",
    ),
    Flow("WA.sign_in backend", BACKEND, WA, [b_user], b_sign_in, "user.signed_in"),
    Flow("WA.sign_in backend: unknown credential", BACKEND, WA, [], b_stranger_signs_in, "user.sign_in.failed"),
    Flow(
        "WA.sign_in backend: an assertion used twice",
        BACKEND,
        WA,
        [b_user],
        b_sign_in_twice_with_one_assertion,
        "user.signed_in, user.sign_in.failed",
    ),
    Flow(
        "WA.verify_credentials backend",
        BACKEND,
        WA,
        [b_user],
        lambda w: call(w, "verify_credentials", **b_asserted(w, w.passkey)),
        "",
    ),
    Flow(
        "WA.verify_credentials backend, all told",
        BACKEND,
        WA,
        [b_user],
        lambda w: call(w, "verify_credentials", **b_asserted(w, w.passkey)),
        "user.credentials.verified",
        captured=["*"],
    ),
    Flow("WA.sign_in backend, all told", BACKEND, WA, [b_user], b_sign_in, "user.signed_in", captured=["*"]),
    Flow("WA.register_credential backend", BACKEND, WA, [b_user], b_add_passkey, "webauthn.credential.registered"),
    Flow("WA.remove_credential backend", BACKEND, WA, [b_user], b_remove_passkey(), "webauthn.credential.removed"),
    Flow("WA.remove_credential backend: unknown", BACKEND, WA, [b_user], b_remove_passkey("no-such-key"), ""),
    Flow("WA.generate_recover_account_token backend", BACKEND, WA, [b_user], b_token, "webauthn.recovery.requested"),
    Flow(
        "WA.recover_account backend",
        BACKEND,
        WA,
        [b_user, b_token],
        b_recover,
        "webauthn.recovery.token_consumed, webauthn.credential.registered",
    ),
    Flow(
        "WA.recover_account backend: token used twice",
        BACKEND,
        WA,
        [b_user, b_token, b_recover],
        b_recover,
        "webauthn.recovery.failed",
    ),
    Flow("WA.update_user_email backend", BACKEND, WA, [b_user], b_update_email(NEW), "user.email.changed"),
    Flow("WA.update_user_email backend: the same", BACKEND, WA, [b_user], b_update_email(ADA), ""),
    Flow(
        "WA.update_user_email backend: taken",
        BACKEND,
        WA,
        [lambda w: b_sign_up(w, BOB), b_user],
        b_update_email(BOB),
        "",
    ),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


def key_of(passkey: SoftwareAuthenticator) -> str:
    return str(passkey.sign_in("")["id"])


def played(world, recipes, given, when) -> World:
    w = world(recipes)
    for step in given:
        step(w)
    w.mark()
    when(w)
    return w


def test_a_new_user_comes_with_the_passkey(world):
    """``user.created`` says the e-mail address and the public id of the passkey; the user did it."""
    w = played(world, WA, [], sign_up())

    (created,) = w.told("user.created")
    assert created.data == {
        "method": "webauthn",
        "recipe_user_id": created.user_id,
        "email": ADA,
        "email_verified": False,
        "credential_id": key_of(w.passkey),
    }
    assert (created.actor.type, created.actor.user_id, created.tenant_id) == ("user", created.user_id, "public")
    assert created.context.path == "/auth/webauthn/signup"


@since("0.31")
def test_a_passkey_of_the_session_user(world):
    """Who adds and removes a passkey in the frontend is the session's user."""
    w = played(world, WA, [sign_up()], lambda w: (add_passkey(w), remove_passkey(w)))

    added, removed = w.told()
    assert added.data == {"recipe_user_id": added.user_id, "credential_id": key_of(w.other)}
    assert removed.data == {"recipe_user_id": removed.user_id, "credential_id": key_of(w.passkey)}
    assert {(event.actor.type, event.actor.user_id, event.tenant_id) for event in (added, removed)} == {
        ("user", added.user_id, "public")
    }


@pytest.mark.parametrize(
    ("given", "when", "reason"),
    [
        ([sign_up(), no_session], sign_up(), "email_already_exists"),
        ([], stranger_signs_in, "wrong_credentials"),
        ([sign_up(), no_session], recover_without_token, "invalid_token"),
        pytest.param(
            [sign_up(), no_session, ask_recovery()], recover_for_another, "invalid_options", marks=since("0.31.4")
        ),
        ([core_fails("/recipe/webauthn/signup")], sign_up(), "error"),
        ([], b_stranger_signs_in, "unknown_credential"),
        ([b_user], b_sign_in_twice_with_one_assertion, "invalid_authenticator"),
    ],
)
def test_why_it_failed(given, when, reason, world):
    """A failure has a reason from a closed set."""
    w = played(world, WA, given, when)

    assert w.told()[-1].data["reason"] == reason


def test_a_refused_sign_up_says_for_whom(world):
    """Nobody types an address into the request that fails; the options that it names have it."""
    w = played(world, WA, [sign_up(), no_session], sign_up())

    assert w.told()[-1].data == {"method": "webauthn", "reason": "email_already_exists", "email": ADA}


def test_an_email_change_says_both_addresses(world):
    """The old one is read before, by the recipe user id."""
    w = played(world, WA, [b_user], b_update_email(NEW))

    (changed,) = w.told()
    assert (changed.user_id, changed.data["email"], changed.data["previous_email"]) == (w.user.id, NEW, ADA)


def test_no_read_that_nobody_wants(world):
    """When nobody gets ``user.email.changed``, the core is not asked for the old address."""
    w = world(WA, wanted=False)
    b_user(w)
    before = len(w.core.requests)

    b_update_email(NEW)(w)

    assert [request.path for request in w.core.requests[before:]] == ["/public/recipe/webauthn/user/email"]


def test_before_complete_sign_in(world):
    """An SDK that has no ``complete_sign_in`` says ``user.signed_in`` from ``sign_in``, and has no gap."""

    class SignInResponse:
        user = SimpleNamespace(id="u-1", login_methods=[])
        recipe_user_id = "u-1"

    class OlderSdk:
        __module__ = "supertokens_python.recipe.webauthn"

        async def sign_in(self, *, credential: Any, tenant_id: str, session: Any = None, user_context: Any) -> Any:
            return SignInResponse()

        sign_up = create_new_recipe_user = register_credential = remove_credential = update_user_email = sign_in
        generate_recover_account_token = consume_recover_account_token = get_generated_options = sign_in
        verify_credentials = sign_in

    w = world(WA)
    older = rebind(OlderSdk(), recipe, "function", w.events.emitter)

    asyncio.run(older.sign_in(credential=None, tenant_id="public", user_context={}))

    assert [event.type for event in w.told()] == ["user.signed_in"]
    assert w.trouble() == {}


def test_the_request_of_an_api_function(world):
    """An API function that is called outside of the SDK's middleware still says which request it is in."""

    class Api:
        async def sign_in_post(self, *, tenant_id: str, options: Any) -> Any:
            raise RuntimeError

    w = world(WA)
    api = rebind(Api(), recipe, "api", w.events.emitter)
    request = SimpleNamespace(get_path=lambda: "/own/signin", method=lambda: "POST", get_header=lambda _: None)

    with suppress(RuntimeError):
        asyncio.run(api.sign_in_post(tenant_id="public", options=SimpleNamespace(req=request)))

    (failed,) = w.told()
    assert (failed.type, failed.context.path) == ("user.sign_in.failed", "/own/signin")
