"""What the events of accounts say beyond their type: what was, whose it is, and what is left out."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from supertokens_python import Supertokens
from supertokens_python.auth_utils import is_fake_email
from supertokens_python.recipe.multitenancy.interfaces import TenantConfigCreateOrUpdate
from supertokens_python.types import RecipeUserId

from apps.sdk import WAYS
from flows.harness import ADA, BOB, PASSWORD, World, playing
from flows.recipes import PROVIDER, emailpassword, emailverification, linking, passwordless, sessions, thirdparty
from supertokens_events.capture.passwordless import Contact
from supertokens_events.capture.passwordless import user_created as passwordless_user_created
from supertokens_events.catalog.contact import real_email

EVERYTHING = [emailpassword(), thirdparty(), passwordless(), emailverification(), sessions(), linking()]
PHONE = "+36301234567"


@pytest.fixture
def ada(world) -> World:
    """Ada, primary, with e-mail and password, and with a third-party account in another tenant linked to it."""
    w = world(EVERYTHING)
    w.backend.multitenancy.create_or_update_tenant("t1", TenantConfigCreateOrUpdate(first_factors=["thirdparty"]))
    w.ep = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).recipe_user_id
    create = w.backend.thirdparty.manually_create_or_update_user
    w.tp = create("t1", PROVIDER, "a-1", BOB, is_verified=True).recipe_user_id
    w.backend.accountlinking.unlink_account(w.tp)
    w.mark()
    return w


def link(w: World) -> None:
    w.backend.accountlinking.link_accounts(w.tp, w.ep.get_as_string())


def methods(w: World) -> tuple[dict, dict]:
    """Ada's two login methods as the catalog describes them."""
    ep = {"method": "emailpassword", "recipe_user_id": w.ep.get_as_string(), "tenant_ids": ["public"]}
    tp = {"method": "thirdparty", "recipe_user_id": w.tp.get_as_string(), "tenant_ids": ["t1"]}
    account = {"third_party_id": PROVIDER, "third_party_user_id": "a-1"}
    return {**ep, "email": ADA, "verified": False}, {**tp, "email": BOB, **account, "verified": True}


def test_linked_says_both_sides(ada):
    """``account.linked`` has both sides' ids, login methods and tenants as they were, and is about the primary user."""
    ep, tp = methods(ada)

    link(ada)

    (event,) = ada.told("account.linked")
    assert (event.user_id, event.tenant_id) == (ada.ep.get_as_string(), "t1")
    assert event.data == {
        "recipe_user_id": ada.tp.get_as_string(),
        "primary_user_id": ada.ep.get_as_string(),
        "linked": tp,
        "primary_login_methods": [ep],
        "primary_tenant_ids": ["public"],
    }


def test_unlinked_says_both_sides(ada):
    """``account.unlinked`` says from whom, and what both sides were until then."""
    ep, tp = methods(ada)
    link(ada)

    ada.backend.accountlinking.unlink_account(ada.tp)

    (event,) = ada.told("account.unlinked")
    assert (event.user_id, event.tenant_id) == (ada.ep.get_as_string(), "t1")
    assert event.data == {
        "recipe_user_id": ada.tp.get_as_string(),
        "primary_user_id": ada.ep.get_as_string(),
        "login_method_deleted": False,
        "unlinked": tp,
        "primary_login_methods": [ep],
        "primary_tenant_ids": ["public", "t1"],
    }


def test_unlinking_can_delete(ada):
    """The login method that gave the primary user its id is deleted when it leaves, and no ``user.deleted`` says it again."""
    ep, tp = methods(ada)
    link(ada)

    ada.backend.accountlinking.unlink_account(ada.ep)

    (event,) = ada.told("account.unlinked")
    assert event.data["login_method_deleted"] is True
    assert (event.data["unlinked"], event.data["primary_login_methods"]) == (ep, [tp])
    assert ada.told("user.deleted") == []


