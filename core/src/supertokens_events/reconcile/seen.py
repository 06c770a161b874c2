"""Which of very many ids were seen, in eight bytes each."""

from __future__ import annotations

import hashlib
from array import array
from bisect import bisect_left

__all__ = ["Seen"]


class Seen:
    """A set that is filled first, and asked then. Two ids in 2⁶⁴ are taken for one: then one that is gone is noticed later."""

    def __init__(self) -> None:
        self._hashes = array("Q")
        self._sorted = False

    def add(self, id_: str) -> None:
        """It was seen."""
        self._hashes.append(_hash(id_))
        self._sorted = False

    def __contains__(self, id_: str) -> bool:
        if not self._sorted:
            self._hashes = array("Q", sorted(self._hashes))
            self._sorted = True
        wanted = _hash(id_)
        place = bisect_left(self._hashes, wanted)
        return place < len(self._hashes) and self._hashes[place] == wanted


def _hash(id_: str) -> int:
    return int.from_bytes(hashlib.blake2b(id_.encode("utf-8", "replace"), digest_size=8).digest())
