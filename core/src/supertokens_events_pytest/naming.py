"""The option that names the app's events."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from supertokens_events import Events

__all__ = ["OPTION", "named_events"]

OPTION = "supertokens_events"
_HOW = f'such as {OPTION} = "myapp.main:events" under [tool.pytest.ini_options]'


def named_events(config: pytest.Config) -> Events:
    """What the option names; the test fails with a sentence when that is nothing."""
    from supertokens_events import Events

    name: str = config.getini(OPTION)
    if not name:
        pytest.fail(f"the fixture `events` needs to know your Events: name it, {_HOW}", pytrace=False)
    try:
        found = resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        pytest.fail(f"{OPTION} = {name!r} leads nowhere: {error}; name your Events, {_HOW}", pytrace=False)
    if not isinstance(found, Events):
        pytest.fail(f"{OPTION} = {name!r} is {found!r}, not an Events; name yours, {_HOW}", pytrace=False)
    return found