def test_deleting_a_user_says_what_it_was(ada):
    """``user.deleted`` of a whole user has every login method and tenant that it had, of no single tenant."""
    ep, tp = methods(ada)
    link(ada)

    ada.backend.supertokens.delete_user(ada.tp.get_as_string())

    (event,) = ada.told("user.deleted")
    assert (event.user_id, event.tenant_id) == (ada.ep.get_as_string(), None)
    assert event.data == {
        "extent": "user",
        "login_methods": [ep, tp],
        "remaining_login_methods": 0,
        "tenant_ids": ["public", "t1"],
        "was_primary": True,
    }


def test_deleting_a_member_says_what_it_was(ada):
    """``user.deleted`` of one login method says which, and that others are left."""
    _, tp = methods(ada)
    link(ada)

    ada.backend.supertokens.delete_user(ada.tp.get_as_string(), remove_all_linked_accounts=False)

    (event,) = ada.told("user.deleted")
    assert (event.user_id, event.tenant_id) == (ada.ep.get_as_string(), "t1")
    assert event.data == {
        "extent": "login_method",
        "recipe_user_id": ada.tp.get_as_string(),
        "login_methods": [tp],
        "remaining_login_methods": 1,
        "tenant_ids": ["t1"],
        "was_primary": True,
    }


def test_deleting_a_member_twice_is_told_once(ada):
    """The primary user's id still answers after its own login method went; deleting that again deletes nothing."""
    link(ada)

    for _ in range(2):
        ada.backend.supertokens.delete_user(ada.ep.get_as_string(), remove_all_linked_accounts=False)

    assert len(ada.told("user.deleted")) == 1


def test_a_deletion_by_the_mapped_id(ada):
    """A user is deleted by either of their ids; the event names the one that the app knows."""
    user_id = ada.backend.emailpassword.sign_up("public", BOB, PASSWORD).user.id
    ada.backend.supertokens.create_user_id_mapping(user_id, "app-user-1")

    ada.backend.supertokens.delete_user(user_id, remove_all_linked_accounts=False)

    (event,) = ada.told("user.deleted")
    assert event.user_id == "app-user-1"
    assert (event.data["extent"], event.data["login_methods"][0]["recipe_user_id"]) == ("user", "app-user-1")


def test_a_members_deletion_by_the_mapped_id(ada):
    """Which login method of a linked user goes under an id that was mapped, cannot be told; that one goes, is."""
    link(ada)
    ada.backend.supertokens.create_user_id_mapping(ada.tp.get_as_string(), "app-user-1", force=True)

    ada.backend.supertokens.delete_user(ada.tp.get_as_string(), remove_all_linked_accounts=False)

    (event,) = ada.told("user.deleted")
    assert event.user_id == ada.ep.get_as_string()
    assert (event.data["extent"], event.data["login_methods"]) == ("login_method", [])
    assert (event.data["recipe_user_id"], event.data["remaining_login_methods"]) == (ada.tp.get_as_string(), 1)


def test_a_deletion_is_told_without_what_it_was(ada):
    """When the user cannot be read before, the deletion is told all the same, and the failure is counted."""
    ada.core.fail_next("/user/id")

    ada.backend.supertokens.delete_user(ada.ep.get_as_string())

    (event,) = ada.told("user.deleted")
    assert (event.user_id, event.data) == (ada.ep.get_as_string(), {"login_methods": [], "tenant_ids": []})
    assert ada.trouble() == {("capture_failed", "accountlinking.delete_user"): 1}


def test_linking_verifies(world):
    """What a link verifies is told after the link, as automatic, about the primary user, and was not requested."""
    w = world([emailpassword(), thirdparty(), emailverification(), sessions()])
    ep = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).recipe_user_id
    tp = w.backend.thirdparty.manually_create_or_update_user("public", PROVIDER, "a-1", ADA, is_verified=True)
    w.backend.accountlinking.create_primary_user(tp.recipe_user_id)
    w.mark()

    w.backend.accountlinking.link_accounts(ep, tp.user.id)

    assert [event.type for event in w.told()] == ["account.linked", "email.verified"]
    (verified,) = w.told("email.verified")
    assert verified.user_id == tp.user.id
    assert verified.data == {"recipe_user_id": ep.get_as_string(), "email": ADA, "auto": True}


