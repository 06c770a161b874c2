"""Some rows of the record, being changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from supertokens_events.outbox import Change, Grant, Told

__all__ = ["Sheet"]


class Sheet:
    """Rows by the id of their login method. :meth:`change` says what has become different."""

    def __init__(self, rows: Iterable[Told] = ()) -> None:
        self._rows = {row.recipe_user_id: row for row in rows}
        self._touched: dict[str, None] = {}
        self._grants: list[tuple[bool, Grant]] = []

    def row(self, login: str) -> Told | None:
        """What was told of a login method."""
        return self._rows.get(login)

    def rows(self, which: Callable[[Told], bool]) -> list[Told]:
        """Those for which it holds."""
        return [row for row in self._rows.values() if which(row)]

    def put(self, row: Told) -> None:
        """Have this row, in the place of the one of the same login method."""
        self._rows[row.recipe_user_id] = row
        self._touched[row.recipe_user_id] = None

    def note(self, login: str, facts: Mapping[str, Any]) -> None:
        """Add facts to what is known; of a login method that was erased nothing more is kept."""
        row = self._rows.get(login) or Told(login, None, {})
        if not row.facts.get("erased"):
            self.put(row._replace(facts={**row.facts, **facts}))

    def drop(self, login: str) -> None:
        """It is gone."""
        self._rows.pop(login, None)
        self._touched[login] = None

    def grant(self, grant: Grant) -> None:
        """It was given."""
        self._grants.append((True, grant))

    def revoke(self, grant: Grant) -> None:
        """It was taken back, and with it everything that it stands for."""
        self._grants.append((False, grant))

    def change(self) -> Change:
        """What the record is to be told."""
        kept = [self._rows[login] for login in self._touched if login in self._rows]
        gone = [login for login in self._touched if login not in self._rows]
        return Change(kept, gone, tuple(self._grants))
