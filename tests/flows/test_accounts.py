"""Linked accounts, third-party and passwordless sign-in, verified addresses, deletion: exactly the events that are so.

One row is one flow. To add a flow, add a row.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from supertokens_python.types import RecipeUserId

from core_double import CoreDouble
from flows.harness import ADA, API, BACKEND, BOB, PASSWORD, Flow, Step, World, later, no_session, playing, rows
from flows.recipes import (
    PROVIDER,
    emailpassword,
    emailverification,
    linking,
    passwordless,
    sessions,
    thirdparty,
)

PHONE = "+36301234567"
OTHER_PHONE = "+36307654321"
NEW = "ada.lovelace@example.com"
TOO_LATE = later(16)  # a code, or the link with it, is good for 15 minutes

EP = [emailpassword(), sessions()]
EV = [emailpassword(), emailverification(), sessions()]
EV_REQUIRED = [emailpassword(), emailverification("REQUIRED"), sessions()]
PL = [passwordless(), sessions()]
TP = [thirdparty(), sessions()]
LINKED = [emailpassword(), thirdparty(), passwordless(), emailverification(), sessions(), linking()]
LINKED_IF_VERIFIED = [*LINKED[:-1], linking(verified=True)]


# What a person does


def sign_up(email: str = ADA) -> Step:
    return lambda w: w.form("/auth/signup", email=email, password=PASSWORD)


def sign_in(email: str = ADA) -> Step:
    return lambda w: w.form("/auth/signin", email=email, password=PASSWORD)


def forgot_password(w: World) -> None:
    w.form("/auth/user/password/reset/token", email=ADA)


def reset_password(w: World) -> None:
    w.form("/auth/user/password/reset", password="new-Pa55word", extra={"method": "token", "token": w.post.token})


def acme(
    email: str | None = ADA,
    *,
    at: str = PROVIDER,
    account: str = "a-1",
    verified: bool = True,
    link: bool = False,
    **tokens: Any,
) -> Step:
    """Sign in with the provider; ``link``: to the user of the session."""
    body: dict[str, Any] = {
        "thirdPartyId": at,
        "oAuthTokens": {"id": account, "email": email, "verified": verified, **tokens},
    }
    if link:
        body["shouldTryLinkingWithSessionUser"] = True
    return lambda w: w.send("POST", "/auth/signinup", body, session=link)


def ask_code(**contact: str) -> Step:
    def step(w: World) -> None:
        w.device = w.send("POST", "/auth/signinup/code", contact or {"email": ADA})

    return step


def resend_code(w: World) -> None:
    w.send("POST", "/auth/signinup/code/resend", _device(w))


def give_code(code: str = "", *, link: bool = False) -> Step:
    """The code from the latest message, or another; ``link``: to the user of the session."""

    def step(w: World) -> None:
        body = {**_device(w), "userInputCode": code or w.post.user_input_code}
        if link:
            body["shouldTryLinkingWithSessionUser"] = True
        w.send("POST", "/auth/signinup/code/consume", body, session=link)

    return step


def follow_link(w: World) -> None:
    body = {"preAuthSessionId": w.device["preAuthSessionId"], "linkCode": w.post.link_code}
    w.send("POST", "/auth/signinup/code/consume", body)


def code_user(w: World) -> None:
    """Ada, as a passwordless user."""
    ask_code(email=ADA)(w)
    give_code()(w)
    no_session(w)
    w.user = user_of(w, ADA)


def ask_verification(w: World) -> None:
    w.send("POST", "/auth/user/email/verify/token", session=True)


def verify(w: World, token: str = "", *, session: bool = True) -> None:
    body = {"method": "token", "token": token or w.post.token}
    w.send("POST", "/auth/user/email/verify", body, session=session)


def visit(w: World) -> None:
    """A page of the app's own."""
    w.send("GET", "/app/me", session=True)


def see_verified(w: World) -> None:
    w.send("GET", "/auth/user/email/verify", session=True)