def test_updates_verify_by_themselves(world):
    """A new address that another login method has verified is verified by itself; nobody requested that."""
    w = world(EVERYTHING)
    pl = w.backend.passwordless.signinup("public", None, PHONE).recipe_user_id
    tp = w.backend.thirdparty.manually_create_or_update_user("public", PROVIDER, "a-1", ADA, is_verified=True)
    w.backend.accountlinking.unlink_account(tp.recipe_user_id)
    w.backend.accountlinking.link_accounts(tp.recipe_user_id, pl.get_as_string())
    w.mark()

    w.backend.passwordless.update_user(pl, email=ADA)

    assert [event.type for event in w.told()] == ["email.verified", "user.email.changed"]
    assert w.told()[0].data == {"recipe_user_id": pl.get_as_string(), "email": ADA, "auto": True}
    assert w.told()[1].data == {"method": "passwordless", "recipe_user_id": pl.get_as_string(), "email": ADA}


def test_old_contact_is_said(world):
    """A change of e-mail or phone number says what it was; one that is taken away has no new one."""
    w = world(EVERYTHING)
    user = w.backend.passwordless.signinup("public", ADA, None).recipe_user_id
    w.backend.passwordless.update_user(user, phone_number=PHONE)
    w.mark()

    w.backend.passwordless.update_user(user, email=f" {BOB.upper()} ")
    w.backend.passwordless.delete_email_for_user(user)

    said = {"method": "passwordless", "recipe_user_id": user.get_as_string()}
    assert [event.data for event in w.told("user.email.changed")] == [
        {**said, "email": BOB, "previous_email": ADA},
        {**said, "previous_email": BOB},
    ]


@pytest.mark.parametrize(
    "address", [ADA, "a-1.acme@stfakeemail.supertokens.com", "x@y.fakeemail.com", "x@notfakeemail.com"]
)
def test_invented_addresses(address):
    """An address is left out if and only if the SDK says that it invented it; spaces and capitals change nothing."""
    assert real_email(address) == real_email(f" {address.upper()} ") == (None if is_fake_email(address) else address)


def test_an_invented_address_is_left_out(world):
    """A user of a provider without e-mails has none in any event; one that is given later is a change from none."""
    w = world(EVERYTHING)
    create = w.backend.thirdparty.manually_create_or_update_user

    create("public", "nomail", "a-1", "a-1.nomail@stfakeemail.supertokens.com", is_verified=True)
    create("public", "nomail", "a-1", "a-1.renamed@stfakeemail.supertokens.com", is_verified=True)
    create("public", "nomail", "a-1", ADA, is_verified=True)
    create("public", "nomail", "a-1", "a-1.nomail@stfakeemail.supertokens.com", is_verified=True)

    told = [event for event in w.told() if event.type != "user.became_primary"]
    assert [event.type for event in told] == [
        "user.created",
        "email.verified",
        "user.email.changed",
        "user.email.changed",
    ]
    assert [(event.data.get("previous_email"), event.data.get("email")) for event in told] == [
        (None, None),
        (None, ADA),
        (None, ADA),
        (ADA, None),
    ]
    assert told[0].data["email_verified"] is False
    assert "fakeemail" not in str([event.to_bytes() for event in w.told()])


def test_saml_is_a_method_of_its_own(world):
    """A provider whose id begins with ``saml`` is SAML, as the SDK has it."""
    w = world(EVERYTHING)

    w.backend.thirdparty.manually_create_or_update_user("public", "saml-okta", "a-1", ADA, is_verified=True)
    w.backend.thirdparty.manually_create_or_update_user("public", "boxy-saml", "b-1", BOB, is_verified=True)

    assert [event.data["method"] for event in w.told("user.created")] == ["saml", "thirdparty"]


def test_an_admins_user_did_not_come_themselves(world):
    """A user made by ``signinup()`` proved nothing: there is no factor, and the system did it."""
    w = world(EVERYTHING)

    w.backend.passwordless.signinup("public", None, PHONE)

    (event,) = w.told("user.created")
    assert event.actor.type == "system"
    assert event.data == {
        "method": "passwordless",
        "recipe_user_id": event.user_id,
        "phone_number": PHONE,
        "email_verified": False,
    }


