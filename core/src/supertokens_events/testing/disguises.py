"""The forms in which a text is found where somebody has quoted, escaped or encoded it."""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

__all__ = ["disguises"]

_SHORTEST = 6  # characters of base64: fewer are found by chance


def disguises(text: str) -> dict[str, str]:
    """The texts that give ``text`` away, each with how it is told to people; as it is, it is ``""``."""
    forms = {
        text: "",
        quote(text, safe=""): "quoted as in a URL",
        quote(text): "quoted as in a URL",
        quote_plus(text): "quoted as in a URL",
        json.dumps(text)[1:-1]: "escaped as in JSON",
        json.dumps(text, ensure_ascii=False)[1:-1]: "escaped as in JSON",
        **dict.fromkeys(_in_base64(text.encode()), "in base64"),
    }
    return {**forms, text: ""}


def _in_base64(raw: bytes) -> Iterator[str]:
    """What all base64 has in common that holds ``raw``, wherever it begins and whatever stands around it: ``user:raw``, say."""
    for before in range(3):
        first, end = -(-before * 8 // 6), (before + len(raw)) * 8 // 6
        if end - first >= _SHORTEST:
            for encode in (b64encode, urlsafe_b64encode):
                yield encode(b"\0" * before + raw).decode()[first:end]
