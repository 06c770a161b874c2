"""Fixtures of the Segment sink's tests: a double of Segment, and a sink that talks to it."""

import pytest
from segment_kit import segment_sink

from doubles.segment import SegmentDouble


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
async def segment():
    """Segment's API on loopback."""
    async with SegmentDouble() as double:
        yield double


@pytest.fixture
def sink(segment):
    """A sink that is not open yet, for the double."""
    return segment_sink(segment.url)
