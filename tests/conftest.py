"""Fixtures of the tests that need more than one package: the real SDK, real frameworks, a core in memory, real sockets."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import pytest

from apps.running import AppRunner, configuration, running_app
from apps.servers import Servers
from core_double import CoreDouble
from supertokens_events import Events

EventsMaker = Callable[..., Events]


@pytest.fixture(scope="session", autouse=True)
def _environment(tmp_path_factory) -> Iterator[None]:
    """The SDK lets itself be reset, and asks no public server. No test speaks TLS, so no call has to load certificates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERTOKENS_ENV", "testing")
        patch.setenv("TEST_MODE", "testing")
        patch.setenv("SUPERTOKENS_TLDEXTRACT_DISABLE_HTTP", "1")
        patch.delenv("SSL_CERT_FILE", raising=False)
        patch.setenv("SSL_CERT_DIR", str(tmp_path_factory.mktemp("no-certificates")))
        for name in [name for name in os.environ if name.startswith("SUPERTOKENS_EVENTS_")]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def core() -> Iterator[CoreDouble]:
    """One core for all; every app that starts finds it empty."""
    with CoreDouble() as double:
        yield double


@pytest.fixture(scope="session")
def run_app(core) -> Iterator[AppRunner]:
    """Starts SuperTokens in an app: ``with run_app("flask", events) as app``."""
    servers = Servers()
    yield partial(running_app, core, servers)
    servers.stop()


@pytest.fixture
def make_events(tmp_path) -> Iterator[EventsMaker]:
    """Makes ``Events`` that are stopped when the test ends."""
    made: list[Events] = []

    def make(plugins=(), **tables: Mapping[str, Any]) -> Events:
        events = Events.from_dict(configuration(tmp_path, **tables), plugins=plugins)
        made.append(events)
        return events

    yield make
    for events in made:
        events.stop(timeout=5)
