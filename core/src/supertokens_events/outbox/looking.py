"""How events and deliveries are found among very many: which index leads there. One way for both stores.

Each query walks one index in the order of sequences and stops at the limit; where an answer may come from several (types, states,
sinks), the first of each are merged. Nothing is counted or sorted that could be all there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from supertokens_events.outbox.contract import DeliveryState

__all__ = ["Looking", "Wanted"]

_FEW = 20_000  # rows that are quickly sorted

Query = Callable[[str, Mapping[str, Any]], Sequence[Sequence[Any]]]


class Wanted(NamedTuple):
    """What events, or deliveries of which events, are wanted; ``None``: any. Times are when the event was stored, seconds since
    the epoch, from ``since`` until before ``until``.
    """

    types: Sequence[str] | None = None
    user_id: str | None = None
    tenant_id: str | None = None
    correlation_id: str | None = None
    since: float | None = None
    until: float | None = None
    event_id: str | None = None
    sink: str | None = None
    state: DeliveryState | None = None

    @property
    def of_event(self) -> bool:
        """Whether it says something about the event beside its time."""
        return any(value is not None for value in (self.types, *self[1:4], self.event_id))


class Looking:
    """Finds the keys of what is ``wanted``, up to ``limit``, in order: the first after ``after``, or else the latest.

    ``query`` runs SQL with ``:names``; ``last_before`` is the last sequence that was stored before a moment, about.
    """

    def __init__(self, query: Query, last_before: Callable[[float], int], wanted: Wanted, limit: int) -> None:
        self._query = query
        self._wanted = wanted
        self._limit = limit
        self._values: dict[str, Any] = {**wanted._asdict(), "limit": limit}
        self._time: list[str] = []
        self._bounds: list[str] = []
        if wanted.since is not None:
            self._time.append("e.stored_at >= :since")
            self._bounds.append("{0}.sequence > :first")
            self._values["first"] = last_before(wanted.since) - 1  # whose clock went back is found too, nearly always
        if wanted.until is not None:
            self._time.append("e.stored_at < :until")
            self._bounds.append("{0}.sequence <= :last")
            self._values["last"] = last_before(wanted.until) + 1

    def events(self, after: int | None) -> list[int]:
        """Sequences."""
        self._values["after"] = after
        bounds = [*self._bounds, *(["{0}.sequence > :after"] if after is not None else [])]
        where = [*self._event_conditions(), *(bound.format("e") for bound in bounds)]
        order = "DESC" if after is None else ""
        found: list[int] = []
        for condition, values in self._ways_to_events():
            query = f"SELECT e.sequence FROM event e {_where([*condition, *where])} ORDER BY e.sequence {order} LIMIT :limit"
            found += [sequence for (sequence,) in self._query(query, values)]
        return sorted(found, reverse=after is None)[: self._limit][:: -1 if after is None else 1]

    def deliveries(self, after: tuple[int, int] | None) -> list[tuple[int, int]]:
        """Pairs of a sequence and a delivery's id."""
        bounds = [bound.format("d") for bound in self._bounds]
        if after is not None:
            self._values |= {"after": after[0], "after_id": after[1]}
            bounds.append("d.sequence >= :after AND (d.sequence > :after OR d.id > :after_id)")
        direction = "DESC" if after is None else ""
        found: list[tuple[int, int]] = []
        for tables, conditions, values in self._ways_to_deliveries():
            first = tables[
                tables.index(" ") + 1
            ]  # in the order of its index: a query cannot see that both are the same
            query = f"SELECT d.sequence, d.id FROM {tables} {_where([*conditions, *bounds])} "
            query += f"ORDER BY {first}.sequence {direction}, d.id {direction} LIMIT :limit"
            found += [(sequence, id_) for sequence, id_ in self._query(query, values)]
        return sorted(found, reverse=after is None)[: self._limit][:: -1 if after is None else 1]

    # Events --------------------------------------------------------------------------------------------------------

    def _event_conditions(self) -> list[str]:
        names = ("tenant_id", "correlation_id")
        return [*self._time, *(f"e.{name} = :{name}" for name in names if self._values[name] is not None)]

    def _ways_to_events(self) -> Iterator[tuple[list[str], dict[str, Any]]]:
        """What leads to them by an index: an id, a user, or each type in its turn; with nothing but a time, their order."""
        wanted = self._wanted
        if wanted.event_id is not None:
            yield ["e.id = :event_id", *self._of_types()], self._values
        elif wanted.user_id is not None:
            yield ["e.user_id = :user_id", *self._of_types()], self._values
        elif wanted.of_event:
            for event_type in self._types():
                yield ["e.type = :type"], self._values | {"type": event_type}
        else:
            yield [], self._values

    def _types(self) -> Sequence[str]:
        """Those that are wanted; all that there are, when it is for the tenant or the correlation in the same index."""
        if self._wanted.types is not None:
            return self._wanted.types
        return [row[0] for row in self._query(TYPES, {}) if row[0] is not None]

    def _of_types(self) -> list[str]:
        types = self._wanted.types
        if types is None:
            return []
        self._values |= {f"type{number}": event_type for number, event_type in enumerate(types)}
        return [f"e.type IN ({', '.join(f':type{number}' for number in range(len(types)))})" if types else "1 = 0"]

    # Deliveries ----------------------------------------------------------------------------------------------------

    def _ways_to_deliveries(self) -> Iterator[tuple[str, list[str], dict[str, Any]]]:
        wanted = self._wanted
        by_delivery = wanted.sink is not None or wanted.state is not None
        if wanted.of_event and not (by_delivery and self._many_events()):
            of_delivery = [f"d.state = '{wanted.state}'"] if wanted.state else []
            of_delivery += ["d.sink = :sink"] if wanted.sink is not None else []
            of_event = self._event_conditions()
            for conditions, values in self._ways_to_events():
                whole = ["d.sequence = e.sequence", *conditions, *of_event, *of_delivery]
                yield "event e CROSS JOIN delivery d", whole, values
            return
        conditions = [*self._event_conditions(), *self._of_types()]
        tables = "delivery d CROSS JOIN event e" if conditions else "delivery d"
        joined = ["e.sequence = d.sequence", *conditions] if conditions else []
        if not by_delivery:
            yield tables, joined, self._values
            return
        for sink in [wanted.sink] if wanted.sink is not None else self._sinks():
            for state in [wanted.state] if wanted.state else DeliveryState:
                yield tables, [self._in_state(sink, state), *joined], self._values | {"sink": sink}

    def _many_events(self) -> bool:
        """Whether so many events are of the types that whatever else is asked for leads to some of them sooner."""
        if any(
            value is not None for value in (self._wanted.event_id, self._wanted.user_id, self._wanted.correlation_id)
        ):
            return False
        query = f"SELECT count(*) FROM (SELECT 1 FROM event e WHERE e.type = :type LIMIT {_FEW + 1}) AS found"
        counts = (int(self._query(query, {"type": event_type})[0][0]) for event_type in self._types())
        return sum(counts) > _FEW

    def _in_state(self, sink: str, state: DeliveryState) -> str:
        """The state is no parameter: what is settled, and what is pending, has indexes of its own. Those of what is pending are
        not in the order of sequences, so very many are found without them.
        """
        if state is DeliveryState.PENDING:
            query = f"SELECT 1 FROM delivery d WHERE d.sink = :sink AND d.state = 'pending' LIMIT {_FEW + 1}"
            rows = self._query(f"SELECT count(*) FROM ({query}) AS found", {"sink": sink})
            if rows[0][0] > _FEW:
                return "d.sink = :sink AND (d.state || '') = 'pending'"
            return "d.sink = :sink AND d.state = 'pending'"
        return f"d.sink = :sink AND d.state = '{state}' AND d.state <> 'pending'"  # as the index has it

    def _sinks(self) -> list[str]:
        found = {row[0] for pending in ("=", "<>") for row in self._query(_SINKS.format(pending=pending), {})}
        return sorted(sink for sink in found if sink is not None)


TYPES = """
WITH RECURSIVE types (type) AS (
    SELECT min(type) FROM event
    UNION ALL
    SELECT (SELECT min(e.type) FROM event e WHERE e.type > types.type) FROM types WHERE types.type IS NOT NULL
)
SELECT type FROM types
"""
"""The types that there are: from one to the next by the index."""

_SINKS = """
WITH RECURSIVE sinks (sink) AS (
    SELECT min(d.sink) FROM delivery d WHERE d.state {pending} 'pending'
    UNION ALL
    SELECT (SELECT min(d.sink) FROM delivery d WHERE d.state {pending} 'pending' AND d.sink > sinks.sink)
    FROM sinks WHERE sinks.sink IS NOT NULL
)
SELECT sink FROM sinks
"""


def _where(conditions: Sequence[str]) -> str:
    return f"WHERE {' AND '.join(conditions)}" if conditions else ""
