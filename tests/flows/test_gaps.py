"""An SDK that has lost or renamed a function: its events are missing, that is counted and logged, and all else goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from supertokens_python import Supertokens
from supertokens_python.recipe.emailpassword.api.implementation import APIImplementation
from supertokens_python.recipe.emailpassword.interfaces import APIInterface, RecipeInterface
from supertokens_python.recipe.emailpassword.recipe_implementation import RecipeImplementation

from apps.sdk import WAYS
from flows.harness import ADA, PASSWORD, Log, World, playing
from flows.recipes import emailpassword, sessions
from supertokens_events.capture import RECIPES, supertokens
from supertokens_events.capture.rebind import rebind, rebind_requests
from supertokens_events.capture.recipe import Recipe
from supertokens_events.ledger import Ledger

NO_SUCH = "This SDK has no such function; its events are not captured."


def declared(recipe: Recipe, kind: str) -> set[str]:
    """The functions that bring events; without those that have another to stand in for them, which leave no gap."""
    return {capture.name for capture in recipe.captures if capture.kind == kind and capture.or_else is None}


def every_function() -> Iterator[Any]:
    for recipe in (*RECIPES.values(), supertokens.recipe):
        for kind in ("function", "api", "method"):
            for name in sorted(declared(recipe, kind)):
                yield pytest.param(recipe, kind, name, id=f"{kind} {recipe.id}.{name}")


async def answer(self: Any, **_: Any) -> None: ...


def sdk_object(functions: set[str]) -> Any:
    """As the SDK would make it, with these functions."""
    return type("Implementation", (), {"__module__": "supertokens_python.recipe", **dict.fromkeys(functions, answer)})()


@pytest.mark.parametrize(("recipe", "kind", "missing"), list(every_function()))
def test_a_function_is_missing(recipe, kind, missing):
    """Whichever it is: the gap is counted and logged by its name, once, and every other function is wrapped."""
    others = {capture.name for capture in recipe.captures if capture.kind == kind} - {missing}
    implementation, ledger, log = sdk_object(others), Ledger(), Log()

    with log.kept():
        for _ in range(2):
            rebind(implementation, recipe, kind, SimpleNamespace(ledger=ledger))

    gap = f"{recipe.id}.{missing}"
    assert {(key.reason, key.subject): n for key, n in ledger.peek().items()} == {("capture_gap", gap): 1}
    assert [record.getMessage() for record in log.records] == [f"{NO_SUCH} function={gap!r}"]
    assert {name for name in vars(implementation) if not name.startswith("_")} >= others


# In the real SDK


def renamed(patch: pytest.MonkeyPatch, name: str, *classes: type) -> None:
    for cls in classes:
        patch.setattr(cls, f"{name}_anew", vars(cls)[name], raising=False)
        patch.delattr(cls, name)


RENAMED = {
    "emailpassword.create_reset_password_token": (RecipeImplementation, RecipeInterface),
    "emailpassword.sign_up_post": (APIImplementation, APIInterface),
    "supertokens.delete_user_id_mapping": (Supertokens,),
}


def story(w: World) -> None:
    """Of all that is left: what a person does, and what a backend does."""
    user = w.backend.emailpassword.sign_up("public", ADA, PASSWORD).user
    w.backend.supertokens.create_user_id_mapping(user.id, "ada")
    w.form("/auth/signin", email=ADA, password="wrong-Pa55word")
    w.form("/auth/signin", email=ADA, password=PASSWORD)
    w.backend.emailpassword.update_email_or_password(user.login_methods[0].recipe_user_id, password="new-Pa55word")
    w.backend.supertokens.delete_user(user.id)


SAID = [
    "user.created",
    "user.id_mapping.created",
    "user.sign_in.failed",
    "user.signed_in",
    "session.created",
    "password.changed",
    "user.deleted",
]


@pytest.mark.parametrize("attach", WAYS)
@pytest.mark.parametrize("function", RENAMED)
def test_a_function_is_renamed(function, attach, core, tmp_path, monkeypatch):
    """The app starts and works, all else is told, and one count and one line in the log name what cannot be."""
    renamed(monkeypatch, function.partition(".")[2], *RENAMED[function])

    with playing(core, tmp_path, [emailpassword(), sessions()], attach=attach) as w:
        story(w)

        assert [event.type for event in w.told()] == SAID
        assert w.trouble() == {("capture_gap", function): 1}
        gaps = [record.getMessage() for record in w.log.records if NO_SUCH in record.getMessage()]
        assert gaps == [f"{NO_SUCH} function={function!r}"]
        assert w.leaked() == set()


def test_an_argument_is_renamed(world):
    """The call goes on and gives what it gives; that it could not be captured is counted and logged."""

    class CreateUserIdMappingOkResult: ...

    class NewerSdk:
        __module__ = "supertokens_python.supertokens"
        delete_user_id_mapping = update_or_delete_user_id_mapping_info = answer

        async def create_user_id_mapping(self, inner_id: str, external_user_id: str) -> Any:
            return CreateUserIdMappingOkResult()

    w = world([sessions()])
    newer = rebind(NewerSdk(), supertokens.recipe, "method", w.events.emitter)

    result = asyncio.run(newer.create_user_id_mapping("u-1", "ada"))

    assert isinstance(result, CreateUserIdMappingOkResult)
    assert w.told() == []
    assert w.trouble() == {("capture_failed", "supertokens.create_user_id_mapping"): 1}
    assert "could not be captured" in w.log.text


@pytest.mark.parametrize("name", ["middleware", "handle_supertokens_error"])
def test_an_entry_point_is_missing(world, name):
    """Where the SDK takes requests has another name: said and counted once, and the other one is still wrapped."""

    class NewerSdk: ...

    w = world([sessions()])
    newer, (other,) = NewerSdk(), {"middleware", "handle_supertokens_error"} - {name}
    setattr(newer, other, answer)

    rebind_requests(newer, w.events.emitter)
    rebind_requests(newer, w.events.emitter)

    assert getattr(newer, other) is not answer
    assert w.trouble() == {("capture_gap", f"supertokens.{name}"): 1}
    assert "requests are not told apart" in w.log.text
