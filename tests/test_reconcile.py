"""What was told is compared with the core: everything that happened without us is found, and nothing else."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from supertokens_python.recipe.multitenancy.interfaces import TenantConfigCreateOrUpdate

from behind import ROLES, TENANTS, Life
from core_double import CoreDouble
from flows.harness import playing
from flows.recipes import emailpassword, emailverification, linking, passwordless, sessions, userroles
from supertokens_events import Events
from supertokens_events.config import CoreSettings
from supertokens_events.core_api import Core
from supertokens_events.reconcile import Reconciling, Wanted

RECIPES = [emailpassword(), emailverification(), passwordless(), userroles(), linking(), sessions()]


@pytest.fixture
def reconciling(core):
    """Makes comparisons of events with the core that do not wait."""
    with ExitStack() as opened:

        def make(events: Events, wanted: Wanted = Wanted(tenants=True, roles=True), **options) -> Reconciling:
            reader = opened.enter_context(Core(CoreSettings(connection_uri=core.url), patience=0.0))
            options = {"wait": lambda _seconds: None, **options}
            return Reconciling(events.outbox, events.plugins, reader, lambda: events.plan, wanted, **options)

        yield make


def test_finds_what_was_done_behind_our_back(core: CoreDouble, tmp_path: Path, reconciling) -> None:
    """After 1,000 random operations, 100 of them straight at the core: exactly those; said once, not twice."""
    with playing(core, tmp_path, RECIPES, "asyncio") as w, closing(Life(w, core, seed=8)) as life:
        reconciling(w.events).baseline()
        for tenant in TENANTS:
            settings = TenantConfigCreateOrUpdate(first_factors=["emailpassword", "otp-phone"])
            w.backend.multitenancy.create_or_update_tenant(tenant, settings)
        for role in ROLES:
            w.backend.userroles.create_new_role_or_add_permissions(role, [])
        life.live(1_000, behind=100)

        found = reconciling(w.events).run()
        fixed = reconciling(w.events).run(fix=True)
        again = reconciling(w.events).run(fix=True)

        assert Counter((one.event_type, one.user_id) for one in found.found) == life.missing
        assert life.missing.total() == 100
        assert fixed.by_type == found.by_type
        assert again.found == []
        said = [w.events.outbox.event(one.event_id) for one in fixed.found]
        assert all(event and b'"origin":"reconcile"' in event.body for event in said)
