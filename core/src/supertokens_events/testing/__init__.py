"""For tests of sinks, plugins and apps: a clock that is moved by hand, a sink that keeps what it gets, a sample event."""

from supertokens_events.testing.clock import FakeClock
from supertokens_events.testing.recording import RecordingSink
from supertokens_events.testing.samples import sample_event

__all__ = ["FakeClock", "RecordingSink", "sample_event"]
