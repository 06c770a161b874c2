"""What the data of an event may tell Segment: fields that are about nobody in particular, and those about a person, each of
them behind the trait that allows it.

A field that stands in neither is not told. A new one in the catalog has to be put somewhere: a test compares.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

__all__ = ["DEFAULT_TRAITS", "IMPERSONAL", "PERSONAL", "Trait", "hidden_by", "without"]

Trait = Literal[
    "createdAt",
    "device_name",
    "email",
    "email_verified",
    "metadata",
    "method",
    "phone",
    "third_party_user_id",
]
"""What may be said of a person: as a trait, where an identify call has it, and in properties."""

DEFAULT_TRAITS: tuple[Trait, ...] = ("createdAt", "email_verified", "method")

PERSONAL: Mapping[Trait, tuple[str, ...]] = {
    "device_name": ("device_name", "previous_device_name"),
    "email": ("email", "previous_email"),
    "metadata": ("keys", "removed_keys"),
    "phone": ("phone_number", "previous_phone_number"),
    "third_party_user_id": ("third_party_user_id",),
}
"""The fields of ``data`` that are told only when ``traits`` holds their trait, whatever the event."""

IMPERSONAL = frozenset(
    {
        *("method", "reason", "factor_id", "third_party_id", "error_code", "recipe_user_id", "email_verified", "auto"),
        *("failed_attempts", "max_attempts", "retry_after_ms", "code_lifetime_ms", "requirements_met", "change"),
        *("extent", "remaining_login_methods", "was_primary", "login_method_deleted", "primary_user_id"),
        *("role", "permissions", "tenant_ids", "primary_tenant_ids", "first_factors", "required_secondary_factors"),
        *("client_id", "client_name", "grant_type", "grant_types", "response_types", "scopes", "gave_code"),
        *("token_type", "token_types", "token_endpoint_auth_method", "expires_in", "validity_seconds", "fields"),
        *("use_static_signing_key", "name", "client_ids", "core_config_keys", "user_id_type", "removed"),
        *("idp_entity_id", "idp_initiated", "allow_idp_initiated_login", "enable_request_signing", "created"),
        *("sink", "about_event_id", "about_event_type", "attempts", "events", "deliveries", "records"),
    }
)
"""The fields that built-in types tell as properties unless ``mapping`` says which."""


def hidden_by(traits: Collection[str]) -> frozenset[str]:
    """The names of the fields that these traits do not allow."""
    return frozenset(name for trait, names in PERSONAL.items() if trait not in traits for name in names)


def without(value: Any, hidden: Collection[str]) -> Any:
    """``value`` without the ``hidden`` keys, however deep they lie."""
    match value:
        case dict():
            return {key: without(item, hidden) for key, item in value.items() if key not in hidden}
        case list():
            return [without(item, hidden) for item in value]
        case _:
            return value
