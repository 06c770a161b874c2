"""A fresh store, an outbox on it, and outboxes on PostgreSQL anywhere."""

import pytest

from outbox.stores import STORES
from supertokens_events.outbox.postgres.outbox import PostgresOutbox


def pytest_generate_tests(metafunc):
    """A test that uses a store runs on every kind, or on those that its module names in ``KINDS``."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store", getattr(metafunc.module, "KINDS", STORES), indirect=True)


@pytest.fixture
def store(request, tmp_path):
    store = STORES[request.param](tmp_path)
    yield store
    store.close()


@pytest.fixture
def outbox(store):
    return store.connect()


@pytest.fixture
def at():
    """Outboxes at any address, closed at the end."""
    opened = []

    def at(url, **options):
        opened.append(PostgresOutbox(url, **{"busy_timeout": 1.0} | options))
        return opened[-1]

    yield at
    for outbox in opened:
        outbox.close()
