"""Tenants, their providers and their users: exactly the events that are so. One row is one flow; to add one, add a row."""

from __future__ import annotations

from typing import Any

import pytest
from supertokens_python.recipe.multitenancy.interfaces import TenantConfigCreateOrUpdate
from supertokens_python.recipe.thirdparty.provider import ProviderClientConfig, ProviderConfig
from supertokens_python.types import RecipeUserId

from flows.harness import ADA, API, BACKEND, PASSWORD, Flow, Step, World, rows
from flows.recipes import emailpassword, linking, multifactorauth, passwordless, sessions

EP = [emailpassword(), sessions()]
BY_CODE = [
    emailpassword(),
    passwordless(),
    multifactorauth("otp-email", "emailpassword"),
    sessions(),
    linking(verified=True),
]
ADA_AT_HOME = "ada@home.example"
SECRET = "postgresql://user:hunter2@db/t1"
CLIENT_SECRET = "what-only-the-provider-knows"


# What a backend does


def save(tenant: str = "t1", **settings: Any) -> Step:
    def step(w: World) -> None:
        w.secrets.add(SECRET)
        w.backend.multitenancy.create_or_update_tenant(tenant, TenantConfigCreateOrUpdate(**settings))

    return step


with_passwords = save(first_factors=["emailpassword"])


def save_without_settings(w: World) -> None:
    w.backend.multitenancy.create_or_update_tenant("t1", None)


def delete(w: World) -> None:
    w.backend.multitenancy.delete_tenant("t1")


def save_provider(w: World) -> None:
    w.secrets.add(CLIENT_SECRET)
    client = ProviderClientConfig(client_id="client-1", client_secret=CLIENT_SECRET)
    w.backend.multitenancy.create_or_update_third_party_config(
        "t1", ProviderConfig("acme", name="Acme", clients=[client])
    )


def delete_provider(w: World) -> None:
    w.backend.multitenancy.delete_third_party_config("t1", "acme")


def user(w: World) -> None:
    w.user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user


def enter(w: World) -> Any:
    return w.backend.multitenancy.associate_user_to_tenant("t1", RecipeUserId(w.user.id))


def leave(w: World) -> None:
    w.backend.multitenancy.disassociate_user_from_tenant("t1", RecipeUserId(w.user.id))


def reads(w: World) -> None:
    w.backend.multitenancy.get_tenant("t1")
    w.backend.multitenancy.list_all_tenants()


def same_address_there(w: World) -> None:
    w.backend.emailpassword.sign_up("t1", ADA, PASSWORD)


# What a person does in t1, with a password that is known in the public tenant only


def code_user_with_password_elsewhere(w: World) -> None:
    """Ada comes to t1 with a one-time code; her password, linked to it, has another address in the public tenant."""
    save(first_factors=["otp-email", "emailpassword"], required_secondary_factors=["emailpassword"])(w)
    password = w.backend.emailpassword.sign_up("public", ADA_AT_HOME, PASSWORD)
    code = w.backend.passwordless.signinup("t1", ADA, None)
    linked = w.backend.accountlinking.link_accounts(RecipeUserId(password.user.id), code.user.id)
    assert linked.status == "OK"
    device = w.send("POST", "/auth/t1/signinup/code", {"email": ADA})
    body = {name: device[name] for name in ("deviceId", "preAuthSessionId")}
    w.send("POST", "/auth/t1/signinup/code/consume", {**body, "userInputCode": w.post.user_input_code})


def give_password(password: str = PASSWORD) -> Step:
    extra = {"shouldTryLinkingWithSessionUser": True}
    return lambda w: w.form("/auth/t1/signin", email=ADA_AT_HOME, password=password, extra=extra, session=True)


