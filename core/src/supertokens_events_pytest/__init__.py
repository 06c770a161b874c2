"""A pytest plugin: the fixture ``events``, what an app emits in a test.

One line in pytest's configuration names the app's ``Events``::

    [tool.pytest.ini_options]
    supertokens_events = "myapp.main:events"

From then on nothing is delivered, and no outbox of the app is touched, in any test. This module is imported in every run of
pytest, so it imports nothing of ours until that line, or a fixture, asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from supertokens_events_pytest.naming import OPTION, named_events

if TYPE_CHECKING:
    from supertokens_events import Events
    from supertokens_events.testing import CapturedEvents

__all__ = ["app_events", "events"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addini(OPTION, "The app's Events, as 'package.module:name': no test delivers what it emits.", default="")


def pytest_configure(config: pytest.Config) -> None:
    if config.getini(OPTION):
        config.pluginmanager.import_plugin("supertokens_events_pytest.session")


@pytest.fixture
def app_events(request: pytest.FixtureRequest) -> Events:
    """The app's ``Events``: what the option ``supertokens_events`` names. Override it where an app factory makes them."""
    return named_events(request.config)


@pytest.fixture
def events(app_events: Events) -> Iterator[CapturedEvents]:
    """What the app emits in this test: ``events.emitted``, ``events.types``, ``events.one("user.created")``, …"""
    from supertokens_events.testing import capture_events

    with capture_events(app_events) as captured:
        yield captured
