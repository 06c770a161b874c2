"""Random lives of users, most of them lived through the SDK, some behind its back: straight at the core."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
from supertokens_python.types import RecipeUserId

from core_double import CoreDouble
from core_double.state import User
from flows.harness import PASSWORD, World

TENANTS = ("t1", "t2")
ROLES = ("admin", "editor")

Told = tuple[str, str]
"""An event type, and the user whom it is about."""


class ThroughTheSdk:
    """What an app's backend does."""

    def __init__(self, w: World) -> None:
        self.w = w

    def sign_up(self, email: str) -> str:
        return str(self.w.backend.emailpassword.sign_up("public", email, PASSWORD).user.id)

    def sign_up_by_phone(self, number: str) -> str:
        return str(self.w.backend.passwordless.signinup("public", None, number).user.id)

    def change_email(self, login: str, email: str) -> None:
        self.w.backend.emailpassword.update_email_or_password(RecipeUserId(login), email=email)

    def change_phone(self, login: str, number: str) -> None:
        self.w.backend.passwordless.update_user(RecipeUserId(login), phone_number=number)

    def verify(self, login: str, email: str) -> None:
        verification = self.w.backend.emailverification
        made = verification.create_email_verification_token("public", RecipeUserId(login), email)
        verification.verify_email_using_token("public", made.token, attempt_account_linking=False)

    def unverify(self, login: str, email: str) -> None:
        self.w.backend.emailverification.unverify_email(RecipeUserId(login), email)

    def delete(self, user: str) -> None:
        self.w.backend.supertokens.delete_user(user)

    def link(self, login: str, primary: str) -> None:
        self.w.backend.accountlinking.create_primary_user(RecipeUserId(primary))
        self.w.backend.accountlinking.link_accounts(RecipeUserId(login), primary)

    def unlink(self, login: str) -> None:
        self.w.backend.accountlinking.unlink_account(RecipeUserId(login))

    def associate(self, login: str, tenant: str) -> None:
        self.w.backend.multitenancy.associate_user_to_tenant(tenant, RecipeUserId(login))

    def disassociate(self, login: str, tenant: str) -> None:
        self.w.backend.multitenancy.disassociate_user_from_tenant(tenant, RecipeUserId(login))

    def assign(self, user: str, role: str) -> None:
        self.w.backend.userroles.add_role_to_user("public", user, role)

    def unassign(self, user: str, role: str) -> None:
        self.w.backend.userroles.remove_user_role("public", user, role)


