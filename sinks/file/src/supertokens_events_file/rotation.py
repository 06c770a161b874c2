"""When a file is put aside, under which name, and which files in a directory were put aside.

``auth.jsonl`` becomes ``auth.20261124T000000.104533Z.jsonl``: the time at which it was closed, in UTC, so that names sort. With
``.gz`` it is compressed.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from supertokens_events_file.settings import Period, RotateSettings

__all__ = ["COMPRESSED", "PART", "Closed", "closed_files", "is_due", "put_aside", "stamp"]

COMPRESSED = ".gz"
PART = ".gz.part"
"""Ends the name of what is being compressed."""

_STAMP = "%Y%m%dT%H%M%S.%fZ"
_SMALLEST = timedelta(microseconds=1)
_DIGITS: dict[Period, str] = {"day": "%Y%m%d", "hour": "%Y%m%d%H"}


class Closed(NamedTuple):
    """A file that was put aside, when, and what its name ends with: nothing more, ``COMPRESSED``, or ``PART`` of that."""

    at: datetime
    path: Path
    ending: str


def is_due(rotate: RotateSettings, file: int, more: int, now: datetime) -> bool:
    """Whether the open file is to be put aside before ``more`` bytes are added at ``now``. An empty one never is.

    Its time is that of its last line: every writer asks here first, so all of its lines are of one period.
    """
    status = os.fstat(file)
    if status.st_size == 0 or not stat.S_ISREG(status.st_mode):
        return False
    too_large = rotate.size is not None and status.st_size + more > rotate.size
    return too_large or (rotate.every is not None and _is_over(rotate.every, status.st_mtime, now))


def stamp(rotate: RotateSettings, file: int, now: datetime) -> None:
    """After lines were added at ``now``: see that the file's time is of that period. The kernel's is some milliseconds old."""
    if rotate.every is not None and _is_over(rotate.every, os.fstat(file).st_mtime, now):
        with suppress(OSError):  # somebody else's file: then the next one is begun early
            os.utime(file, (now.timestamp(), now.timestamp()))


def put_aside(path: Path, now: datetime) -> None:
    """Rename the file, which must be locked. Whatever the clock says, the name sorts after all that there are already."""
    path = path.resolve()  # a link stays what it is
    try:
        last = max((closed.at for closed in closed_files(path)), default=now - _SMALLEST)
        path.rename(path.with_name(f"{path.stem}.{_after(last, now).strftime(_STAMP)}{path.suffix}"))
    except OSError as error:
        raise OSError(error.errno, f"it is to be put aside, and cannot be: {error.strerror}") from error


def closed_files(path: Path) -> Sequence[Closed]:
    """What was put aside from ``path``, oldest first. Files with any other name are somebody else's."""
    path = path.resolve()
    stem, suffix = re.escape(path.stem), re.escape(path.suffix)
    ending = "|".join(map(re.escape, (COMPRESSED, PART)))
    ours = re.compile(rf"{stem}\.(\d{{8}}T\d{{6}}\.\d{{6}}Z){suffix}({ending}|)")
    found = ((ours.fullmatch(entry.name), entry) for entry in path.parent.iterdir())
    return sorted(Closed(at, entry, match[2]) for match, entry in found if match and (at := _time(match[1])))


def _after(last: datetime, now: datetime) -> datetime:
    try:
        return max(now, last + _SMALLEST)
    except OverflowError:
        why = f"beside it is one of {last:{_STAMP}}, and no name sorts after that: rename it"
        raise OSError(errno.EOVERFLOW, why) from None


def _is_over(period: Period, moment: float, now: datetime) -> bool:
    digits = _DIGITS[period]
    return datetime.fromtimestamp(moment, UTC).strftime(digits) < now.strftime(digits)


def _time(stamp: str) -> datetime | None:
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
