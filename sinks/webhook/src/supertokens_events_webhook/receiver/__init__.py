"""For those who receive: verify a webhook, recognise a repeat, notice what is missing.

    from supertokens_events_webhook.receiver import Webhook

    webhook = Webhook(os.environ["CRM_WEBHOOK_SECRET"])
    event = webhook.verify(request.headers, body)

``receiver.fastapi``, ``receiver.flask`` and ``receiver.django`` do that in one line. Nothing here needs supertokens-python.
"""

from __future__ import annotations

from supertokens_events.event import Event
from supertokens_events_webhook.receiver.data import data_of
from supertokens_events_webhook.receiver.deduplicate import (
    BeingHandled,
    Deduplicator,
    InMemoryDeduplicator,
    SqlDeduplicator,
    SqliteDeduplicator,
)
from supertokens_events_webhook.receiver.errors import Reason, WebhookVerificationError
from supertokens_events_webhook.receiver.headers import Headers
from supertokens_events_webhook.receiver.sequence import Gap, Seen, SequenceCheck
from supertokens_events_webhook.receiver.webhook import Message, Webhook

__all__ = [
    "BeingHandled",
    "Deduplicator",
    "Event",
    "Gap",
    "Headers",
    "InMemoryDeduplicator",
    "Message",
    "Reason",
    "Seen",
    "SequenceCheck",
    "SqlDeduplicator",
    "SqliteDeduplicator",
    "Webhook",
    "WebhookVerificationError",
    "data_of",
]
