"""A life on either store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from apps.life_kit import Life
from apps.receiver import Receiver, receiver
from outbox.postgres_server import shared_server


@pytest.fixture
def hook() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


@pytest.fixture
def life(tmp_path: Path, core: Any, hook: Receiver) -> Iterator[Life]:
    """On a SQLite file."""
    core.reset()
    life = Life(tmp_path, "sqlite:events.db", hook, core.url)
    yield life
    life.close()


@pytest.fixture(params=["sqlite", "postgres"])
def life_on_each(request: pytest.FixtureRequest, tmp_path: Path, core: Any, hook: Receiver) -> Iterator[Life]:
    """On each store."""
    core.reset()
    url = "sqlite:events.db"
    if request.param == "postgres":
        shared_server().execute("DROP DATABASE IF EXISTS life WITH (FORCE)", "CREATE DATABASE life")
        url = shared_server().url("life")
    life = Life(tmp_path, url, hook, core.url)
    yield life
    life.close()
