"""One backfill: page by page from the core through the line, to one sink, from where it stood."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

from supertokens_events.backfill.history import History, Key, identity, key_of
from supertokens_events.backfill.position import Position, Range, Saved
from supertokens_events.backfill.tally import Tally
from supertokens_events.core_api import Core, CoreUser, Fact, Page, event_of, own_ids
from supertokens_events.emit import Direct, Plan
from supertokens_events.event import Event
from supertokens_events.outbox import Entry, Outbox
from supertokens_events.plugins import Plugins

__all__ = ["Filling", "Refused"]

ORIGIN = "backfill"
_PAGE = 500  # users that are worked on at once
_SLICE = 0.25  # seconds of a rate that are stored at once


class Refused(Exception):
    """There is nothing to fill the sink with, and why."""


class Pace:
    """No more than ``rate`` events a second; ``None``: as fast as it goes. ``wait`` is called with seconds."""

    def __init__(self, rate: float | None, wait: Callable[[float], object], clock: Callable[[], float]) -> None:
        self.rate = rate
        self._wait = wait
        self._clock = clock
        self._free_at = clock()

    @property
    def at_once(self) -> int | None:
        """How many events may be stored before :meth:`took` is called; ``None``: any number."""
        return None if self.rate is None else max(1, int(self.rate * _SLICE))

    def took(self, events: int) -> None:
        """So many were stored: wait until more may be."""
        if self.rate is not None and events:
            now = self._clock()
            self._free_at = max(self._free_at, now) + events / self.rate
            self._wait(self._free_at - now)


class Filling:
    """Fills the sink of ``plan``'s only route with history from ``core``.

    ``progress`` is called after each page with the position. With ``dry_run`` nothing is stored: the tally says what would be.
    :meth:`run` may raise ``CoreError`` and ``OutboxError``; what was stored by then stays, and the next one goes on from there.
    """

    def __init__(
        self,
        outbox: Outbox,
        plugins: Plugins,
        core: Core,
        plan: Plan,
        *,
        rate: float | None = None,
        dry_run: bool = False,
        progress: Callable[[Position], object] = lambda _position: None,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        (route,) = plan.routes
        self.sink = route.sink
        self.saved = Saved(outbox, route.sink)
        self.tally = Tally()
        self._route = route
        self._outbox = outbox
        self._core = core
        self._plan = plan
        self._direct = Direct(outbox, plugins, lambda: plan)
        self._pace = Pace(rate, wait, clock)
        self._dry_run = dry_run
        self._progress = progress
        self._tenants: Sequence[str] = ()

    def run(self, position: Position) -> Tally:
        """Go on from ``position`` to the end. Raises :class:`Refused` when the sink wants nothing of what it would get."""
        history = History(self._core, position.range.include, self._route.subscription.tenants)
        self._check(history.types)
        self._save(position)
        for tenant, page in self._pages(position):
            users = [user for user in page.users if self._is_wanted(user, tenant, position.range)]
            events = self._fill(users, history)
            position = position.model_copy(
                update={
                    "tenant": tenant,
                    "token": page.token,
                    "users": position.users + len(users),
                    "events": position.events + events,
                }
            )
            self._save(position)
            self._progress(position)
        self._save(position.model_copy(update={"finished": True, "tenant": None, "token": None}))
        return self.tally

    def _check(self, types: Sequence[str]) -> None:
        wanted = [name for name in types if self._route.subscription.patterns.matches(name)]
        if not wanted:
            raise Refused(f"the sink wants none of what a backfill says: {', '.join(types)}")
        if not any(self._plan.captured.matches(name) for name in wanted):
            raise Refused(f"capture.events does not ask for any of what it would get: {', '.join(wanted)}")

    def _save(self, position: Position) -> None:
        if not self._dry_run:
            self.saved.save(position)

    # Who -----------------------------------------------------------------------------------------------------------

    def _pages(self, position: Position) -> Iterator[tuple[str, Page]]:
        """Each tenant's pages from ``position`` on, up to whom the range does not reach."""
        self._tenants = self._core.tenants()
        for tenant in self._tenants:
            if position.tenant is not None and tenant < position.tenant:
                continue
            token = position.token if tenant == position.tenant else None
            if tenant == position.tenant and token is None:
                continue  # its last page is done
            yield from self._pages_of(tenant, token, position.range.until * 1000)

    def _pages_of(self, tenant: str, token: str | None, until: float) -> Iterator[tuple[str, Page]]:
        while True:
            page = self._core.users(tenant, token, limit=_PAGE)
            over = bool(page.users) and page.users[-1].time_joined >= until
            yield tenant, page._replace(token=None) if over else page
            token = page.token
            if over or token is None:
                return

    def _is_wanted(self, user: CoreUser, tenant: str, wanted: Range) -> bool:
        """Whether it joined in the range. Who is in several tenants is in the list of each, and is taken from the first."""
        joined = user.time_joined / 1000
        if not (wanted.since or 0.0) <= joined < wanted.until:
            return False
        return tenant == min((one for one in user.tenant_ids if one in self._tenants), default=tenant)

    # What ----------------------------------------------------------------------------------------------------------

    def _fill(self, users: Sequence[CoreUser], history: History) -> int:
        """Store what there is to say of them; how many events that are."""
        own = own_ids(self._core, users)
        events = [self._event(fact, own) for user in users for fact in history.of(user)]
        had = self._had([event for event, _ in events], history.types, own)
        self.tally.users += len(users)
        new: list[Event] = []
        for event, key in events:
            if key in had:
                self.tally.had[event.type] += 1
            elif not self._route.subscription.matches(event.type, event.tenant_id):
                self.tally.unwanted[event.type] += 1
            else:
                new.append(event)
        return self._store(new)

    def _event(self, fact: Fact, own: dict[str, str]) -> tuple[Event, Key]:
        role = (str(getattr(fact.data, "role", "")),)
        key = (*role, str(getattr(fact.data, "recipe_user_id", "")))
        event = event_of(fact, key, origin=ORIGIN, purpose=f"{ORIGIN}:{self.sink}", source=self._plan.source)
        return event, identity(event, own)

    def _had(self, events: Sequence[Event], types: Sequence[str], own: dict[str, str]) -> set[Key]:
        ids = {event.user_id for event in events if event.user_id}
        ids |= {own[id_] for id_ in ids if id_ in own}
        return {key_of(stored, own) for stored in self._outbox.records.had(self.sink, types, ids)}

    def _store(self, events: Sequence[Event]) -> int:
        entries = []
        for event, entry in zip(events, self._direct.prepared(events), strict=True):
            if entry is None:
                self.tally.kept_back[event.type] += 1
            elif not entry.deliveries:
                self.tally.unwanted[event.type] += 1
            else:
                entries.append(entry)
        at_once = self._pace.at_once or len(entries) or 1
        for begin in range(0, len(entries), at_once):
            self._store_some(entries[begin : begin + at_once])
        return len(entries)

    def _store_some(self, entries: Sequence[Entry]) -> None:
        if not self._dry_run:
            self._direct.store(entries)
            self._pace.took(len(entries))
        self.tally.stored.update(entry.event.type for entry in entries)
