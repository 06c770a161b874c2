"""The ledger in memory: nothing that is counted is lost, whoever takes it and when."""

import sys
import threading
from collections import Counter

import pytest

from supertokens_events.ledger import Ledger, LedgerKey, Reason


def total(counts):
    return sum(counts.values())


def test_counts():
    """Equal counts are added up; taking them empties the ledger."""
    ledger = Ledger()
    ledger.count(Reason.FILTERED, subject="gdpr", event_type="user.created")
    ledger.count(Reason.FILTERED, subject="gdpr", event_type="user.created", n=2)
    ledger.count(Reason.LOST)

    taken = ledger.take()

    assert taken == {LedgerKey(Reason.FILTERED, "gdpr", "user.created"): 3, LedgerKey(Reason.LOST, "", ""): 1}
    assert ledger.take() == {}


def test_peek():
    """Looking takes nothing."""
    ledger = Ledger()
    ledger.count(Reason.LATE)

    assert ledger.peek() == ledger.peek() == {LedgerKey(Reason.LATE, "", ""): 1}


def test_put_back():
    """What the outbox would not take is counted on."""
    ledger = Ledger()
    ledger.count(Reason.LATE)
    ledger.put_back(ledger.take())
    ledger.count(Reason.LATE)

    assert ledger.take() == {LedgerKey(Reason.LATE, "", ""): 2}


def test_small():
    """A ledger that nobody takes from stays small, and still knows every count."""
    ledger = Ledger()
    for number in range(50_000):
        ledger.count(Reason.CAPTURE_OFF, event_type=f"app.type_{number % 7}")

    assert len(ledger._entries) < 10_000
    assert total(ledger.peek()) == 50_000


@pytest.fixture
def hasty():
    """Threads that take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_two_takers(hasty):
    """Two threads that take at once, while a third counts, never raise and never lose a count."""
    ledger = Ledger()
    taken, failures = Counter(), []
    done = threading.Event()

    def take():
        try:
            while not done.is_set():
                taken.update({threading.get_ident(): total(ledger.take())})
        except Exception as error:
            failures.append(error)

    takers = [threading.Thread(target=take) for _ in range(2)]
    for taker in takers:
        taker.start()
    for _ in range(20_000):
        ledger.count(Reason.LATE)
    done.set()
    for taker in takers:
        taker.join()

    assert failures == []
    assert total(taken) + total(ledger.take()) == 20_000
