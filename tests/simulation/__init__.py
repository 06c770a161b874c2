"""The engine under one seed: real dispatchers over a real SQLite file, in virtual time, with faults at every step.

``python -m simulation --seeds 10000`` plays that many; ``--seed N`` plays one again, exactly as it was, and tells it.
"""

from simulation.play import Failure, play

__all__ = ["Failure", "play"]