def _device(w: World) -> dict[str, str]:
    return {name: w.device[name] for name in ("deviceId", "preAuthSessionId")}


# What a backend does


def user_of(w: World, email: str) -> Any:
    (user,) = [user for user in _all_users(w) if email in user.emails]
    return user


def _all_users(w: World) -> Any:
    return w.backend.supertokens.get_users_oldest_first("public").users


def ep_user(w: World) -> None:
    w.user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user


def unlink(recipe_id: str) -> Step:
    return lambda w: w.backend.accountlinking.unlink_account(w.methods[recipe_id])


def link(w: World) -> Any:
    return w.backend.accountlinking.link_accounts(w.methods["thirdparty"], w.methods["emailpassword"].get_as_string())


def unverify(recipe_id: str) -> Step:
    return lambda w: w.backend.emailverification.unverify_email(w.methods[recipe_id])


def linked(w: World) -> None:
    """Ada's e-mail and password user, primary, with her third-party account linked to it."""
    sign_up()(w)
    acme()(w)
    no_session(w)
    (user,) = _all_users(w)
    w.methods = {method.recipe_id: method.recipe_user_id for method in user.login_methods}
    w.user = user


def verification_token(w: World) -> None:
    w.token = w.backend.emailverification.create_email_verification_token("public", RecipeUserId(w.user.id)).token


def from_acme(email: str = ADA, account: str = "a-1", **named: Any) -> Step:
    return lambda w: w.backend.thirdparty.manually_create_or_update_user(
        "public", PROVIDER, account, email, named.pop("verified", True)
    )


def update_contact(**contact: str) -> Step:
    return lambda w: w.backend.passwordless.update_user(w.user.login_methods[0].recipe_user_id, **contact)


def consume(**codes: str) -> Step:
    """With the code of ``w.code``, or with another."""

    def step(w: World) -> Any:
        given = codes or {"user_input_code": w.code.user_input_code}
        return w.backend.passwordless.consume_code(
            "public", w.code.pre_auth_session_id, device_id=w.code.device_id, **given
        )

    return step


def consume_link(w: World) -> Any:
    return w.backend.passwordless.consume_code("public", w.code.pre_auth_session_id, link_code=w.code.link_code)


def code(w: World) -> None:
    w.code = w.backend.passwordless.create_code("public", email=ADA)


def pl_user(w: World) -> None:
    w.user = w.backend.passwordless.signinup("public", ADA, None).user


def raises(step: Step) -> Step:
    """The step, which must raise."""

    def act(w: World) -> None:
        with suppress(Exception):
            step(w)
            pytest.fail("it did not raise")

    return act


def both(*steps: Step) -> Step:
    def act(w: World) -> None:
        for step in steps:
            step(w)

    return act


def core_fails(path: str) -> Step:
    return lambda w: w.core.fail_next(path)


