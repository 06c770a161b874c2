"""Contact data: what is an e-mail address, and what only looks like one."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

__all__ = ["Email", "real_email"]

# The SDK invents an address for a user who has none (its `auth_utils.is_fake_email`).
_FAKE = ("@stfakeemail.supertokens.com", ".fakeemail.com")


def real_email(email: str | None) -> str | None:
    """``email`` as the core keeps it, trimmed and in lower case; ``None`` for one that the SDK invented: nobody reads
    mail there.
    """
    if email is None:
        return None
    kept = email.strip().lower()
    return None if kept.endswith(_FAKE) else kept


Email = Annotated[str | None, AfterValidator(real_email)]
"""The field type of an e-mail address. An invented one is left out."""
