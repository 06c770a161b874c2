"""What happens in the recipe ``usermetadata``. Keys are taken, values never."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.capture.multifactorauth import REQUIRED_FACTORS
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.metadata import UserMetadataCleared, UserMetadataUpdated

recipe = Recipe("usermetadata")
recipe.ignore("get_user_metadata", because="a read")


@recipe.derive("keys")
def keys(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> list[str]:
    return [key for key, value in arguments["metadata_update"].items() if value is not None]


@recipe.derive("removed_keys")
def removed_keys(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> list[str]:
    return [key for key, value in arguments["metadata_update"].items() if value is None]


@recipe.function("update_user_metadata", ok())
def metadata_updated(user_id: str, keys: list[str], removed_keys: list[str], scope: Scope) -> Fact | None:
    """Not for what the SDK itself keeps there: which factors a user must have."""
    if scope.inside("multifactorauth"):
        scope.remember(REQUIRED_FACTORS, about=user_id)
        return None
    return Fact(UserMetadataUpdated(keys=keys, removed_keys=removed_keys), user_id=user_id)


@recipe.function("clear_user_metadata", ok())
def metadata_cleared(user_id: str) -> Fact:
    return Fact(UserMetadataCleared(), user_id=user_id)