LINKING = [
    Flow(
        "EP sign up, linking on (no verification) -> becomes primary",
        API,
        LINKED,
        [],
        sign_up(),
        "user.created, user.became_primary, session.created",
    ),
    Flow(
        "TP sign up -> auto linked to the EP primary user (same email)",
        API,
        LINKED,
        [sign_up(), no_session],
        acme(),
        "user.created, account.linked, session.created",
        reads=0,
    ),
    Flow("TP sign in existing linked user", API, LINKED, [linked], acme(), "user.signed_in, session.created"),
    Flow(
        "EP sign in linked user (unverified lm gets auto verified)",
        API,
        LINKED,
        [linked],
        sign_in(),
        "email.verified, user.signed_in, session.created",
        reads=0,
    ),
    Flow(
        "TP sign in linked user (unverified lm gets auto verified)",
        API,
        LINKED,
        [linked, sign_in(), no_session, unverify("thirdparty")],
        acme(verified=False),
        "email.verified, user.signed_in, session.created",
    ),
    Flow("AL.unlink_account(tp)", BACKEND, LINKED, [linked], unlink("thirdparty"), "account.unlinked", reads=1),
    Flow("AL.unlink_account again", BACKEND, LINKED, [linked, unlink("thirdparty")], unlink("thirdparty"), ""),
    Flow("AL.link_accounts backend", BACKEND, LINKED, [linked, unlink("thirdparty")], link, "account.linked", reads=0),
    Flow("AL.link_accounts again (already linked)", BACKEND, LINKED, [linked], link, ""),
    Flow(
        "AL.unlink_account(primary's own recipe user) -> core DELETES that login method",
        BACKEND,
        LINKED,
        [linked],
        unlink("emailpassword"),
        "account.unlinked",
    ),
    Flow(
        "AL.can_link_accounts",
        BACKEND,
        LINKED,
        [linked, unlink("thirdparty")],
        lambda w: w.backend.accountlinking.can_link_accounts(
            w.methods["emailpassword"], w.methods["thirdparty"].get_as_string()
        ),
        "",
    ),
    Flow(
        "AL.create_primary_user",
        BACKEND,
        EP,
        [ep_user],
        lambda w: w.backend.accountlinking.create_primary_user(RecipeUserId(w.user.id)),
        "user.became_primary",
    ),
    Flow(
        "AL.create_primary_user again",
        BACKEND,
        LINKED,
        [ep_user],
        lambda w: w.backend.accountlinking.create_primary_user(RecipeUserId(w.user.id)),
        "",
    ),
    Flow(
        "AL.link_accounts to a user who is not primary",
        BACKEND,
        [emailpassword(), thirdparty(), sessions()],
        [ep_user, from_acme(BOB)],
        lambda w: w.backend.accountlinking.link_accounts(user_of(w, BOB).login_methods[0].recipe_user_id, w.user.id),
        "account.link.failed",
    ),
    Flow(
        "TP sign up verified email, linking w/ verification -> primary",
        API,
        LINKED_IF_VERIFIED,
        [],
        acme(),
        "user.created, user.became_primary, session.created",
    ),
    Flow(
        "EP sign up same email as verified primary, unverified -> SIGN_UP_NOT_ALLOWED",
        API,
        LINKED_IF_VERIFIED,
        [acme(), no_session],
        sign_up(),
        "user.sign_up.failed",
    ),
    Flow(
        "password reset request for primary user WITHOUT emailpassword login method",
        API,
        LINKED_IF_VERIFIED,
        [acme(), no_session],
        forgot_password,
        "password.reset.requested",
    ),
    Flow(
        "password reset complete -> CREATES a new EP recipe user + verifies + links",
        API,
        LINKED_IF_VERIFIED,
        [acme(), no_session, forgot_password],
        reset_password,
        "user.created, password.reset.completed, email.verified, account.linked",
        reads=0,
    ),
    Flow(
        "EP signup unverified then TP sign up verified same email (other recipe user unverified)",
        API,
        LINKED_IF_VERIFIED,
        [],
        both(sign_up(), no_session, acme()),
        "user.created, session.created, user.sign_in.failed",
    ),
    Flow(
        "EV verify via API with session, linking -> link/primary inside verify",
        API,
        LINKED_IF_VERIFIED,
        [sign_up(), ask_verification],
        verify,
        "email.verified, user.became_primary",
        reads=0,
    ),
]

