"""One comparison, from the first user to the last.

The core and the outbox are read one after the other while people sign in, so everything is looked at twice: a difference counts
when it is there again, the same, after the time that an event may take from the core's answer to its commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from supertokens_events.catalog.user import DeletionExtent, LoginMethod, Method, UserDeleted
from supertokens_events.core_api import Core, CoreUser, Fact, own_ids
from supertokens_events.emit import Direct, Plan
from supertokens_events.outbox import Change, Grant, Outbox, OutboxError, Told
from supertokens_events.plugins import Plugins
from supertokens_events.reconcile.compare import Comparer, Findings
from supertokens_events.reconcile.difference import Difference, Same
from supertokens_events.reconcile.follow import follow
from supertokens_events.reconcile.grants import GrantComparer
from supertokens_events.reconcile.mark import Book
from supertokens_events.reconcile.report import Found, Report
from supertokens_events.reconcile.seen import Seen

__all__ = ["EventsLost", "Reconciling", "Wanted"]

_CHUNK = 200  # users that are looked at again at once
_PAGE = 500  # rows of the record
_TRIES = 5
_METHODS = frozenset(Method)


class EventsLost(OutboxError):
    """Events went before a comparison has read them: what they said cannot be told from what was never said."""


class Wanted(NamedTuple):
    """What is compared beside users: who is in which tenant, and the tenants themselves; the roles, and who has them."""

    tenants: bool = False
    roles: bool = False


class Reconciling:
    """Compares what ``outbox`` knows with ``core``. ``plan`` is what is stored, and for whom. ``grace``: for how many seconds a
    difference must last; ``wait`` is called with seconds. ``progress`` is called now and then with how many users were compared.

    Its methods may raise ``CoreError`` and ``OutboxError``. What is said by then stays said.
    """

    def __init__(
        self,
        outbox: Outbox,
        plugins: Plugins,
        core: Core,
        plan: Callable[[], Plan],
        wanted: Wanted = Wanted(),  # noqa: B008 - a constant
        *,
        grace: float = 5.0,
        progress: Callable[[int], object] = lambda _users: None,
        wait: Callable[[float], object] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._outbox = outbox
        self._core = core
        self._plan = plan
        self._direct = Direct(outbox, plugins, plan)
        self._wanted = wanted
        self._grace = grace
        self._progress = progress
        self._wait = wait
        self._clock = clock
        self._report = Report()
        self._fix = False
        self._tenants: list[str] = []

    # The whole -----------------------------------------------------------------------------------------------------

    def baseline(self) -> int:
        """Take everything as it is now in the core, and forget what was told before; returns how many users that are."""
        book = Book.begun_anew(self._outbox)
        self._tenants = self._core.tenants()
        comparer, users = self._comparer(book), 0
        for page in self._pages():
            own = own_ids(self._core, page)
            self._note([row for user in page for row in comparer.noted(user, own)])
            users += len(page)
            self._progress(users)
        self._change(Change(grants=list(self._grants(book).as_found(tenants=True, roles=True))))
        return users

    def run(self, *, fix: bool = False) -> Report:
        """Compare; with ``fix`` also say what is missing, to all who want it.

        Raises :class:`EventsLost` when what was told is not known.
        """
        self._report, self._fix = Report(begun=self._begin()), fix
        self._tenants = self._core.tenants()
        book = self._followed()
        seen = self._compare_users(book)
        self._compare_gone(seen)
        self._compare_grants()
        return self._report

    def _begin(self) -> bool:
        if Book.opened(self._outbox) is not None:
            return False
        Book.begun(self._outbox)
        return True

    def _followed(self) -> Book:
        book = follow(self._outbox)
        if book is None:
            raise OutboxError("the record of what was told is gone; begin again")
        if book.mark.lost:
            raise EventsLost(
                f"{book.mark.lost:,} events went from the outbox before they were read, so what was told is not known: take "
                "everything as it is now with 'supertokens-events reconcile --baseline'"
            )
        return book

    def _comparer(self, book: Book) -> Comparer:
        tenants = self._tenants if self._wanted.tenants else None
        return Comparer(book.mark, self._is_said, tenants=tenants)

    def _grants(self, book: Book) -> GrantComparer:
        return GrantComparer(self._core, self._outbox.records, book.mark, self._is_said)

    def _is_said(self, event_type: str) -> bool:
        return self._plan().captured.matches(event_type)

    # Users ---------------------------------------------------------------------------------------------------------

    def _pages(self) -> Iterator[list[CoreUser]]:
        """All users. Who is in several tenants is in the list of each, and is taken from the first."""
        for tenant in self._tenants:
            token: str | None = None
            while True:
                page = self._core.users(tenant, token)
                yield [user for user in page.users if tenant == self._first_tenant(user, tenant)]
                token = page.token
                if token is None:
                    break

    def _first_tenant(self, user: CoreUser, default: str) -> str:
        return min((one for one in user.tenant_ids if one in self._tenants), default=default)

    def _compare_users(self, book: Book) -> Seen:
        """Every user that the core has; which login methods those have."""
        seen, comparer = Seen(), self._comparer(book)
        again: dict[str, list[Same]] = {}
        for page in self._pages():
            own = own_ids(self._core, page)
            for user, found in self._compared(page, comparer, own):
                if found.differences:
                    again[user.id] = [one.same for one in found.differences]
                if len(again) >= _CHUNK:
                    self._look_again(again)
                    again = {}
            for user in page:
                for one in user.login_methods:
                    seen.add(one.recipe_user_id)
                    seen.add(own.get(one.recipe_user_id, one.recipe_user_id))
            self._report.users += len(page)
            self._progress(self._report.users)
        self._look_again(again)
        return seen

    def _compared(
        self, users: Sequence[CoreUser], comparer: Comparer, own: dict[str, str]
    ) -> list[tuple[CoreUser, Findings]]:
        """Each with what was found; what is taken as found is noted."""
        found = self._found(users, comparer, own, {})
        self._note([row for _, findings in found for row in (*findings.noted, *findings.filled)])
        self._report.noted += sum(1 for _, findings in found if findings.noted)
        return found

    def _found(
        self, users: Sequence[CoreUser], comparer: Comparer, own: dict[str, str], only: dict[str, list[Same]]
    ) -> list[tuple[CoreUser, Findings]]:
        ids = {one.recipe_user_id for user in users for one in user.login_methods}
        rows = self._outbox.records.told({*ids, *own.values()}) if ids else []
        by_login: dict[str, list[Told]] = {}
        for row in rows:
            by_login.setdefault(row.recipe_user_id, []).append(row)
        result = []
        for user in users:
            logins = {one.recipe_user_id for one in user.login_methods}
            logins |= {own[login] for login in logins if login in own}
            its = [row for login in logins for row in by_login.get(login, ())]
            result.append((user, comparer.compare(user, its, own, only.get(user.id))))
        return result

    def _look_again(self, again: dict[str, list[Same]]) -> None:
        """First at the core and then at the outbox: what was committed meanwhile is no difference."""
        if not again:
            return
        self._wait(self._grace)
        users = [user for user in map(self._core.user, again) if user is not None]
        own = own_ids(self._core, users)
        comparer = self._comparer(self._followed())
        found = self._found(users, comparer, own, again)
        self._settle([one for _, findings in found for one in findings.differences])

    # Who is gone ---------------------------------------------------------------------------------------------------

    def _compare_gone(self, seen: Seen) -> None:
        """Every login method that we told of and did not see."""
        again: list[str] = []
        for row in self._rows():
            if row.recipe_user_id not in seen:
                again.append(row.recipe_user_id)
            if len(again) >= _CHUNK:
                self._look_for(again)
                again = []
        self._look_for(again)

    def _rows(self) -> Iterator[Told]:
        after = ""
        while rows := self._outbox.records.told_after(after, _PAGE):
            yield from rows
            after = rows[-1].recipe_user_id

    def _look_for(self, logins: Sequence[str]) -> None:
        """They are in no tenant's list: in no tenant, or gone, or known by another id now."""
        there: dict[str, CoreUser] = {}
        gone: list[str] = []
        for login in logins:
            user = self._core.user(login)
            if user is not None and self._has(user, login):
                there[user.id] = user
            else:
                gone.append(login)
        users = list(there.values())
        found = self._compared(users, self._comparer(self._followed()), own_ids(self._core, users)) if users else []
        self._look_again({user.id: [one.same for one in f.differences] for user, f in found if f.differences})
        self._say_gone(gone)

    def _has(self, user: CoreUser, login: str) -> bool:
        """Whether it has this login method, be it by its own id behind a mapped one."""
        ids = {one.recipe_user_id for one in user.login_methods}
        return login in ids or login in own_ids(self._core, [user]).values()

    def _say_gone(self, logins: Sequence[str]) -> None:
        if not logins or not self._is_said("user.deleted"):
            return
        self._wait(self._grace)
        gone = {login for login in logins if not self._is_there(login)}
        book = self._followed()
        rows = [row for row in self._outbox.records.told(gone) if row.recipe_user_id in gone] if gone else []
        users: dict[str, list[Told]] = {}
        for row in rows:
            users.setdefault(row.user_id or row.recipe_user_id, []).append(row)
        since = int(book.mark.since * 1000)
        self._settle([one for user_id, its in users.items() for one in self._deletions(user_id, its, since)])

    def _is_there(self, login: str) -> bool:
        user = self._core.user(login)
        return user is not None and self._has(user, login)

    def _deletions(self, user_id: str, gone: Sequence[Told], since: int) -> Iterator[Difference]:
        """Of the whole user, or of each login method that others outlive."""
        all_of_them = {row.recipe_user_id for row in self._outbox.records.told({user_id}) if row.user_id == user_id}
        left = len(all_of_them - {row.recipe_user_id for row in gone})
        for rows in [gone] if not left else [[row] for row in gone]:
            yield _deletion(user_id, rows, left, since)

    # Tenants and roles ---------------------------------------------------------------------------------------------

    def _compare_grants(self) -> None:
        """What was never compared before is taken as found."""
        if not any(self._wanted):
            return
        book = self._followed()
        new = Wanted(
            self._wanted.tenants and not book.mark.tenants,
            self._wanted.roles and not book.mark.roles,
        )
        if any(new):
            self._change(
                Change(grants=list(self._grants(book).as_found(tenants=new.tenants, roles=new.roles))),
                tenants=book.mark.tenants or new.tenants,
                roles=book.mark.roles or new.roles,
            )
        known = {"tenants": self._wanted.tenants and not new.tenants, "roles": self._wanted.roles and not new.roles}
        first = self._grants(self._followed()).compare(**known)
        if first:
            self._wait(self._grace)
            seen = [one.same for one in first]
            # The core first, as ever: what it says now is kept while the outbox is read once more.
            second = self._grants(self._followed()).compare(**known)
            self._settle([one for one in second if one.same in seen])

    # What comes of it ----------------------------------------------------------------------------------------------

    def _settle(self, differences: Sequence[Difference]) -> None:
        """Report them, and say them if that is wanted."""
        said = self._said(differences) if self._fix else [None] * len(differences)
        for one, event_id in zip(differences, said, strict=True):
            self._report.found.append(Found(one.fact.event_type, one.fact.user_id, one.fact.tenant_id, event_id))

    def _said(self, differences: Sequence[Difference]) -> list[str | None]:
        """The ids of the events; none for one that a filter drops: that was told as much as it ever is."""
        source = self._plan().source
        entries = self._direct.prepared([one.event(source) for one in differences])
        stored = [entry for entry in entries if entry is not None]
        self._direct.tell(stored, self._direct.store(stored))
        self._followed()  # which notes what was stored
        for one, entry in zip(differences, entries, strict=True):
            if entry is None:
                self._change(one.change)
        self._report.fixed += len(differences)
        return [entry and entry.event.id for entry in entries]

    def _note(self, rows: Sequence[Told]) -> None:
        if rows:
            self._change(Change(kept=rows))

    def _change(self, change: Change, **moved: bool) -> None:
        """Change the record, whoever else follows at the same time."""
        for _ in range(_TRIES):
            book = Book.opened(self._outbox)
            if book is not None and book.moved(book.mark.model_copy(update=moved), change) is not None:
                return
        raise OutboxError("the record of what was told is being changed by others; try again")