def test_an_admins_user_is_not_the_actor():
    """Whoever an app makes in somebody's request is not the one who made the request."""
    fact = passwordless_user_created(
        contact=Contact(ADA),
        by_link=True,
        by_admin=True,
        tenant_id="public",
        created_new_recipe_user=True,
        recipe_user_id="u1",
    )

    assert fact is not None
    assert not fact.by_subject


def test_a_linked_users_verification_is_about_the_primary_user(ada):
    """``email.verified`` names the primary user, and the login method whose address it is."""
    link(ada)
    token = ada.backend.emailverification.create_email_verification_token("public", ada.ep).token
    ada.backend.emailverification.verify_email_using_token("public", token)
    ada.mark()

    ada.backend.emailverification.unverify_email(ada.tp)

    (event,) = ada.told("email.unverified")
    assert (event.user_id, event.tenant_id) == (ada.ep.get_as_string(), "t1")
    assert event.data == {"recipe_user_id": ada.tp.get_as_string(), "email": BOB}


def test_verification_of_a_stranger(world):
    """An app may verify addresses of users that SuperTokens does not know; their id is said as it is."""
    w = world(EVERYTHING)
    stranger = RecipeUserId("app-user-1")
    token = w.backend.emailverification.create_email_verification_token("public", stranger, ADA).token

    w.backend.emailverification.verify_email_using_token("public", token)
    w.backend.emailverification.unverify_email(stranger, ADA)

    assert [(event.type, event.user_id) for event in w.told()] == [
        ("email.verification.requested", "app-user-1"),
        ("email.verified", "app-user-1"),
        ("email.unverified", "app-user-1"),
    ]


@pytest.mark.parametrize("attach", WAYS)
def test_attached_either_way(attach, core, tmp_path):
    """``instrument()`` after ``init()`` captures what the plugin does, account linking included."""
    with playing(core, tmp_path, EVERYTHING, attach=attach) as w:
        user = w.backend.passwordless.signinup("public", ADA, None).user
        w.backend.thirdparty.manually_create_or_update_user("public", PROVIDER, "a-1", ADA, is_verified=True)
        w.backend.supertokens.delete_user(user.id)

        assert [event.type for event in w.told()] == [
            "passwordless.code.created",
            "user.created",
            "user.became_primary",
            "user.created",
            "account.linked",
            "user.deleted",
        ]


def test_instrument_finds_account_linking_that_init_did_not_list(core, tmp_path, monkeypatch):
    """Older SDKs make account linking on first use: ``instrument()`` asks for it."""
    with playing(core, tmp_path, [emailpassword(), sessions()], attach="nothing") as w:
        supertokens = Supertokens.get_instance()
        others = [module for module in supertokens.recipe_modules if module.get_recipe_id() != "accountlinking"]
        monkeypatch.setattr(supertokens, "recipe_modules", others)
        w.events.instrument()
        user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user
        w.backend.supertokens.delete_user(user.id)

        assert [event.type for event in w.told()] == ["user.created", "user.deleted"]


def test_a_login_method_of_an_unknown_recipe_is_other():
    """A recipe that came after this version does not cost the event."""
    from supertokens_events.capture.users import described

    method = SimpleNamespace(
        recipe_id="telepathy",
        recipe_user_id=RecipeUserId("a"),
        tenant_ids=["public"],
        email=None,
        phone_number=None,
        third_party=None,
        verified=True,
    )

    assert described(method).method == "other"


@pytest.mark.parametrize("who", ["nobody", "ada"])
def test_a_deletion_that_nobody_asks_about(world, who):
    """Without a look beforehand nobody can tell whether there was such a user: it is counted, and nothing is stored."""
    w = world([emailpassword()], wanted=False)
    user_id = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user.id if who == "ada" else "nobody-at-all"

    w.backend.supertokens.delete_user(user_id)

    assert "user.deleted" not in [event.type for event in w.told()]
    w.events.emitter.stop()
    counts = {(line.reason, line.event_type): line.count for line in w.events.outbox.ledger()}
    assert counts["capture_off", "user.deleted"] == 1