THIRD_PARTY = [
    Flow(
        "TP authorisation url",
        API,
        TP,
        [],
        lambda w: w.send(
            "GET", f"/auth/authorisationurl?thirdPartyId={PROVIDER}&redirectURIOnProviderDashboard=http://localhost"
        ),
        "",
    ),
    Flow(
        "TP authorisation url, asked for",
        API,
        TP,
        [],
        lambda w: w.send(
            "GET", f"/auth/authorisationurl?thirdPartyId={PROVIDER}&redirectURIOnProviderDashboard=http://localhost"
        ),
        "oauth_login.started",
        captured=["@default", "oauth_login.started"],
    ),
    Flow("TP sign up (new user) via API", API, TP, [], acme(), "user.created, session.created", reads=0),
    Flow("TP sign up, e-mail not verified", API, TP, [], acme(verified=False), "user.created, session.created"),
    Flow(
        "TP sign up at a provider without e-mails",
        API,
        TP,
        [],
        acme(None, at="nomail"),
        "user.created, session.created",
    ),
    Flow(
        "TP sign in at a provider without e-mails",
        API,
        TP,
        [acme(None, at="nomail"), no_session],
        acme(None, at="nomail"),
        "user.signed_in, session.created",
    ),
    Flow("TP sign in (existing) via API", API, TP, [acme(), no_session], acme(), "user.signed_in, session.created"),
    Flow(
        "TP sign in, the provider verified the e-mail since",
        API,
        TP,
        [acme(verified=False), no_session],
        acme(),
        "email.verified, user.signed_in, session.created",
    ),
    Flow(
        "TP sign in with CHANGED email (core silently updates email)",
        API,
        TP,
        [acme(), no_session],
        acme(NEW),
        "email.verified, user.email.changed, user.signed_in, session.created",
        reads=0,
    ),
    Flow(
        "TP sign in with CHANGED email, not verified",
        API,
        TP,
        [acme(), no_session],
        acme(NEW, verified=False),
        "user.email.changed, user.signed_in, session.created",
    ),
    Flow(
        "TP sign in with the same email in capitals",
        API,
        TP,
        [acme(), no_session],
        acme(ADA.upper()),
        "user.signed_in, session.created",
    ),
    Flow("TP sign in, provider gives no e-mail", API, TP, [], acme(None), "user.sign_in.failed"),
    Flow("TP sign in, provider is down", API, TP, [], acme(raises=True), "user.sign_in.failed"),
    Flow("TP sign in, core fails", API, TP, [core_fails("/recipe/signinup")], acme(), "user.sign_in.failed"),
    Flow("TP sign in with an unknown provider", API, TP, [], acme(at="nobody"), ""),
    Flow("TP.manually_create_or_update_user backend", BACKEND, TP, [], from_acme(), "user.created"),
    Flow("TP.manually_create_or_update_user backend, existing", BACKEND, TP, [from_acme()], from_acme(), ""),
    Flow(
        "TP.manually_create_or_update_user backend, changed email",
        BACKEND,
        TP,
        [from_acme()],
        from_acme(NEW),
        "email.verified, user.email.changed",
    ),
    Flow(
        "TP.manually_create_or_update_user backend, email of another primary user",
        BACKEND,
        LINKED,
        [from_acme(ADA, "a-1"), from_acme(BOB, "b-1")],
        from_acme(ADA, "b-1"),
        "",
    ),
    Flow(
        "TP 2nd factor w/ session B but email belongs to primary A -> linking fails AFTER core created the recipe user",
        API,
        LINKED,
        [sign_up(ADA), no_session, sign_up(BOB)],
        acme(ADA, link=True),
        "user.created, user.sign_in.failed",
        reads=1,
    ),
    Flow(
        "PL consume w/ session B, conflicting email -> linking fails AFTER user creation",
        API,
        LINKED,
        [sign_up(ADA), no_session, sign_up(BOB), ask_code(email=ADA)],
        give_code(link=True),
        "user.created, user.sign_in.failed",
        reads=1,
    ),
    Flow(
        "TP 2nd factor w/ session: linked",
        API,
        LINKED,
        [sign_up(ADA)],
        acme(BOB, link=True),
        "user.created, account.linked",
    ),
]

