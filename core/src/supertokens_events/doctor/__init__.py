"""The doctor: looks at everything that can be wrong, and says what is, why it matters and what to do.

Each module asks about one family of things; ``examine`` asks all of them, each within its time. Nothing here changes anything,
but for a sign of life in the outbox, which is removed again.
"""

from collections.abc import Sequence

from supertokens_events.doctor.case import Case, opened, read_configuration
from supertokens_events.doctor.configuration import configuration, installed
from supertokens_events.doctor.core import core
from supertokens_events.doctor.dispatchers import dispatchers
from supertokens_events.doctor.examining import Check, examine
from supertokens_events.doctor.finding import Finding, Severity, worst
from supertokens_events.doctor.outbox import outbox
from supertokens_events.doctor.overrides import overrides
from supertokens_events.doctor.sdk import sdk
from supertokens_events.doctor.secrets import secrets
from supertokens_events.doctor.servers import servers
from supertokens_events.doctor.sinks import sinks
from supertokens_events.doctor.state import state

__all__ = ["CHECKS", "Case", "Check", "Finding", "Severity", "examine", "opened", "read_configuration", "worst"]

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
"""In the order in which one reads them: what is set, what is captured, where it is kept, who gets it."""
