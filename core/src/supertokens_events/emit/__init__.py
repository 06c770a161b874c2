"""The first half of the line: take events through the hook chain into the outbox."""

from supertokens_events.emit.direct import Direct
from supertokens_events.emit.emitter import Emitter, Following, Stored
from supertokens_events.emit.routing import Plan, Route

__all__ = ["Direct", "Emitter", "Following", "Plan", "Route", "Stored"]
