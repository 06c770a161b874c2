"""Why a file cannot be written, as sentences, found without writing it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from supertokens_events_file.pipe import NO_READER, has_reader, is_pipe
from supertokens_events_file.settings import FileSettings

__all__ = ["clashes_between", "doubts_about", "problems_with", "reason"]


def problems_with(settings: FileSettings) -> Sequence[str]:
    """What is in the way of the next event, or of putting a file aside."""
    try:
        return list(_in_the_way(settings.path, rotates=settings.rotate is not None))
    except OSError as error:  # such as a directory that this user may not look into
        return [reason(settings.path, error)]


def doubts_about(settings: FileSettings) -> Sequence[str]:
    """What its settings may not do although they look as if they did."""
    rotate = settings.rotate
    if rotate is not None and rotate.max_age is not None and rotate.every is None:
        return ["rotate.max_age counts from when a file is put aside: without rotate.every that may never be"]
    return []


def clashes_between(settings: FileSettings, others: Mapping[str, FileSettings]) -> Sequence[str]:
    """Which other sinks, by name, write the same file in another way."""
    return [
        f"path: the sink {name!r} writes {settings.path} too, with another {' and another '.join(keys)}: "
        "give each its own path, or both the same settings"
        for name, other in others.items()
        if other.path.resolve() == settings.path.resolve() and (keys := _differing(settings, other))
    ]


def reason(path: Path, error: OSError) -> str:
    """Why events could not be added to the file."""
    if isinstance(error, FileNotFoundError) and not path.parent.is_dir():
        return f"{path}: {_no_directory(path)}"
    return f"{path}: {error.strerror or 'it cannot be written'}"


def _differing(settings: FileSettings, other: FileSettings) -> Sequence[str]:
    return [key for key in ("format", "rotate") if getattr(settings, key) != getattr(other, key)]


def _in_the_way(path: Path, *, rotates: bool) -> Iterator[str]:
    if not path.parent.is_dir():
        yield _no_directory(path)
    elif path.is_dir():
        yield f"{path} is a directory: name a file in it"
    else:
        yield from _forbidden(path, path.resolve().parent, rotates=rotates)


def _forbidden(path: Path, folder: Path, *, rotates: bool) -> Iterator[str]:
    is_there = path.exists()
    needed = os.W_OK if is_pipe(path) else os.R_OK | os.W_OK
    if is_there and not os.access(path, needed, effective_ids=True):
        yield f"this user may not write to {path}"
    elif is_pipe(path) and not has_reader(path):
        yield f"{path}: {NO_READER}"
    elif not is_there and not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
        yield f"this user may not write to {folder}"
    if rotates and is_there and not path.is_file():
        yield f"{path} is not a plain file, and cannot be put aside: take away rotate"
    elif rotates and not os.access(folder, os.R_OK | os.W_OK | os.X_OK, effective_ids=True):
        yield f"this user may not list and change {folder}, where files are put aside"


def _no_directory(path: Path) -> str:
    return f"the directory {path.parent} does not exist"