PASSWORDLESS = [
    Flow("PL create code via API", API, PL, [], ask_code(email=ADA), "passwordless.code.created"),
    Flow("PL resend code via API", API, PL, [ask_code(email=ADA)], resend_code, "passwordless.code.resent", reads=0),
    Flow("PL resend code via API, flow is over", API, PL, [ask_code(email=ADA), give_code()], resend_code, ""),
    Flow(
        "PL consume wrong code via API",
        API,
        PL,
        [ask_code(email=ADA)],
        give_code("wrong"),
        "user.sign_in.failed",
        reads=0,
    ),
    Flow(
        "PL consume five wrong codes via API",
        API,
        PL,
        [ask_code(email=ADA)],
        both(*[give_code("wrong")] * 5),
        "user.sign_in.failed " * 5,
    ),
    Flow(
        "PL consume expired code via API",
        API,
        PL,
        [ask_code(email=ADA), TOO_LATE],
        give_code(),
        "user.sign_in.failed",
        reads=0,
    ),
    Flow(
        "PL consume expired link via API",
        API,
        PL,
        [ask_code(email=ADA), TOO_LATE],
        follow_link,
        "user.sign_in.failed",
        reads=0,
    ),
    Flow(
        "PL consume unknown device via API -> RESTART_FLOW, recipe consume_code NOT called",
        API,
        PL,
        [ask_code(email=ADA), give_code(), no_session],
        give_code("123456"),
        "user.sign_in.failed",
    ),
    Flow(
        "PL consume code via API (new user)",
        API,
        PL,
        [ask_code(email=ADA)],
        give_code(),
        "user.created, session.created",
        reads=0,
    ),
    Flow(
        "PL consume link via API (existing user)",
        API,
        PL,
        [code_user, ask_code(email=ADA)],
        follow_link,
        "user.signed_in, session.created",
        reads=0,
    ),
    Flow(
        "PL consume code via API (new user), linking on",
        API,
        LINKED,
        [ask_code(email=ADA)],
        give_code(),
        "user.created, user.became_primary, session.created",
    ),
    Flow(
        "PL consume code via API (existing user, e-mail unverified since)",
        API,
        [passwordless(), emailverification(), sessions()],
        [code_user, lambda w: w.backend.emailverification.unverify_email(RecipeUserId(w.user.id)), ask_code(email=ADA)],
        give_code(),
        "email.verified, user.signed_in, session.created",
    ),
    Flow(
        "PL consume code via API with a session, same e-mail -> it is verified for the session's user too",
        API,
        LINKED,
        [sign_up(ADA), ask_code(email=ADA)],
        give_code(link=True),
        "email.verified, user.created, account.linked",
    ),
    Flow(
        "PL consume code via API with the session of the same user",
        API,
        LINKED,
        [ask_code(email=ADA), give_code(), ask_code(email=ADA)],
        give_code(link=True),
        "user.reauthenticated",
    ),
    Flow("PL create code phone via API", API, PL, [], ask_code(phoneNumber=PHONE), "passwordless.code.created"),
    Flow(
        "PL consume code phone via API (new user)",
        API,
        PL,
        [ask_code(phoneNumber=PHONE)],
        give_code(),
        "user.created, session.created",
    ),
    Flow(
        "PL create code via API, core fails",
        API,
        PL,
        [core_fails("/recipe/signinup/code")],
        ask_code(email=ADA),
        "user.sign_in.failed",
    ),
    Flow(
        "PL create code via API, not allowed",
        API,
        LINKED_IF_VERIFIED,
        [lambda w: w.backend.emailpassword.sign_up("public", ADA, PASSWORD)],
        ask_code(email=ADA),
        "user.sign_in.failed",
    ),
    Flow(
        "PL.asyncio.signinup backend (create_code + consume_code)",
        BACKEND,
        PL,
        [],
        pl_user,
        "passwordless.code.created, user.created",
    ),
    Flow("PL.asyncio.signinup backend, existing user", BACKEND, PL, [pl_user], pl_user, "passwordless.code.created"),
    Flow(
        "PL.create_magic_link backend",
        BACKEND,
        PL,
        [],
        lambda w: w.backend.passwordless.create_magic_link("public", ADA, None),
        "passwordless.code.created",
    ),
    Flow("PL.consume_code backend (new user)", BACKEND, PL, [code], consume(), "user.created", reads=0),
    Flow("PL.consume_code backend (existing user)", BACKEND, PL, [pl_user, code], consume(), "user.signed_in"),
    Flow(
        "PL.consume_code backend, wrong code",
        BACKEND,
        PL,
        [code],
        consume(user_input_code="wrong"),
        "user.sign_in.failed",
    ),
    Flow("PL.consume_code backend, expired code", BACKEND, PL, [code, TOO_LATE], consume(), "user.sign_in.failed"),
    Flow("PL.consume_code backend, expired link", BACKEND, PL, [code, TOO_LATE], consume_link, "user.sign_in.failed"),
    Flow(
        "PL.check_code backend",
        BACKEND,
        PL,
        [code],
        lambda w: w.backend.passwordless.check_code(
            "public", w.code.pre_auth_session_id, w.code.user_input_code, w.code.device_id
        ),
        "",
    ),
    Flow(
        "PL.create_new_code_for_device backend",
        BACKEND,
        PL,
        [code],
        lambda w: w.backend.passwordless.create_new_code_for_device("public", w.code.device_id),
        "passwordless.code.resent",
        reads=0,
    ),
    Flow("PL.update_user(email)", BACKEND, PL, [pl_user], update_contact(email=NEW), "user.email.changed", reads=0),
    Flow("PL.update_user(the same email)", BACKEND, PL, [pl_user], update_contact(email=ADA.upper()), ""),
    Flow(
        "PL.update_user(phone)",
        BACKEND,
        PL,
        [pl_user],
        update_contact(phone_number=PHONE),
        "user.phone.changed",
        reads=1,
    ),
    Flow(
        "PL.update_user(both)",
        BACKEND,
        PL,
        [pl_user],
        update_contact(email=NEW, phone_number=PHONE),
        "user.email.changed, user.phone.changed",
    ),
    Flow(
        "PL.update_user(email exists)",
        BACKEND,
        PL,
        [lambda w: w.backend.passwordless.signinup("public", BOB, None), pl_user],
        update_contact(email=BOB),
        "",
    ),
    Flow(
        "PL.delete_email_for_user",
        BACKEND,
        PL,
        [pl_user, update_contact(phone_number=PHONE)],
        lambda w: w.backend.passwordless.delete_email_for_user(w.user.login_methods[0].recipe_user_id),
        "user.email.changed",
        reads=1,
    ),
    Flow(
        "PL.delete_email_for_user, nothing would be left -> core refuses",
        BACKEND,
        PL,
        [pl_user],
        raises(lambda w: w.backend.passwordless.delete_email_for_user(w.user.login_methods[0].recipe_user_id)),
        "",
    ),
    Flow(
        "PL.delete_phone_number_for_user",
        BACKEND,
        PL,
        [pl_user, update_contact(phone_number=PHONE)],
        lambda w: w.backend.passwordless.delete_phone_number_for_user(w.user.login_methods[0].recipe_user_id),
        "user.phone.changed",
        reads=1,
    ),
    Flow(
        "PL.delete_phone_number_for_user, there was none",
        BACKEND,
        PL,
        [pl_user],
        lambda w: w.backend.passwordless.delete_phone_number_for_user(w.user.login_methods[0].recipe_user_id),
        "",
    ),
    Flow(
        "PL.revoke_all_codes", BACKEND, PL, [code], lambda w: w.backend.passwordless.revoke_all_codes("public", ADA), ""
    ),
    Flow(
        "PL.revoke_all_codes, asked for",
        BACKEND,
        PL,
        [code],
        lambda w: w.backend.passwordless.revoke_all_codes("public", ADA),
        "passwordless.codes.revoked",
        captured=["*"],
    ),
    Flow(
        "PL.revoke_code, asked for",
        BACKEND,
        PL,
        [code],
        lambda w: w.backend.passwordless.revoke_code("public", w.code.code_id),
        "passwordless.codes.revoked",
        captured=["*"],
    ),
]

