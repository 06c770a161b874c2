"""The files of a new sink: those of a template, with its names in place of the template's."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path, PurePath

from supertokens_events.cli.new_sink.names import Names

__all__ = ["write"]

_STANDS_FOR = {"simple": "notebook", "http": "courier"}
"""What the sink type is called in the template of each kind, which is a package that works."""


def write(names: Names, kind: str) -> None:
    """Make the folder of a new sink in the working directory, whole or not at all.

    Raises ``FileExistsError`` when there is something of its name, and another ``OSError`` when it cannot be written.
    """
    template = resources.files(__package__) / "templates" / kind
    folder = Path(names.distribution)
    folder.mkdir()
    try:
        for path, text in _files(template, PurePath()):
            file = folder / _renamed(str(path), names, kind)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(_renamed(text, names, kind), encoding="utf-8")
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _files(folder: Traversable, at: PurePath) -> Iterator[tuple[PurePath, str]]:
    """Every file with its text; not what Python and other tools leave beside them."""
    for item in folder.iterdir():
        if item.is_dir() and item.name[0] not in "._":
            yield from _files(item, at / item.name)
        elif item.is_file() and item.name[0] != ".":
            yield at / item.name, item.read_text(encoding="utf-8")


def _renamed(text: str, names: Names, kind: str) -> str:
    word = _STANDS_FOR[kind]

    def name(match: re.Match[str]) -> str:
        match match[0]:
            case found if found.startswith("supertokens-events-"):
                return names.distribution
            case found if found.istitle():
                return names.in_a_class
            case found if found.isupper():
                return names.sink_type.upper()
            case _:
                return names.sink_type

    return re.sub(rf"(?:supertokens-events-)?{word}|{word.title()}|{word.upper()}", name, text)
