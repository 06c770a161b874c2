"""Handlers: functions of the app's own that are called with events, by the dispatcher or before the response.

Each is a sink of the app's: its deliveries are stored with the event, tried again by a schedule, and can be looked at.
"""

from supertokens_events.handlers.before_response import BeforeResponse
from supertokens_events.handlers.handler import Function, Handler
from supertokens_events.handlers.registry import Handlers
from supertokens_events.handlers.sink import HandlerSink

__all__ = ["BeforeResponse", "Function", "Handler", "HandlerSink", "Handlers"]
