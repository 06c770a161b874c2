"""``python -m simulation``: many seeds on every core, or one seed told in full."""

import argparse
import logging
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from simulation.play import Failure, play


def main():
    parser = argparse.ArgumentParser(prog="simulation", description="Play the engine with faults, in virtual time.")
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds")
    parser.add_argument("--first", type=int, default=0, help="the first of them")
    parser.add_argument("--seed", type=int, help="one seed, told in full")
    given = parser.parse_args()
    logging.disable()
    sys.exit(one(given.seed) if given.seed is not None else many(given.first, given.seeds))


def one(seed):
    try:
        print("\n".join(play(seed)))
    except Failure as failure:
        print("\n".join(failure.story), f"\n{failure}", sep="\n")
        return 1
    return 0


def many(first, count):
    begun = time.perf_counter()
    with ProcessPoolExecutor(os.cpu_count(), initializer=logging.disable) as pool:
        failed = [text for text in pool.map(outcome, range(first, first + count), chunksize=20) if text]
    print(*failed[:20], sep="\n")
    print(f"{count} seeds in {time.perf_counter() - begun:.0f} s, {len(failed)} failed")
    return 1 if failed else 0


def outcome(seed):
    try:
        play(seed)
    except Failure as failure:
        return str(failure)
    except BaseException as error:
        return f"seed {seed}: {type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    main()
