"""How the commands print: JSON lines for programs; tables, spans and times for people."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from supertokens_events.operate.words import (
    counted,
    duration_in_words,
    iso_time,
    rate_in_words,
    size_in_words,
    span_in_words,
    time_in_words,
)

__all__ = [
    "counted",
    "duration_in_words",
    "iso_time",
    "json_option",
    "print_json",
    "print_table",
    "printable",
    "rate_in_words",
    "size_in_words",
    "span_in_words",
    "time_in_words",
]

json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON object per line.")


def print_json(document: Mapping[str, Any]) -> None:
    """One object on one line, in ASCII."""
    click.echo(json.dumps(document, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, keep: int = 1, header: bool = True) -> None:
    """A table as wide as the terminal (80 columns where there is none). The first ``keep`` columns are never
    broken.
    """
    from rich.console import Console
    from rich.table import Table

    lines = [[printable(cell) for cell in row] for row in rows]
    if not lines:
        click.echo("none")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=header)
    for number, column in enumerate(columns):
        table.add_column(column, no_wrap=number < keep, overflow="fold")
    for line in lines:
        table.add_row(*line)
    Console(markup=False, highlight=False, emoji=False).print(table)


def printable(text: str) -> str:
    """``text`` with its control characters spelled out, as JSON does: a terminal must not obey what came in with an event."""
    return re.sub(r"[^\n]", lambda match: match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1], text)
