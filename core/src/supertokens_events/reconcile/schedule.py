"""Comparisons that dispatchers make by themselves, one of them at a time."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import closing
from functools import partial

import anyio

from supertokens_events.config import CoreSettings, ReconcileSettings
from supertokens_events.core_api import Core, CoreError
from supertokens_events.dispatch.pool import DaemonThreads
from supertokens_events.emit import Plan
from supertokens_events.ledger import Ledger, Reason
from supertokens_events.log import describe_exception, get_logger
from supertokens_events.outbox import Outbox, OutboxError
from supertokens_events.plugins import Plugins
from supertokens_events.reconcile.report import Report
from supertokens_events.reconcile.run import Reconciling, Wanted

__all__ = ["Schedule"]

log = get_logger(__name__)

_TURN = "reconcile:turn"
_FIRST, _LOOK_EVERY = 5.0, 30.0  # seconds
_GRACE = 5.0  # seconds that a difference must last


class _Stopped(Exception):
    """The dispatcher ends."""


class Schedule:
    """Compares ``every`` so often, as ``settings`` say. ``stored`` is called when something was said, for it to be delivered."""

    def __init__(
        self,
        outbox: Outbox,
        plugins: Plugins,
        ledger: Ledger,
        plan: Callable[[], Plan],
        *,
        core: CoreSettings,
        settings: ReconcileSettings,
        stored: Callable[[], None] = lambda: None,
    ) -> None:
        self._outbox = outbox
        self._plugins = plugins
        self._ledger = ledger
        self._plan = plan
        self._core = core
        self._settings = settings
        self._stored = stored
        self._threads = DaemonThreads()
        self._ending = threading.Event()

    async def run(self) -> None:
        """Until cancelled. A comparison that is under way then ends at its next step, on a thread that nobody waits for."""
        self._ending.clear()
        try:
            await anyio.sleep(_FIRST)
            while True:
                report = await asyncio.wrap_future(self._threads.submit(self.once))
                if report is not None and report.fixed:
                    self._stored()
                await anyio.sleep(_LOOK_EVERY)
        finally:
            self._ending.set()

    def once(self) -> Report | None:
        """Compare, if it is this dispatcher's turn; what came of it. What goes wrong is logged, and the next turn comes."""
        every = self._settings.every
        try:
            if every is None or not self._outbox.records.take_turn(_TURN, every):
                return None
            report = self._compare()
        except _Stopped:
            return None
        except (CoreError, OutboxError) as error:
            log.error("The comparison with the core has failed; the next one comes in its time.", error=str(error))
            return None
        except Exception as error:
            log.error("The comparison with the core has failed: a bug.", error=describe_exception(error))
            return None
        self._tell(report)
        return report

    def _compare(self) -> Report:
        wanted = Wanted(self._settings.tenants, self._settings.roles)
        with closing(Core(self._core, wait=self._wait)) as core:
            compare = partial(Reconciling, self._outbox, self._plugins, core, self._plan, wanted)
            return compare(grace=_GRACE, wait=self._wait, progress=self._go_on).run(fix=self._settings.fix)

    def _wait(self, seconds: float) -> None:
        if self._ending.wait(seconds):
            raise _Stopped

    def _go_on(self, _users: int) -> None:
        self._wait(0.0)

    def _tell(self, report: Report) -> None:
        for event_type, n in report.by_type.items():
            withheld = event_type == "user.deleted" and report.withheld
            subject = "said" if self._settings.fix and not withheld else "not said"
            self._ledger.count(Reason.DIFFERENCE, subject=subject, event_type=event_type, n=n)
        if report.withheld:
            log.error(
                "So many users are gone that it was not said: is [core] the right one, and whole? 'supertokens-events reconcile "
                "--fix --many-gone' says it all the same.",
                users=report.withheld,
            )
        write = log.warning if report.found else log.info
        write(
            "Compared with the core.",
            users=report.users,
            differences=dict(report.by_type),
            said=report.fixed,
        )
