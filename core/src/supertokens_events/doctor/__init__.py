"""The doctor: looks at everything that can be wrong, and says what is, why it matters and what to do.

Each module asks about one family of things; ``examine`` asks all of them, each within its time. Nothing here changes anything,
but for a sign of life in the outbox, which is removed again.
"""

from supertokens_events.doctor.case import Case, opened, read_configuration
from supertokens_events.doctor.checks import CHECKS
from supertokens_events.doctor.examining import Check, examine
from supertokens_events.doctor.finding import Finding, Severity, worst

__all__ = ["CHECKS", "Case", "Check", "Finding", "Severity", "examine", "opened", "read_configuration", "worst"]
