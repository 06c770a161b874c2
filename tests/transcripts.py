"""Pages of the documentation as scripts: what they show is typed, and what they say is printed is compared with what is.

A page that says ``<!-- transcript -->`` is played from its beginning to its end, in an empty folder:

- a ``toml`` block that begins with ``# supertokens-events.toml`` becomes the configuration. ``https://…example.com`` in it is a
  receiver of the test's, on loopback;
- a ``python`` block that begins with ``# myapp.py`` becomes the file of that name;
- in a ``console`` block each line ``$ supertokens-events …`` is run, and what follows it has to be what it prints. ``…`` stands
  for anything; spaces, spans of time, sizes and process numbers may differ. An id of an event that the page shows is the name
  of the one that was printed in its place, from there on;
- ``<!-- run: send user.created -->`` runs what the page does not show, ``<!-- receiver: 500 -->`` says what the receiver answers
  from there on.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

MARK = "<!-- transcript -->"
_PART = re.compile(r"^<!-- (run|receiver): (.*?) -->$|^```(toml|python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# (\w+\.py)\n")
_RECEIVER = re.compile(r'"https://([\w.]*example\.com)[^"]*"')
_ID = re.compile(r"evt_[0-9A-HJKMNP-TV-Z]{26}")
_VARYING = [
    (re.compile(r"\b\d+ (?:s|min|h|d) ago\b|\bin \d+ (?:s|min|h|d)\b|\bnow\b"), "THEN"),
    (re.compile(r"\b[\d,]+ ms\b"), "SPAN"),
    (re.compile(r"\b\d{4}-\d\d-\d\dT[\d:.]+Z"), "TIME"),
    (re.compile(r"\b[\d.]+ (?:B|KiB|MiB)\b"), "SIZE"),
    (re.compile(r"\bprocess \d+\b"), "PROCESS"),
]


class Mismatch(AssertionError):
    """A command printed something else than its page says."""


def pages(folder: Path) -> list[Path]:
    """Those that are scripts."""
    return [page for page in sorted(folder.rglob("*.md")) if MARK in page.read_text(encoding="utf-8")]


class Transcript:
    """One page. ``run`` types a command and returns what it prints; ``answer`` has the receiver at ``url`` answer so."""

    def __init__(
        self, page: Path, *, run: Callable[[list[str]], str], answer: Callable[[int], object], url: str, file: Path
    ) -> None:
        self._text = page.read_text(encoding="utf-8")
        self._run = run
        self._answer = answer
        self._url = url
        self._file = file
        self._ids: dict[str, str] = {}
        self._hosts: list[str] = []

    def play(self) -> int:
        """Returns how many commands were compared. Raises :class:`Mismatch`."""
        compared = 0
        for directive, what, language, block in _PART.findall(self._text):
            if directive == "receiver":
                self._answer(int(what))
            elif directive == "run":
                self._type(what)
            elif language == "toml":
                self._configure(block)
            elif language == "python":
                self._write(block)
            else:
                for command, said in _commands(block):
                    self._compare(command, said, self._type(command))
                    compared += 1
        return compared

    def _configure(self, block: str) -> None:
        if block.startswith("# supertokens-events.toml"):
            self._hosts = _RECEIVER.findall(block)
            here = f'"{self._url}"\nallow_http = true\nallow_networks = ["127.0.0.0/8"]'
            self._file.write_text(_RECEIVER.sub(here, block), encoding="utf-8")

    def _write(self, block: str) -> None:
        if (name := _FILE.match(block)) is not None:
            self._file.with_name(name[1]).write_text(block, encoding="utf-8")

    def _type(self, command: str) -> str:
        printed = self._run(shlex.split(_ID.sub(lambda match: self._ids.get(match[0], match[0]), command)))
        return printed.replace(urlsplit(self._url).netloc, *self._hosts[:1] or [""])

    def _compare(self, command: str, said: str, printed: str) -> None:
        new = [name for name in dict.fromkeys(_ID.findall(said)) if name not in self._ids]
        pattern = re.escape(_plain(said)).replace("…", ".*?")
        for name, printed_id in self._ids.items():
            pattern = pattern.replace(name, printed_id)
        for number, name in enumerate(new):
            first, _, rest = pattern.partition(name)
            pattern = f"{first}(?P<id{number}>{_ID.pattern}){rest.replace(name, f'(?P=id{number})')}"
        match = re.fullmatch(pattern, _plain(printed), re.DOTALL)
        if match is None:
            raise Mismatch(f"$ supertokens-events {command}\n{printed}\nis not what the page says:\n{said}")
        self._ids |= {name: match[f"id{number}"] for number, name in enumerate(new)}


def _commands(block: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ supertokens-events ", block, flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command, said


def _plain(text: str) -> str:
    lines = [" ".join(line.split()) for line in text.strip().splitlines()]
    joined = "\n".join(lines)
    for pattern, name in _VARYING:
        joined = pattern.sub(name, joined)
    return joined
