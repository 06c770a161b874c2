"""Reconcile: compare what was told with what is so in the core, and say what is missing.

Between the core's answer and our commit a crash loses an event, and other SDKs, the core's own API and its database change users
without us. What was told of each login method is kept in the outbox's records, beside the events and longer than they are.

Whoever keeps the record up to date needs :func:`follow` alone. What reads the core is in modules of its own: an app that never
compares loads no HTTP client for it.
"""

from supertokens_events.reconcile.follow import follow

__all__ = ["follow"]
