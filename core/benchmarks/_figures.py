"""What the rounds of a benchmark come to: the spread of each figure, a table, a file."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

Figures = Mapping[str, float]
"""Of one round, by what they are."""
Spread = Mapping[str, float]
"""``median``, ``lowest``, ``highest``."""
Table = Mapping[str, Mapping[str, Spread]]
"""By arm and figure."""


def spread(values: Iterable[float]) -> Spread:
    found = list(values)
    return {"median": statistics.median(found), "lowest": min(found), "highest": max(found)}


def spreads(rounds: Sequence[Figures]) -> dict[str, Spread]:
    """Of each figure."""
    return {name: spread(figures[name] for figures in rounds) for name in rounds[0]}


def options(doc: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """What every script can be told."""
    parser = argparse.ArgumentParser(description=doc and doc.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    return parser


def machine() -> str:
    return f"Python {platform.python_version()}, {os.cpu_count()} cores"


def line(arm: str, figures: Mapping[str, Spread], width: int = 32) -> str:
    """Each figure on a line of its own, the arm's name in a column of ``width``."""
    return "\n".join(f"{arm:{width}} {name:22} {text(one)}" for name, one in figures.items())


def text(one: Spread) -> str:
    return f"{one['median']:12,.2f}  ({one['lowest']:,.2f} - {one['highest']:,.2f})"


def report(title: str, table: Table, given: argparse.Namespace) -> None:
    """Print the table, and write it down if asked."""
    print(f"{title}; median of {given.rounds} (lowest - highest); {machine()}")
    width = max(map(len, table), default=0)
    for arm, figures in table.items():
        print(line(arm, figures, width))
    write(table, given)


def write(table: Table, given: argparse.Namespace) -> None:
    if given.json:
        given.json.write_text(json.dumps({"machine": machine(), "figures": table}, indent=1) + "\n", encoding="utf-8")
