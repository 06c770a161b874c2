"""A Slack on loopback, a clock for it and for the sinks, and sinks made by settings."""

import pytest
from hypothesis import settings
from slack_sinks import Time, made, token_settings, webhook_settings

from doubles.slack import SlackDouble

# A slow machine is not a broken one: no deadline. What is tried is the same in every run.
settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile("quick")


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def time():
    return Time()


@pytest.fixture
def slack(time):
    with SlackDouble(clock=time) as double:
        yield double


@pytest.fixture
def webhook(slack, time):
    """Makes sinks that post to the double's webhook."""
    return lambda **changes: made(webhook_settings(slack, **changes), time)


@pytest.fixture
def app(slack, time):
    """Makes sinks that post with the double's token."""
    return lambda **changes: made(token_settings(slack, **changes), time)