class AtTheCore:
    """What another SDK does, or somebody with curl."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, headers={"cdi-version": "5.4"}, trust_env=False)

    def ask(self, verb: str, path: str, /, **body: Any) -> dict[str, Any]:
        rid = {"rid": "passwordless"} if "phoneNumber" in body else {}
        answer = self.client.request(verb, path, json=body, headers=rid).json()
        assert answer["status"] == "OK", (path, answer)
        return dict(answer)

    def sign_up(self, email: str) -> str:
        return str(self.ask("POST", "/public/recipe/signup", email=email, password=PASSWORD)["user"]["id"])

    def sign_up_by_phone(self, number: str) -> str:
        code = self.ask("POST", "/public/recipe/signinup/code", phoneNumber=number)
        names = ("preAuthSessionId", "userInputCode", "deviceId")
        consumed = self.ask("POST", "/public/recipe/signinup/code/consume", **{name: code[name] for name in names})
        return str(consumed["user"]["id"])

    def change_email(self, login: str, email: str) -> None:
        self.ask("PUT", "/recipe/user", recipeUserId=login, email=email)

    def change_phone(self, login: str, number: str) -> None:
        self.ask("PUT", "/recipe/user", recipeUserId=login, phoneNumber=number)

    def verify(self, login: str, email: str) -> None:
        made = self.ask("POST", "/public/recipe/user/email/verify/token", userId=login, email=email)
        self.ask("POST", "/public/recipe/user/email/verify", method="token", token=made["token"])

    def unverify(self, login: str, email: str) -> None:
        self.ask("POST", "/recipe/user/email/verify/remove", userId=login, email=email)

    def delete(self, user: str) -> None:
        self.ask("POST", "/user/remove", userId=user, removeAllLinkedAccounts=True)

    def link(self, login: str, primary: str) -> None:
        self.ask("POST", "/recipe/accountlinking/user/primary", recipeUserId=primary)
        self.ask("POST", "/recipe/accountlinking/user/link", recipeUserId=login, primaryUserId=primary)

    def unlink(self, login: str) -> None:
        self.ask("POST", "/recipe/accountlinking/user/unlink", recipeUserId=login)

    def associate(self, login: str, tenant: str) -> None:
        self.ask("POST", f"/{tenant}/recipe/multitenancy/tenant/user", recipeUserId=login)

    def disassociate(self, login: str, tenant: str) -> None:
        self.ask("POST", f"/{tenant}/recipe/multitenancy/tenant/user/remove", recipeUserId=login)

    def assign(self, user: str, role: str) -> None:
        self.ask("PUT", "/public/recipe/user/role", userId=user, role=role)

    def unassign(self, user: str, role: str) -> None:
        self.ask("POST", "/public/recipe/user/role/remove", userId=user, role=role)


Way = ThroughTheSdk | AtTheCore


class Life:
    """Random operations on the users of a core. Whom one behind the SDK's back has changed is left alone from then on, so each is
    one difference: ``missing`` counts them.
    """

    def __init__(self, w: World, core: CoreDouble, seed: int) -> None:
        self.random = random.Random(seed)
        self.core = core
        self.sdk = ThroughTheSdk(w)
        self.behind = AtTheCore(core.url)
        self.missing: Counter[Told] = Counter()
        self.left_alone: set[str] = set()

    def close(self) -> None:
        self.behind.client.close()

    def live(self, operations: int, behind: int) -> None:
        """So many operations, that many of them behind the SDK's back."""
        turns = [True] * behind + [False] * (operations - behind)
        self.random.shuffle(turns)
        for is_behind in turns:
            self.step(is_behind=is_behind)

    def step(self, *, is_behind: bool) -> None:
        while True:
            kind = self.random.choice(self.kinds)
            done = kind(self, self.behind if is_behind else self.sdk)
            if done is not None:
                break
        event_type, about, *others = done
        if is_behind:
            self.missing[event_type, about] += 1
            self.left_alone |= {about, *others}

    # Whom ----------------------------------------------------------------------------------------------------------

    def users(self, which: Callable[[User], bool] = lambda _user: True) -> list[User]:
        state = self.core._state
        return [user for user in state.users.values() if user.id not in self.left_alone and which(user)]

    def one(self, users: list[User]) -> User | None:
        return self.random.choice(users) if users else None

    # What: the event type, the user, whom else it touches; None when there is nobody to do it to --------------------

    def sign_up(self, way: Way) -> tuple[str, ...] | None:
        return "user.created", way.sign_up(f"{uuid4().hex[:12]}@example.com")

    def sign_up_by_phone(self, way: Way) -> tuple[str, ...] | None:
        return "user.created", way.sign_up_by_phone(self.number())

    def number(self) -> str:
        return f"+3630{self.random.randrange(10**6, 10**7)}"

    def change_email(self, way: Way) -> tuple[str, ...] | None:
        user = self.one(self.users(lambda user: user.methods[0].recipe_id == "emailpassword"))
        if user is None:
            return None
        way.change_email(user.methods[0].id, f"{uuid4().hex[:12]}@example.org")
        return "user.email.changed", user.id

    def change_phone(self, way: Way) -> tuple[str, ...] | None:
        user = self.one(self.users(lambda user: user.methods[0].recipe_id == "passwordless"))
        if user is None:
            return None
        way.change_phone(user.methods[0].id, self.number())
        return "user.phone.changed", user.id

    def verify(self, way: Way) -> tuple[str, ...] | None:
        return self.verification(way, verified=False)

    def unverify(self, way: Way) -> tuple[str, ...] | None:
        return self.verification(way, verified=True)

    def verification(self, way: Way, *, verified: bool) -> tuple[str, ...] | None:
        state = self.core._state
        user = self.one(
            self.users(
                lambda user: (
                    user.methods[0].recipe_id == "emailpassword"
                    and ((user.methods[0].id, user.methods[0].email) in state.verified) is verified
                )
            )
        )
        if user is None:
            return None
        method = user.methods[0]
        assert method.email is not None
        (way.unverify if verified else way.verify)(method.id, method.email)
        return ("email.unverified" if verified else "email.verified"), user.id

    def delete(self, way: Way) -> tuple[str, ...] | None:
        user = self.one(self.users())
        if user is None:
            return None
        others = [method.id for method in user.methods]
        user_id = user.id
        way.delete(user_id)
        return "user.deleted", user_id, *others

    def link(self, way: Way) -> tuple[str, ...] | None:
        alone = self.users(lambda user: len(user.methods) == 1 and not user.is_primary)
        if len(alone) < 2:
            return None
        member, primary = self.random.sample(alone, 2)
        ids = member.id, primary.id
        way.link(*ids)
        return "account.linked", ids[1], ids[0]

    def unlink(self, way: Way) -> tuple[str, ...] | None:
        user = self.one(self.users(lambda user: len(user.methods) > 1))
        if user is None:
            return None
        login = next(method.id for method in user.methods if method.id != user.id)
        user_id = user.id
        way.unlink(login)
        return "account.unlinked", user_id, login

    def associate(self, way: Way) -> tuple[str, ...] | None:
        user = self.one(self.users(lambda user: user.methods[0].tenant_ids == ["public"]))
        if user is None:
            return None
        way.associate(user.methods[0].id, self.random.choice(TENANTS))
        return "tenant.user.associated", user.id

    def disassociate(self, way: Way) -> tuple[str, ...] | None:
        user = self.one(self.users(lambda user: len(user.methods[0].tenant_ids) > 1))
        if user is None:
            return None
        way.disassociate(user.methods[0].id, self.random.choice(user.methods[0].tenant_ids))
        return "tenant.user.disassociated", user.id

    def assign(self, way: Way) -> tuple[str, ...] | None:
        held = self.core._state.user_roles
        user = self.one(self.users(lambda user: not held.get(("public", user.id)) and in_public(user)))
        if user is None:
            return None
        way.assign(user.id, self.random.choice(ROLES))
        return "role.assigned", user.id

    def unassign(self, way: Way) -> tuple[str, ...] | None:
        held = self.core._state.user_roles
        user = self.one(self.users(lambda user: bool(held.get(("public", user.id)))))
        if user is None:
            return None
        way.unassign(user.id, held["public", user.id][0])
        return "role.unassigned", user.id

    kinds = (
        *(sign_up,) * 4,
        *(sign_up_by_phone, change_email, change_phone, verify, unverify, delete, link, unlink),
        *(associate, disassociate, assign, unassign),
    )


def in_public(user: User) -> bool:
    return any("public" in method.tenant_ids for method in user.methods)
