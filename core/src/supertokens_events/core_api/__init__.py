"""The SuperTokens core, read over its own HTTP API (CDI), and what is true there as facts that an event can say.

The SDK is not asked: whoever fills a sink or compares is an operator, at a machine where no app runs.
"""

from supertokens_events.core_api.client import Core, CoreError, CoreUnavailable, Page, own_ids
from supertokens_events.core_api.facts import Fact, created, event_of, linked, moment, tenants_besides
from supertokens_events.core_api.model import CoreLoginMethod, CoreUser, described

__all__ = [
    "Core",
    "CoreError",
    "CoreLoginMethod",
    "CoreUnavailable",
    "CoreUser",
    "Fact",
    "Page",
    "created",
    "described",
    "event_of",
    "linked",
    "moment",
    "own_ids",
    "tenants_besides",
]
