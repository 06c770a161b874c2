"""Reconcile: compare what was told with what is so in the core, and say what is missing.

Between the core's answer and our commit a crash loses an event, and other SDKs, the core's own API and its database change users
without us. What was told of each login method is kept in the outbox's records, beside the events and longer than they are.
"""

from supertokens_events.reconcile.difference import Difference
from supertokens_events.reconcile.follow import follow
from supertokens_events.reconcile.mark import Mark
from supertokens_events.reconcile.record import EventsLost
from supertokens_events.reconcile.report import Report
from supertokens_events.reconcile.run import Reconciling, Wanted
from supertokens_events.reconcile.schedule import Schedule

__all__ = ["Difference", "EventsLost", "Mark", "Reconciling", "Report", "Schedule", "Wanted", "follow"]
