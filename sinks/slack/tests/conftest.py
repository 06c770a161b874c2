"""A Slack on loopback, a clock for it and for the sinks, and sinks made by settings."""

import pytest
from doubles.slack import SlackDouble
from slack_sinks import Time, made, token_settings, webhook_settings


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
