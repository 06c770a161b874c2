"""One comparison, from the first user to the last.

The core and the outbox are read one after the other while people sign in, so everything is looked at twice: a difference counts
when it is there again, the same, after the time that an event may take from the core's answer to its commit.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from supertokens_events.core_api import Core, CoreUser, own_ids
from supertokens_events.emit import Direct, Plan
from supertokens_events.outbox import Change, Outbox, Told
from supertokens_events.plugins import Plugins
from supertokens_events.reconcile.compare import Comparer, Findings
from supertokens_events.reconcile.difference import Difference, Same
from supertokens_events.reconcile.gone import deletions
from supertokens_events.reconcile.grants import GrantComparer
from supertokens_events.reconcile.mark import Book
from supertokens_events.reconcile.record import Record
from supertokens_events.reconcile.report import Found, Report
from supertokens_events.reconcile.seen import Seen

__all__ = ["Reconciling", "Wanted"]

_CHUNK = 200  # users that are looked at again at once
_MANY = 10  # users that are gone
_MANY_OF_ALL = 0.1
_PAGE = 500  # rows of the record


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
    ) -> None:
        self._record = Record(outbox)
        self._core = core
        self._plan = plan
        self._direct = Direct(outbox, plugins, plan)
        self._wanted = wanted
        self._grace = grace
        self._progress = progress
        self._wait = wait
        self._report = Report()
        self._fix = self._many = self._many_gone = False
        self._tenants: list[str] = []

    # The whole -----------------------------------------------------------------------------------------------------

    def baseline(self) -> int:
        """Take everything as it is now in the core, and forget what was told before; returns how many users that are."""
        book = self._record.begin_anew()
        self._tenants = self._core.tenants()
        comparer, users = self._comparer(book), 0
        for page in self._pages():
            own = own_ids(self._core, page)
            self._record.change(Change([row for user in page for row in comparer.noted(user, own)]))
            users += len(page)
            self._progress(users)
        self._record.change(Change(grants=list(self._grants(book).as_found(tenants=True, roles=True))))
        return users

    def run(self, *, fix: bool = False, many_gone: bool = False) -> Report:
        """Compare; with ``fix`` also say what is missing, to all who want it. That more than ten users, and more than a tenth
        of all, are gone is said with ``many_gone`` only: a core that is another one, or was emptied, looks just like that.

        Raises :class:`EventsLost` when what was told is not known.
        """
        self._report, self._fix, self._many_gone = Report(begun=self._record.begin()), fix, many_gone
        self._tenants = self._core.tenants()
        book = self._record.followed()
        seen = self._compare_users(book)
        self._compare_gone(seen)
        self._compare_grants()
        return self._report

    def _comparer(self, book: Book) -> Comparer:
        tenants = self._tenants if self._wanted.tenants else None
        return Comparer(book.mark, self._is_said, tenants=tenants)

    def _grants(self, book: Book) -> GrantComparer:
        return GrantComparer(self._core, self._record.records, book.mark, self._is_said)

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
        book = self._record.opened()
        found = self._found(users, comparer, own, {})
        self._record.note([row for _, findings in found for row in (*findings.noted, *findings.filled)], book)
        self._report.noted += sum(1 for _, findings in found if findings.noted)
        return found

    def _found(
        self, users: Sequence[CoreUser], comparer: Comparer, own: dict[str, str], only: dict[str, list[Same]]
    ) -> list[tuple[CoreUser, Findings]]:
        ids = {one.recipe_user_id for user in users for one in user.login_methods}
        rows = self._record.records.told({*ids, *own.values()}) if ids else []
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
        comparer = self._comparer(self._record.followed())
        found = self._found(users, comparer, own, again)
        self._settle([one for _, findings in found for one in findings.differences])

    # Who is gone ---------------------------------------------------------------------------------------------------

    def _compare_gone(self, seen: Seen) -> None:
        """Every login method that we told of and did not see."""
        again, known = list[str](), 0
        for row in self._rows():
            known += 1
            if row.recipe_user_id not in seen:
                again.append(row.recipe_user_id)
        self._many = len(again) > max(_MANY, known * _MANY_OF_ALL)
        for begin in range(0, len(again), _CHUNK):
            self._look_for(again[begin : begin + _CHUNK])

    @property
    def _is_doubtful(self) -> bool:
        """Whether so many are gone that the core may be another one."""
        return self._many and not self._many_gone

    def _rows(self) -> Iterator[Told]:
        after = ""
        while rows := self._record.records.told_after(after, _PAGE):
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
        found = (
            self._compared(users, self._comparer(self._record.followed()), own_ids(self._core, users)) if users else []
        )
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
        book = self._record.followed()
        rows = [row for row in self._record.records.told(gone) if row.recipe_user_id in gone] if gone else []
        found = list(deletions(self._record.records, rows, book.mark.since))
        if self._fix and self._is_doubtful:
            self._report.withheld += len(found)
        self._settle(found, say=not self._is_doubtful)

    def _is_there(self, login: str) -> bool:
        user = self._core.user(login)
        return user is not None and self._has(user, login)

    # Tenants and roles ---------------------------------------------------------------------------------------------

    def _compare_grants(self) -> None:
        """What was never compared before is taken as found."""
        if not any(self._wanted):
            return
        book = self._record.followed()
        new = Wanted(
            self._wanted.tenants and not book.mark.tenants,
            self._wanted.roles and not book.mark.roles,
        )
        if any(new):
            self._record.change(
                Change(grants=list(self._grants(book).as_found(tenants=new.tenants, roles=new.roles))),
                tenants=book.mark.tenants or new.tenants,
                roles=book.mark.roles or new.roles,
            )
        known = {"tenants": self._wanted.tenants and not new.tenants, "roles": self._wanted.roles and not new.roles}
        first = self._grants(self._record.followed()).compare(**known)
        if first:
            self._wait(self._grace)
            seen = [one.same for one in first]
            second = self._grants(self._record.followed()).compare(**known)  # with what was told meanwhile
            self._settle([one for one in second if one.same in seen], say=not self._is_doubtful)

    # What comes of it ----------------------------------------------------------------------------------------------

    def _settle(self, differences: Sequence[Difference], *, say: bool = True) -> None:
        """Report them, and ``say`` them if that is wanted."""
        said = self._said(differences) if self._fix and say else [None] * len(differences)
        for one, event_id in zip(differences, said, strict=True):
            self._report.found.append(Found(one.fact.event_type, one.fact.user_id, one.fact.tenant_id, event_id))

    def _said(self, differences: Sequence[Difference]) -> list[str | None]:
        """The ids of the events; none for one that a filter drops: that was told as much as it ever is."""
        source = self._plan().source
        entries = self._direct.prepared([one.event(source) for one in differences])
        stored = [entry for entry in entries if entry is not None]
        self._direct.emit(stored)
        self._record.followed()  # which notes what was stored
        for one, entry in zip(differences, entries, strict=True):
            if entry is None:
                self._record.change(one.change)
        self._report.fixed += len(differences)
        return [entry and entry.event.id for entry in entries]
