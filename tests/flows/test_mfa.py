"""Second factors: set up, proven, refused and asked for: exactly the events that are so. TOTP codes are real ones.

One row is one flow. To add a flow, add a row.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import pytest
from supertokens_python.recipe.multitenancy.interfaces import TenantConfigCreateOrUpdate

from apps.sdk import WAYS
from core_double.totp import code_at
from flows.harness import ADA, API, BACKEND, PASSWORD, Flow, Step, World, no_session, rows
from flows.recipes import (
    emailpassword,
    emailverification,
    linking,
    multifactorauth,
    passwordless,
    sessions,
    totp,
)

PERIOD = 30
PHONE = "Ada's phone"

MFA = [emailpassword(), passwordless(), emailverification(), totp(), multifactorauth(), sessions(), linking()]
PASSWORD_SECOND = [
    emailpassword(),
    passwordless(),
    emailverification(),
    multifactorauth("otp-email"),
    sessions(),
    linking(),
]
NO_MFA = [emailpassword(), passwordless(), emailverification(), sessions(), linking()]
DEVICE_CREATED = "mfa.totp_device.created"


# Given, and what a person does


def required(*factors: str) -> Step:
    """Everybody must have these, beside the first."""
    config = TenantConfigCreateOrUpdate(required_secondary_factors=list(factors))
    return lambda w: w.backend.multitenancy.create_or_update_tenant("public", config)


def sign_up(w: World) -> None:
    w.form("/auth/signup", email=ADA, password=PASSWORD)


def sign_in(w: World) -> None:
    w.form("/auth/signin", email=ADA, password=PASSWORD)


def info(w: World) -> None:
    w.send("PUT", "/auth/mfa/info", session=True)


def verify_session(w: World) -> None:
    """A request that needs a session; without all its factors it is refused."""
    w.send("GET", "/auth/user/email/verify", session=True)


def new_device(w: World) -> None:
    device = w.send("POST", "/auth/totp/device", {"deviceName": PHONE}, session=True)
    w.secret = device["secret"]
    w.secrets |= {w.secret, device["qrCodeString"]}


def code(w: World, step: int = 0) -> str:
    """What the app shows, or will show ``step`` periods from now: a code is good for one use."""
    shown = code_at(w.secret, PERIOD, int(time.time()) + step * PERIOD)
    w.secrets.add(shown)
    return shown


def verify_device(w: World) -> None:
    w.send("POST", "/auth/totp/device/verify", {"deviceName": PHONE, "totp": code(w)}, session=True)


def wrong_device_code(w: World) -> None:
    w.send("POST", "/auth/totp/device/verify", {"deviceName": PHONE, "totp": "wrong"}, session=True)


def prove(w: World) -> None:
    w.send("POST", "/auth/totp/verify", {"totp": code(w, 1)}, session=True)


def wrong_code(w: World) -> None:
    w.send("POST", "/auth/totp/verify", {"totp": "wrong"}, session=True)


def remove_device(name: str = PHONE) -> Step:
    return lambda w: w.send("POST", "/auth/totp/device/remove", {"deviceName": name}, session=True)


def with_app(w: World) -> None:
    """Ada, whose authenticator app works, signs in anew."""
    sign_up(w)
    new_device(w)
    verify_device(w)
    no_session(w)
    sign_in(w)


def ask_code(w: World) -> None:
    w.device = w.send(
        "POST", "/auth/signinup/code", {"email": ADA, "shouldTryLinkingWithSessionUser": True}, session=True
    )


def give_code(w: World) -> None:
    body = {name: w.device[name] for name in ("deviceId", "preAuthSessionId")}
    body |= {"userInputCode": w.post.user_input_code, "shouldTryLinkingWithSessionUser": True}
    w.send("POST", "/auth/signinup/code/consume", body, session=True)


def code_first(w: World) -> None:
    """Ada comes with a one-time code."""
    device = w.send("POST", "/auth/signinup/code", {"email": ADA})
    body = {name: device[name] for name in ("deviceId", "preAuthSessionId")}
    w.send("POST", "/auth/signinup/code/consume", {**body, "userInputCode": w.post.user_input_code})


def password_second(path: str) -> Step:
    extra = {"shouldTryLinkingWithSessionUser": True}
    return lambda w: w.form(f"/auth/{path}", email=ADA, password=PASSWORD, extra=extra, session=True)


def with_codes_by_mail(w: World) -> None:
    """Ada, who proved her mailbox as a second factor once, signs in anew."""
    sign_up(w)
    ask_code(w)
    give_code(w)
    no_session(w)
    sign_in(w)


def times(count: int, step: Step) -> Step:
    def act(w: World) -> None:
        for _ in range(count):
            step(w)

    return act


# What a backend does


def user(w: World) -> None:
    w.user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user


def b_new_device(w: World, user_id: str = "") -> None:
    device = w.backend.totp.create_device(user_id or w.user.id, device_name=PHONE)
    w.secret = device.secret
    w.secrets |= {device.secret, device.qr_code_string}


def b_unnamed_device(w: World) -> None:
    w.backend.totp.create_device(w.user.id)


def b_verify_device(w: World) -> None:
    w.backend.totp.verify_device("public", w.user.id, PHONE, code(w))


def b_wrong_device(w: World) -> None:
    w.backend.totp.verify_device("public", w.user.id, "no-such-device", "123456")


def b_verify(step: int = 1) -> Step:
    return lambda w: w.backend.totp.verify_totp("public", w.user.id, code(w, step))


def b_rename(new: str = "Old phone", old: str = PHONE) -> Step:
    return lambda w: w.backend.totp.update_device(w.user.id, old, new)


def b_remove_device(w: World) -> None:
    w.backend.totp.remove_device(w.user.id, PHONE)


def require(factor: str) -> Step:
    return lambda w: w.backend.multifactorauth.add_to_required_secondary_factors_for_user(w.user.id, factor)


def no_longer_require(factor: str) -> Step:
    return lambda w: w.backend.multifactorauth.remove_from_required_secondary_factors_for_user(w.user.id, factor)


def b_mark(w: World, factor: str) -> None:
    w.backend.multifactorauth.mark_factor_as_complete_in_session(w.session, factor)


def b_session(w: World) -> None:
    w.session = w.backend.session.create_new_session_without_request_response(
        "public", w.user.login_methods[0].recipe_user_id
    )


def core_fails(path: str) -> Step:
    return lambda w: w.core.fail_next(path)


def raises(step: Step) -> Step:
    """The step, which must raise."""

    def act(w: World) -> None:
        with suppress(Exception):
            step(w)
            pytest.fail("it did not raise")

    return act


DEVICE: Sequence[Step] = (user, b_new_device)
VERIFIED: Sequence[Step] = (*DEVICE, b_verify_device)

FLOWS = [
    Flow(
        "MFA: first factor EP sign up (mark_factor_as_complete for first factor)",
        API,
        MFA,
        [required("totp", "otp-email")],
        sign_up,
        "user.created, user.became_primary, session.created",
    ),
    Flow("MFA: first factor EP sign in", API, MFA, [sign_up, no_session], sign_in, "user.signed_in, session.created"),
    Flow("MFA: verify_session -> claim not satisfied", API, MFA, [required("totp"), sign_up], verify_session, ""),
    Flow("MFA: mfa info PUT", API, MFA, [required("totp", "otp-email"), sign_up], info, ""),
    Flow("TOTP create device via API", API, MFA, [sign_up], new_device, DEVICE_CREATED),
    Flow("TOTP verify device wrong code", API, MFA, [sign_up, new_device], wrong_device_code, "mfa.enrollment.failed"),
    Flow(
        "TOTP verify device limit reached",
        API,
        MFA,
        [sign_up, new_device, times(5, wrong_device_code)],
        wrong_device_code,
        "mfa.enrollment.failed",
    ),
    Flow(
        "TOTP verify device OK via API -> mark factor complete",
        API,
        MFA,
        [sign_up, new_device],
        verify_device,
        "mfa.enrolled, mfa.factor.completed",
    ),
    Flow(
        "TOTP verify device again",
        API,
        MFA,
        [sign_up, new_device, verify_device],
        verify_device,
        "mfa.factor.completed",
    ),
    Flow("TOTP verify wrong", API, MFA, [with_app], wrong_code, "mfa.challenge.failed"),
    Flow("TOTP verify limit reached", API, MFA, [with_app, times(5, wrong_code)], wrong_code, "mfa.challenge.failed"),
    Flow(
        "TOTP verify: core fails",
        API,
        MFA,
        [with_app, core_fails("/recipe/totp/verify")],
        prove,
        "mfa.challenge.failed",
    ),
    Flow("TOTP verify OK via API (second factor)", API, MFA, [with_app], prove, "mfa.factor.completed"),
    Flow("MFA: otp-email create code as 2nd factor", API, MFA, [sign_up], ask_code, "passwordless.code.created"),
    Flow(
        "MFA: otp-email consume as 2nd factor, NEW recipe user linked to session user, no new session",
        API,
        MFA,
        [sign_up, ask_code],
        give_code,
        "email.verified, user.created, account.linked, mfa.enrolled, mfa.factor.completed",
    ),
    Flow(
        "MFA: otp-email consume as 2nd factor, existing",
        API,
        MFA,
        [with_codes_by_mail, ask_code],
        give_code,
        "user.reauthenticated, mfa.factor.completed",
    ),
    Flow(
        "without MFA a linked user is no factor",
        API,
        NO_MFA,
        [sign_up, ask_code],
        give_code,
        "email.verified, user.created, account.linked",
    ),
    Flow(
        "MFA: EP sign up as 2nd factor",
        API,
        PASSWORD_SECOND,
        [code_first],
        password_second("signup"),
        "user.created, account.linked, email.verified, mfa.enrolled, mfa.factor.completed",
    ),
    Flow(
        "MFA: EP sign in as 2nd factor",
        API,
        PASSWORD_SECOND,
        [code_first, password_second("signup"), no_session, code_first],
        password_second("signin"),
        "user.reauthenticated, mfa.factor.completed",
    ),
    Flow("TOTP remove device via API", API, MFA, [sign_up, new_device], remove_device(), "mfa.totp_device.removed"),
    Flow("TOTP.create_device backend", BACKEND, MFA, [user], b_new_device, DEVICE_CREATED),
    Flow("TOTP.create_device backend without a name", BACKEND, MFA, [user], b_unnamed_device, DEVICE_CREATED),
    Flow("TOTP.verify_device backend (no factor marking)", BACKEND, MFA, DEVICE, b_verify_device, "mfa.enrolled"),
    Flow("TOTP.verify_device backend again", BACKEND, MFA, VERIFIED, b_verify_device, ""),
    Flow("TOTP.verify_device backend: unknown device", BACKEND, MFA, DEVICE, b_wrong_device, "mfa.enrollment.failed"),
    Flow("TOTP.verify_totp backend", BACKEND, MFA, VERIFIED, b_verify(), ""),
    Flow(
        "TOTP.verify_totp backend, all told",
        BACKEND,
        MFA,
        VERIFIED,
        b_verify(),
        "mfa.challenge.passed",
        captured=["*"],
    ),
    Flow(
        "TOTP.verify_totp backend: code used before",
        BACKEND,
        MFA,
        [*VERIFIED, b_verify()],
        b_verify(),
        "mfa.challenge.failed",
    ),
    Flow(
        "TOTP.verify_totp backend: no device",
        BACKEND,
        MFA,
        [user],
        lambda w: w.backend.totp.verify_totp("public", w.user.id, "1"),
        "mfa.challenge.failed",
    ),
    Flow(
        "TOTP.create_device duplicate -> SDK BUG KeyError instead of DeviceAlreadyExistsError",
        BACKEND,
        MFA,
        VERIFIED,
        raises(b_new_device),
        "",
    ),
    Flow("TOTP.update_device", BACKEND, MFA, DEVICE, b_rename(), "mfa.totp_device.renamed"),
    Flow("TOTP.update_device: the same name", BACKEND, MFA, DEVICE, b_rename(PHONE), ""),
    Flow("TOTP.update_device: unknown", BACKEND, MFA, DEVICE, b_rename(old="no-such-device"), ""),
    Flow("TOTP.remove_device", BACKEND, MFA, DEVICE, b_remove_device, "mfa.totp_device.removed"),
    Flow(
        "TOTP.remove_device again did_device_exist False", BACKEND, MFA, [*DEVICE, b_remove_device], b_remove_device, ""
    ),
    Flow(
        "MFA.add_to_required_secondary_factors_for_user",
        BACKEND,
        MFA,
        [user],
        require("totp"),
        "mfa.required_factors.changed",
    ),
    Flow("MFA.add_to_required again (no-op)", BACKEND, MFA, [user, require("totp")], require("totp"), ""),
    Flow(
        "MFA.remove_from_required",
        BACKEND,
        MFA,
        [user, require("totp")],
        no_longer_require("totp"),
        "mfa.required_factors.changed",
    ),
    Flow("MFA.remove_from_required again (no-op)", BACKEND, MFA, [user], no_longer_require("totp"), ""),
    Flow(
        "MFA.mark_factor_as_complete_in_session backend",
        BACKEND,
        MFA,
        [user, b_session, lambda w: b_mark(w, "emailpassword")],
        lambda w: b_mark(w, "app-pin"),
        "mfa.factor.completed",
    ),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


def played(world, given: Sequence[Step], when: Step, recipes=MFA, **how: Any) -> World:
    w = world(recipes, **how)
    for step in given:
        step(w)
    w.mark()
    when(w)
    return w


@pytest.mark.parametrize("attach", WAYS)
def test_an_app_is_set_up(attach, world):
    """The device that works is named; the session's user did it, in the session's tenant; nothing is missing now."""
    w = played(world, [required("totp"), sign_up, new_device], verify_device, attach=attach)

    enrolled, completed = w.told()
    assert enrolled.data == {"factor_id": "totp", "device_name": PHONE}
    assert completed.data == {"factor_id": "totp", "requirements_met": True}
    assert enrolled.user_id == enrolled.actor.user_id == completed.user_id == completed.actor.user_id
    assert enrolled.tenant_id == completed.tenant_id == "public"
    assert completed.actor.session_handle


def test_one_factor_of_two(world):
    """Whether the session has all its factors now is said with each."""
    given = [required("totp", "otp-email"), sign_up, new_device, verify_device, required("otp-email"), ask_code]
    w = played(world, given, give_code)

    assert w.told("mfa.factor.completed")[0].data == {"factor_id": "otp-email", "requirements_met": True}
    assert w.told("mfa.enrolled")[0].data == {"factor_id": "otp-email"}


def test_not_all_factors_yet(world):
    """A factor that nobody asked for is told too; those that are missing still are."""
    given = [required("totp"), user, b_session, lambda w: b_mark(w, "emailpassword")]
    w = played(world, given, lambda w: b_mark(w, "app-pin"))

    assert w.told()[0].data == {"factor_id": "app-pin", "requirements_met": False}


def test_a_device_is_told_in_the_sessions_tenant(world):
    """Devices are in no tenant; who has a session is in one. A backend names none."""
    w = played(world, [sign_up], new_device)
    b_new_device(w, w.told()[0].user_id)

    assert [event.tenant_id for event in w.told()] == ["public", None]


def test_an_unnamed_device_is_named_by_the_core(world):
    """The name in the event is the one that the device has."""
    w = played(world, [user], b_unnamed_device)

    assert w.told()[0].data == {"device_name": "TOTP Device 0"}


@pytest.mark.parametrize(
    ("given", "when", "data"),
    [
        ([with_app], wrong_code, {"reason": "invalid_code", "failed_attempts": 1, "max_attempts": 5}),
        ([with_app, core_fails("/recipe/totp/verify")], prove, {"reason": "error"}),
        (
            [sign_up, new_device],
            wrong_device_code,
            {"reason": "invalid_code", "failed_attempts": 1, "max_attempts": 5, "device_name": PHONE},
        ),
        (DEVICE, b_wrong_device, {"reason": "no_device", "device_name": "no-such-device"}),
        ([user], lambda w: w.backend.totp.verify_totp("public", w.user.id, "1"), {"reason": "no_device"}),
    ],
)
def test_why_a_code_was_refused(given, when, data, world):
    """A failure has a reason from a closed set, and the counts that the core gives."""
    w = played(world, given, when)

    assert w.told()[-1].data == {"factor_id": "totp", **data}


def test_too_many_wrong_codes(world):
    """When the limit is reached, it is said for how long no code is looked at."""
    w = played(world, [with_app, times(5, wrong_code)], wrong_code)

    data = w.told()[0].data
    assert data["reason"] == "limit_reached"
    assert 0 < data["retry_after_ms"] <= 900_000


def test_which_factor_is_required(world):
    """The factor is named, and which way it went."""
    w = played(world, [user], times(1, lambda w: (require("totp")(w), no_longer_require("totp")(w))))

    assert [event.data for event in w.told()] == [
        {"factor_id": "totp", "change": "added"},
        {"factor_id": "totp", "change": "removed"},
    ]
    assert {event.user_id for event in w.told()} == {w.user.id}
