"""What the turns of ``sign_in.py`` come to: each figure of all rounds together, and of each round."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Turn:
    """One arm's turn, in milliseconds: latencies from when a sign-in was due and from when it began, what the wrappers
    added to each, the process's CPU for all of them, and how far the deliveries were behind in the end.
    """

    due: list[float]
    start: list[float]
    added: list[float]
    cpu: float
    behind: float
    stored: int
    late: int


@dataclass(frozen=True)
class Figure:
    """Of all rounds together, and of each round."""

    pooled: float
    least: float
    median: float
    most: float

    def text(self, *, median: bool) -> str:
        if self.least == self.most:  # one round
            return short(self.pooled)
        middle = f", {short(self.median)}" if median else ""
        return f"{short(self.pooled)}{middle} [{short(self.least)} … {short(self.most)}]"


def short(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.2f}"


Measure = Callable[[Sequence[Turn]], float]
Results = Mapping[str, Mapping[str, Mapping[str, Figure]]]
"""By title, arm and column."""


def quantile(what: str, q: float) -> Measure:
    """The nearest value of all that the turns have."""

    def measure(turns: Sequence[Turn]) -> float:
        ordered = sorted(value for turn in turns for value in getattr(turn, what))
        return ordered[min(len(ordered) - 1, int(q * len(ordered)))]

    return measure


def cpu(turns: Sequence[Turn]) -> float:
    """For one sign-in."""
    return sum(turn.cpu for turn in turns) / sum(len(turn.due) for turn in turns)


def figure(measure: Measure, turns: Sequence[Turn], less: Sequence[Turn] | None = None) -> Figure:
    """``less`` are the turns of another arm: then all is a difference, round by round."""
    pooled, each = measure(turns), [measure([turn]) for turn in turns]
    if less is not None:
        pooled -= measure(less)
        each = [mine - measure([turn]) for mine, turn in zip(each, less, strict=True)]
    return Figure(pooled, min(each), statistics.median(each), max(each))


def compared(arms: Mapping[str, Sequence[Turn]], without: str) -> Results:
    """Every figure; of an arm with events also less the one without."""

    def figures(what: str, names: Iterable[str], less: Sequence[Turn] | None = None) -> dict[str, dict[str, Figure]]:
        columns = {f"p{round(100 * q)}": quantile(what, q) for q in (0.5, 0.9, 0.99)}
        return {
            name: {column: figure(measure, arms[name], less) for column, measure in columns.items()} for name in names
        }

    others = [name for name in arms if name != without]
    return {
        "from due": figures("due", arms),
        "from start": figures("start", arms),
        "added, from due": figures("due", others, arms[without]),
        "added, from start": figures("start", others, arms[without]),
        "added inside the process": figures("added", others),
        "CPU a sign-in": {name: {"mean": figure(cpu, arms[name])} for name in arms},
        "CPU added a sign-in": {name: {"mean": figure(cpu, arms[name], arms[without])} for name in others},
    }


SHOWN = ["from due", "added, from due", "added inside the process", "CPU a sign-in", "CPU added a sign-in"]


def print_table(results: Results) -> None:
    """What is from the start differs little, or a queue is why; it is in the file."""
    for title in SHOWN:
        columns = next(iter(results[title].values()))
        print(f"\n{title:<26}" + "".join(f"{column:<30}" for column in columns).rstrip())
        for name, figures in results[title].items():
            cells = [found.text(median="added" in title) for found in figures.values()]
            print(f"  {name:<24}" + "".join(f"{cell:<30}" for cell in cells).rstrip())