def _method(name: str | None) -> Method:
    return Method(name) if name in _METHODS else Method.OTHER


def _deletion(user_id: str, rows: Sequence[Told], left: int, since: int) -> Difference:
    methods = [
        LoginMethod(
            method=_method(row.facts.get("method")),
            recipe_user_id=row.recipe_user_id,
            tenant_ids=row.facts.get("tenants", []),
        )
        for row in rows
    ]
    tenants = sorted({tenant for row in rows for tenant in row.facts.get("tenants", [])})
    data = UserDeleted(
        extent=DeletionExtent.LOGIN_METHOD if left else DeletionExtent.USER,
        recipe_user_id=rows[0].recipe_user_id if left else None,
        login_methods=methods,
        remaining_login_methods=left,
        tenant_ids=tenants,
    )
    joined = min(int(row.facts.get("joined") or since) for row in rows)
    tenant_id = tenants[0] if len(tenants) == 1 else None
    ids = [row.recipe_user_id for row in rows]
    revoked = [(False, Grant(None, None, id_)) for id_ in {user_id, *ids} if not left or id_ != user_id]
    at = max(int(row.facts.get("at", 0)) for row in rows)
    return Difference(Fact(data, user_id, tenant_id, joined), at, Change(gone=ids, grants=revoked))
