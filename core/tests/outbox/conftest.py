"""A fresh store of every kind, and an outbox on it."""

import pytest

from outbox.stores import STORES


@pytest.fixture(params=STORES)
def store(request, tmp_path):
    store = STORES[request.param](tmp_path)
    yield store
    store.close()


@pytest.fixture
def outbox(store):
    return store.connect()
