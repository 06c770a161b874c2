"""Nothing is missed without a word: each function of the installed SDK is captured, or a reason stands beside the captures."""

from __future__ import annotations

from importlib.metadata import version

import pytest
from supertokens_python import Supertokens
from supertokens_python.recipe.emailpassword.interfaces import APIInterface, RecipeInterface

from supertokens_events.capture import RECIPES, supertokens
from supertokens_events.capture.coverage import Function, coverage, sdk_functions
from supertokens_events.catalog import builtin_types
from supertokens_events.catalog.names import TYPES

SDK_RECIPES = {
    "accountlinking",
    "dashboard",
    "emailpassword",
    "emailverification",
    "jwt",
    "multifactorauth",
    "multitenancy",
    "oauth2provider",
    "openid",
    "passwordless",
    "saml",
    "session",
    "thirdparty",
    "totp",
    "usermetadata",
    "userroles",
    "webauthn",
}

of_this_version = pytest.mark.skipif(
    version("supertokens-python") != "0.31.4", reason="another SDK has other functions"
)
declared = [*RECIPES.values(), supertokens.recipe]


def missed() -> list[str]:
    return [str(treatment.function) for treatment in coverage() if treatment.missed]


def test_nothing_is_missed():
    """Every function of every recipe and of the SDK's own object brings events, or says why it brings none."""
    assert missed() == []


@pytest.mark.parametrize(
    ("where", "name"),
    [
        (RecipeInterface, "emailpassword.sign_in_with_a_song"),
        (APIInterface, "emailpassword.sign_in_with_a_song"),
        (Supertokens, "supertokens.sign_in_with_a_song"),
    ],
)
def test_a_new_function_is_named(where, name, monkeypatch):
    """A function that a new SDK brings is missed by name, wherever it stands."""

    async def sign_in_with_a_song(self, song): ...

    monkeypatch.setattr(where, "sign_in_with_a_song", sign_in_with_a_song, raising=False)

    assert missed() == [name]


def test_a_new_recipe_is_named(monkeypatch):
    """A recipe that nobody here has thought of is missed with all its functions."""
    monkeypatch.delitem(RECIPES, "jwt")

    assert missed() == ["jwt.jwks_get", "jwt.create_jwt", "jwt.get_jwks"]


@of_this_version
def test_the_walk_sees_everything():
    """The walk finds the recipes and the functions that there are, in files and in folders."""
    found = set(sdk_functions())

    assert {function.recipe for function in found} == SDK_RECIPES | {"supertokens"}
    assert sum(function.kind == "function" for function in found) == 146
    assert sum(function.kind == "api" for function in found) == 50
    assert Function("webauthn", "api", "list_credentials_get") in found


@of_this_version
def test_every_declaration_is_about_a_function_that_exists():
    """Captures, frames and reasons name functions of the SDK; an old name does not stay behind."""
    known = {(function.recipe, function.name) for function in sdk_functions()}
    beside = {("dashboard", "handle_api_request")}  # a recipe's own object, in no interface
    named = {
        (recipe.id, name)
        for recipe in declared
        for name in [*(capture.name for capture in recipe.captures), *recipe.frames, *recipe.ignored]
    }

    assert named - known - beside == set()


def test_nothing_is_captured_and_ignored():
    """A function with a reason why it brings no event brings none."""
    both = [
        f"{recipe.id}.{name}"
        for recipe in declared
        for name in {*(capture.name for capture in recipe.captures), *recipe.frames}
        if name in recipe.ignored
    ]

    assert both == []


def test_every_reason_says_something():
    """A reason is a phrase that can stand in a table."""
    reasons = {reason for recipe in declared for reason in recipe.ignored.values()}

    assert [reason for reason in reasons if len(reason) < len("a read") or reason.endswith(".") or "|" in reason] == []


def test_every_type_has_a_source():
    """Each event type of the catalog can be brought by a function of the SDK, but for those that we tell ourselves."""
    told = {event_type for treatment in coverage() for event_type in treatment.events}

    ours = {*TYPES["delivery"].split(), *TYPES["erasure"].split()}
    assert told | ours == {data_model.event_type for data_model in builtin_types()}


def test_a_look_at_other_events_is_no_event():
    """A handler that asks what was told before does not count as telling it."""
    (treatment,) = [
        treatment
        for treatment in coverage()
        if str(treatment.function) == "multifactorauth.mark_factor_as_complete_in_session"
    ]

    assert treatment.events == ["mfa.enrolled", "mfa.factor.completed"]
