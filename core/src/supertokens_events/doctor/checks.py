"""Every family of questions, in the order in which one reads the answers."""

from __future__ import annotations

from collections.abc import Sequence

from supertokens_events.doctor.configuration import configuration, installed
from supertokens_events.doctor.core import core
from supertokens_events.doctor.dispatchers import dispatchers
from supertokens_events.doctor.examining import Check
from supertokens_events.doctor.outbox import outbox
from supertokens_events.doctor.overrides import overrides
from supertokens_events.doctor.sdk import sdk
from supertokens_events.doctor.secrets import secrets
from supertokens_events.doctor.servers import servers
from supertokens_events.doctor.sinks import sinks
from supertokens_events.doctor.state import state

__all__ = ["CHECKS"]

CHECKS: Sequence[Check] = (
    Check("configuration", configuration),
    Check("plugins", installed),
    Check("sdk", sdk, alone=True),
    Check("overrides", overrides, alone=True),
    Check("secrets", secrets),
    Check("outbox", outbox),
    Check("core", core),
    Check("sinks", sinks),
    Check("dispatchers", dispatchers),
    Check("state", state),
    Check("servers", servers),
)
"""What is set, what is captured, where it is kept, who gets it."""