FLOWS = [
    Flow("MT.create_or_update_tenant new", BACKEND, EP, [], with_passwords, "tenant.created"),
    Flow(
        "MT.create_or_update_tenant update",
        BACKEND,
        EP,
        [with_passwords],
        save(core_config={"db": SECRET}),
        "tenant.updated",
    ),
    Flow("MT.create_or_update_tenant without settings", BACKEND, EP, [], save_without_settings, "tenant.created"),
    Flow(
        "MT.create_or_update_third_party_config",
        BACKEND,
        EP,
        [with_passwords],
        save_provider,
        "tenant.provider.created",
    ),
    Flow(
        "MT.create_or_update_third_party_config update",
        BACKEND,
        EP,
        [with_passwords, save_provider],
        save_provider,
        "tenant.provider.updated",
    ),
    Flow(
        "MT.delete_third_party_config",
        BACKEND,
        EP,
        [with_passwords, save_provider],
        delete_provider,
        "tenant.provider.deleted",
    ),
    Flow("MT.delete_third_party_config again", BACKEND, EP, [with_passwords], delete_provider, ""),
    Flow("MT.associate_user_to_tenant", BACKEND, EP, [with_passwords, user], enter, "tenant.user.associated"),
    Flow("MT.associate_user_to_tenant again", BACKEND, EP, [with_passwords, user, enter], enter, ""),
    Flow(
        "MT.associate_user_to_tenant: the address is taken",
        BACKEND,
        EP,
        [with_passwords, user, same_address_there],
        enter,
        "tenant.user.association.failed",
    ),
    Flow(
        "MT.disassociate_user_from_tenant",
        BACKEND,
        EP,
        [with_passwords, user, enter],
        leave,
        "tenant.user.disassociated",
    ),
    Flow("MT.disassociate_user_from_tenant again", BACKEND, EP, [with_passwords, user], leave, ""),
    Flow("MT.delete_tenant", BACKEND, EP, [with_passwords], delete, "tenant.deleted"),
    Flow("MT.delete_tenant again", BACKEND, EP, [], delete, ""),
    Flow("MT reads", BACKEND, EP, [with_passwords], reads, ""),
    Flow(
        "EP 2nd factor, EP login method lives in ANOTHER tenant, wrong password",
        API,
        BY_CODE,
        [code_user_with_password_elsewhere],
        give_password("wrong"),
        "user.sign_in.failed",
    ),
    Flow(
        "EP 2nd factor, EP login method lives in ANOTHER tenant, ok",
        API,
        BY_CODE,
        [code_user_with_password_elsewhere],
        give_password(),
        "tenant.user.associated, user.reauthenticated, mfa.factor.completed",
    ),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


def played(world, given, when, **how) -> World:
    w = world(EP, "asyncio", **how)
    for step in given:
        step(w)
    w.mark()
    when(w)
    return w


def test_settings_by_name_only(world):
    """The factors are said, and of the core's settings the names: their values hold passwords of databases."""
    w = played(
        world,
        [],
        save(first_factors=["emailpassword"], required_secondary_factors=["totp"], core_config={"db": SECRET}),
    )

    (created,) = w.told()
    assert (created.tenant_id, created.data) == (
        "t1",
        {"first_factors": ["emailpassword"], "required_secondary_factors": ["totp"], "core_config_keys": ["db"]},
    )


def test_a_provider_without_its_secret(world):
    """Of a provider its id, its name, and the app's public ids there."""
    w = played(world, [with_passwords], save_provider)

    (created,) = w.told()
    assert created.tenant_id == "t1"
    assert created.data == {"third_party_id": "acme", "name": "Acme", "client_ids": ["client-1"]}
    assert w.leaked() == set()


def test_what_was_before_a_user_left(world):
    """The user as it was: each way in, and all tenants."""
    w = played(world, [with_passwords, user, enter], leave)

    (left,) = w.told()
    method = {
        "method": "emailpassword",
        "recipe_user_id": w.user.id,
        "tenant_ids": ["public", "t1"],
        "email": ADA,
        "verified": False,
    }
    assert (left.tenant_id, left.user_id) == ("t1", w.user.id)
    assert left.data == {"recipe_user_id": w.user.id, "login_methods": [method], "tenant_ids": ["public", "t1"]}


def nobody_enters(w: World) -> None:
    w.backend.multitenancy.associate_user_to_tenant("t1", RecipeUserId("nobody"))


@pytest.mark.parametrize(
    ("given", "when", "reason"),
    [
        ([with_passwords], nobody_enters, "unknown_user"),
        ([with_passwords, user, same_address_there], enter, "email_taken"),
    ],
)
def test_why_nobody_came_in(given, when, reason, world):
    """A user who could not be brought into a tenant is told with a reason."""
    w = played(world, given, when)

    (failed,) = w.told()
    assert (failed.data["reason"], failed.tenant_id, failed.user_id) == (reason, "t1", failed.data["recipe_user_id"])


def test_no_read_that_nobody_wants(world):
    """When nobody gets ``tenant.user.disassociated``, the core is not asked who it was."""
    w = played(world, [with_passwords, user, enter], lambda _: None, wanted=False)
    before = len(w.core.requests)

    leave(w)

    assert [request.path for request in w.core.requests[before:]] == ["/t1/recipe/multitenancy/tenant/user/remove"]


def test_a_second_factor_from_another_tenant(world):
    """The user is the session's; the login method that is in one more tenant now is named."""
    w = world(BY_CODE)
    code_user_with_password_elsewhere(w)
    w.mark()
    give_password()(w)

    associated, again, _ = w.told()
    assert associated.tenant_id == "t1"
    assert associated.user_id == associated.actor.user_id == again.user_id
    assert associated.data["recipe_user_id"] == again.data["recipe_user_id"] != associated.user_id
