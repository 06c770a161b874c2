"""What a session has when the option names the app's events."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from supertokens_events_pytest.naming import named_events

__all__: list[str] = []


@pytest.fixture(scope="session", autouse=True)
def _nothing_leaves(request: pytest.FixtureRequest) -> Iterator[None]:
    """For tests that do not ask for ``events``, too: a test is no reason to call anybody."""
    from supertokens_events.testing import capture_events

    with capture_events(named_events(request.config)):
        yield
