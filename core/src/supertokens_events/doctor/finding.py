"""What the doctor finds: what is so, why it matters, what to do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Finding", "Severity", "note", "ok", "problem", "warning", "worst"]


class Severity(StrEnum):
    """How bad it is, the best first."""

    OK = "ok"
    """As it should be."""
    NOTE = "note"
    """Nothing is wrong: something to know, or what could not be looked at."""
    WARNING = "warning"
    """It works, and may not tomorrow."""
    PROBLEM = "problem"
    """Events are lost, wait, or never come to be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer to one question. ``id`` names the question and stays as it is; ``subject`` is what of several it is about, such
    as a sink. The others are sentences without a secret; ``why`` and ``do`` are empty where all is well.
    """

    id: str
    severity: Severity
    what: str
    why: str = ""
    do: str = ""
    subject: str = ""


def ok(id_: str, what: str, *, subject: str = "") -> Finding:
    """It is as it should be."""
    return Finding(id_, Severity.OK, what, subject=subject)


def note(id_: str, what: str, *, why: str = "", do: str = "", subject: str = "") -> Finding:
    """Something to know."""
    return Finding(id_, Severity.NOTE, what, why, do, subject)


def warning(id_: str, what: str, *, why: str, do: str, subject: str = "") -> Finding:
    """It works, and may not tomorrow."""
    return Finding(id_, Severity.WARNING, what, why, do, subject)


def problem(id_: str, what: str, *, why: str, do: str, subject: str = "") -> Finding:
    """Something is wrong."""
    return Finding(id_, Severity.PROBLEM, what, why, do, subject)


def worst(findings: Iterable[Finding]) -> Severity:
    """The worst severity among them."""
    order = list(Severity)
    return max((finding.severity for finding in findings), key=order.index, default=Severity.OK)