VERIFICATION = [
    Flow("verify_session with unverified email (EV REQUIRED)", API, EV_REQUIRED, [sign_up()], visit, ""),
    Flow(
        "EV generate token via API (with session)",
        API,
        EV,
        [sign_up()],
        ask_verification,
        "email.verification.requested",
    ),
    Flow(
        "EV verify via API with session, no linking",
        API,
        EV,
        [sign_up(), ask_verification],
        verify,
        "email.verified",
        reads=0,
    ),
    Flow(
        "EV verify via API without a session",
        API,
        EV,
        [sign_up(), ask_verification, no_session],
        lambda w: verify(w, session=False),
        "email.verified",
    ),
    Flow(
        "EV verify via API invalid token",
        API,
        EV,
        [sign_up()],
        lambda w: verify(w, "no-such-token"),
        "email.verification.failed",
    ),
    Flow(
        "EV verify via API expired link",
        API,
        EV,
        [sign_up(), ask_verification, no_session, later(24 * 60 + 1)],
        lambda w: verify(w, session=False),
        "email.verification.failed",
    ),
    Flow(
        "password reset via API expired link",
        API,
        EV,
        [sign_up(), no_session, forgot_password, later(60 + 1)],
        reset_password,
        "password.reset.failed",
    ),
    Flow("EV is-verified GET (verified)", API, EV, [sign_up(), ask_verification, verify], see_verified, ""),
    Flow("EV generate token, already verified", API, EV, [sign_up(), ask_verification, verify], ask_verification, ""),
    Flow(
        "EV.unverify_email backend",
        BACKEND,
        EV,
        [
            ep_user,
            verification_token,
            lambda w: w.backend.emailverification.verify_email_using_token("public", w.token),
        ],
        lambda w: w.backend.emailverification.unverify_email(RecipeUserId(w.user.id)),
        "email.unverified",
        reads=0,
    ),
    Flow(
        "EV.unverify_email backend, was not verified",
        BACKEND,
        EV,
        [ep_user],
        lambda w: w.backend.emailverification.unverify_email(RecipeUserId(w.user.id)),
        "",
    ),
    Flow(
        "EV.unverify_email backend, an address that is not the user's",
        BACKEND,
        EV,
        [ep_user],
        lambda w: w.backend.emailverification.unverify_email(RecipeUserId(w.user.id), BOB),
        "",
    ),
    Flow(
        "EV.send_email_verification_email backend",
        BACKEND,
        EV,
        [ep_user],
        lambda w: w.backend.emailverification.send_email_verification_email(
            "public", w.user.id, RecipeUserId(w.user.id), ADA
        ),
        "email.verification.requested",
    ),
    Flow(
        "EV.revoke_email_verification_tokens",
        BACKEND,
        EV,
        [ep_user],
        lambda w: w.backend.emailverification.revoke_email_verification_tokens("public", RecipeUserId(w.user.id)),
        "",
    ),
    Flow(
        "EV.revoke_email_verification_tokens, asked for",
        BACKEND,
        EV,
        [ep_user],
        lambda w: w.backend.emailverification.revoke_email_verification_tokens("public", RecipeUserId(w.user.id)),
        "email.verification.tokens_revoked",
        captured=["*"],
    ),
    Flow(
        "EV.verify_email_using_token backend",
        BACKEND,
        EV,
        [ep_user, verification_token],
        lambda w: w.backend.emailverification.verify_email_using_token("public", w.token),
        "email.verified",
        reads=0,
    ),
    Flow(
        "EV.verify_email_using_token backend, core fails",
        BACKEND,
        EV,
        [ep_user, verification_token, core_fails("/recipe/user/email/verify")],
        raises(lambda w: w.backend.emailverification.verify_email_using_token("public", w.token)),
        "email.verification.failed",
    ),
    Flow(
        "EV verify via API -> links to other primary -> revoke_all + create_new_session",
        API,
        LINKED_IF_VERIFIED,
        [sign_up(), from_acme(), ask_verification],
        verify,
        "email.verified, account.linked, session.created",
        reads=0,
    ),
    Flow(
        "password reset complete via API verifies the e-mail",
        API,
        EV,
        [sign_up(), no_session, forgot_password],
        reset_password,
        "password.reset.completed, email.verified",
    ),
]

