"""JSON Web Tokens: those that a backend has the SDK sign. Neither token nor payload is told."""

from __future__ import annotations

from supertokens_events.catalog.base import EventData

__all__ = ["JwtIssued"]


class JwtIssued(EventData):
    """A JSON Web Token of the app's own was signed. Source: ``jwt.create_jwt``, which ``openid.create_jwt`` calls too."""

    event_type = "jwt.issued"
    high_volume = True
    example = {"validity_seconds": 3600, "use_static_signing_key": True}

    validity_seconds: int | None = None
    """How long it is valid, if that was said."""
    use_static_signing_key: bool | None = None
    """Whether the key that signed it stays the same, if that was said."""
