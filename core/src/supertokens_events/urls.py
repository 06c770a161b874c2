"""What of a URL may be shown."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

__all__ = ["without_secrets"]


def without_secrets(url: str) -> str:
    """A URL without what may be secret in it: user, password, query and fragment. Any other text stays as it is."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "…"
    if not parts.netloc:
        return url
    bare = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    return f"{bare}?…" if parts.query else bare
