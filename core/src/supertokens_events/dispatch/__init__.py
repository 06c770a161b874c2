"""The second half of the line: take deliveries that are due, hand them to their sinks, write down what came of it."""

from supertokens_events.dispatch.dispatcher import Dispatcher, Supply
from supertokens_events.dispatch.lane import Lane
from supertokens_events.dispatch.pool import DaemonThreads
from supertokens_events.dispatch.settlement import settle
from supertokens_events.dispatch.thread import DispatcherThread

__all__ = ["DaemonThreads", "Dispatcher", "DispatcherThread", "Lane", "Supply", "settle"]