DELETION = [
    Flow(
        "delete_user(linked, remove_all)",
        BACKEND,
        LINKED,
        [linked],
        lambda w: w.backend.supertokens.delete_user(w.user.id),
        "user.deleted",
        reads=1,
    ),
    Flow(
        "delete_user(linked, by its member's id)",
        BACKEND,
        LINKED,
        [linked],
        lambda w: w.backend.supertokens.delete_user(w.methods["thirdparty"].get_as_string()),
        "user.deleted",
    ),
    Flow(
        "delete_user(linked, one member)",
        BACKEND,
        LINKED,
        [linked],
        lambda w: w.backend.supertokens.delete_user(
            w.methods["thirdparty"].get_as_string(), remove_all_linked_accounts=False
        ),
        "user.deleted",
        reads=1,
    ),
    Flow(
        "delete_user(linked, the primary's own member)",
        BACKEND,
        LINKED,
        [linked],
        lambda w: w.backend.supertokens.delete_user(w.user.id, remove_all_linked_accounts=False),
        "user.deleted",
    ),
    Flow(
        "delete_user(unknown) -> indistinguishable",
        BACKEND,
        LINKED,
        [],
        lambda w: w.backend.supertokens.delete_user("nobody"),
        "",
        reads=1,
    ),
]

FLOWS = [*LINKING, *THIRD_PARTY, *PASSWORDLESS, *VERIFICATION, *DELETION]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


