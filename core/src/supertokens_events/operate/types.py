"""Event types as a person asks for them."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.outbox import Outbox
from supertokens_events.subscription import Patterns

__all__ = ["stored_types"]


def stored_types(outbox: Outbox, patterns: Sequence[str]) -> tuple[str, ...] | None:
    """The types that are stored and match ``patterns``; ``None`` for no patterns at all. Raises ``ValueError`` for what is no
    pattern.
    """
    if not patterns:
        return None
    wanted = Patterns(patterns)
    return tuple(name for name in outbox.event_types() if wanted.matches(name))
