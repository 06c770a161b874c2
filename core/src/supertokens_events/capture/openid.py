"""What happens in the recipe ``openid``: nothing of its own."""

from __future__ import annotations

from supertokens_events.capture.recipe import Recipe

recipe = Recipe("openid")
recipe.ignore("create_jwt", because="it adds the issuer and calls `jwt.create_jwt`, which says so")
recipe.ignore(
    "get_jwks",
    "get_open_id_discovery_configuration",
    "open_id_discovery_configuration_get",
    because="a read",
)