@pytest.mark.parametrize("flow", [flow for flow in FLOWS if flow.reads is not None], ids=lambda flow: flow.name)
def test_reads(flow, core, tmp_path):
    """Capture asks the core at most once more, only for a fact that destroys its own evidence, and only if somebody wants it."""
    asked = [
        requests_of(flow, core, tmp_path / "without", attach="nothing"),
        requests_of(flow, core, tmp_path / "unwanted", wanted=False),
        requests_of(flow, core, tmp_path / "wanted"),
    ]

    assert asked[1] == asked[0]
    assert asked[2].total() - asked[0].total() == flow.reads
    assert asked[2] >= asked[0]


def requests_of(flow: Flow, core: CoreDouble, folder: Path, **how: Any) -> Counter[Any]:
    """What the core was asked."""
    folder.mkdir()
    with playing(core, folder, flow.recipes, flow.entries[0], **how) as w:
        for step in flow.given:
            step(w)
        before = len(core.requests)
        flow.when(w)
        return Counter(core.requests[before:])


ATTEMPT = {"failed_attempts": 1, "max_attempts": 5}


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ([give_code("wrong")], {"reason": "incorrect_code", "factor_id": "otp-email", **ATTEMPT}),
        ([TOO_LATE, give_code()], {"reason": "expired_code", "factor_id": "otp-email", **ATTEMPT}),
        ([TOO_LATE, follow_link], {"reason": "restart_flow", "factor_id": "link-email"}),
        ([give_code("wrong")] * 5, {"reason": "restart_flow", "factor_id": "otp-email"}),
    ],
    ids=["incorrect code", "expired code", "expired link", "the fifth wrong code"],
)
def test_why_a_code_was_refused(when, said, world):
    """A wrong code and one that came too late are told apart, with how many are left; a link that came too late is over."""
    w = world(PL)
    ask_code(email=ADA)(w)

    both(*when)(w)

    assert w.told()[-1].data == {"method": "passwordless", "email": ADA, **said}


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ([consume(user_input_code="wrong")], {"reason": "incorrect_code", **ATTEMPT}),
        ([TOO_LATE, consume()], {"reason": "expired_code", **ATTEMPT}),
        ([TOO_LATE, consume_link], {"reason": "restart_flow"}),
    ],
    ids=["incorrect code", "expired code", "expired link"],
)
def test_why_a_backend_was_refused(when, said, world):
    """The same of a backend's own call, which does not say whose code it was."""
    w = world(PL)
    code(w)

    both(*when)(w)

    assert w.told()[-1].data == {"method": "passwordless", **said}
