"""The simulation: the engine as it is passes, a mutant of it does not, and a seed is always the same play."""

import logging

import pytest

from simulation import Failure, play
from simulation.mutants import MUTANTS

SEEDS = 150  # here; `nox -s simulate -- --seeds 10000` plays as many as one likes
PATIENCE = 1000  # seeds within which a mutant must be found


@pytest.fixture(autouse=True)
def quiet():
    """Everything goes wrong in a simulation, and all of it is logged."""
    logging.disable()
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", range(0, SEEDS, 50))
def test_engine(first):
    """Nothing committed is lost, nothing settled twice, order holds where promised, and the ledger adds up."""
    stories = [play(seed) for seed in range(first, first + 50)]

    assert sum(map(len, stories)) > 250, "faults were injected"


@pytest.mark.parametrize("mutant", MUTANTS)
def test_mutant(mutant):
    """An engine with one mistake is found out."""
    assert any(broken(seed, mutant) for seed in range(PATIENCE))


def broken(seed, outbox_type):
    try:
        play(seed, outbox_type)
    except Failure as failure:
        return str(failure.broken)
    return None


def test_again():
    """A seed plays exactly as it did before."""
    assert play(7) == play(7)
    assert play(7) != play(8)
