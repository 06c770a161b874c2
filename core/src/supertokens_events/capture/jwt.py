"""What happens in the recipe ``jwt``. Payload and token are never taken."""

from __future__ import annotations

from supertokens_events.capture.recipe import Fact, Recipe, ok
from supertokens_events.catalog.jwt import JwtIssued

recipe = Recipe("jwt")
recipe.ignore("get_jwks", "jwks_get", because="a read")


@recipe.function("create_jwt", ok("CreateJwtOkResult"))
def jwt_issued(validity_seconds: int | None, use_static_signing_key: bool | None) -> Fact:
    """Not the tokens of sessions and of OAuth2: those the core signs by itself."""
    return Fact(JwtIssued(validity_seconds=validity_seconds, use_static_signing_key=use_static_signing_key))
