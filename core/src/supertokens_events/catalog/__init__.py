"""The catalog: all event types, each with its data model, example and JSON Schema. One module per domain."""

from __future__ import annotations

from importlib import import_module

from supertokens_events.catalog.base import Catalog, EventData

__all__ = ["Catalog", "EventData", "builtin_types"]

DOMAINS = (
    "account",
    "dashboard",
    "email",
    "jwt",
    "mapping",
    "metadata",
    "mfa",
    "oauth",
    "password",
    "passwordless",
    "role",
    "saml",
    "session",
    "tenant",
    "user",
    "webauthn",
)


def builtin_types() -> list[type[EventData]]:
    """Every event type that capture can emit, in no promised order.

    The domains are imported here and not above: a hundred models cost more than all the rest of ``import
    supertokens_events``.
    """
    modules = [import_module(f"{__name__}.{domain}") for domain in DOMAINS]
    return [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, EventData) and value is not EventData
    ]
