"""How values are printed."""

from __future__ import annotations

import pytest

from supertokens_events.cli.output import (
    counted,
    duration_in_words,
    iso_time,
    printable,
    size_in_words,
    span_in_words,
    time_in_words,
)
from supertokens_events.urls import without_secrets

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (NOW, "now"),
        (NOW - 12.7, "12 s ago"),
        (NOW - 59 * 60 - 59, "59 min ago"),
        (NOW - 3600, "1 h ago"),
        (NOW - 6 * 86400, "6 d ago"),
        (NOW - 8 * 86400, "2027-01-07"),
        (NOW + 300, "in 5 min"),
    ],
)
def test_times(seconds, words):
    """A time is told from now, and by its date when that is more than a week."""
    assert time_in_words(seconds, now=NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 s"), (0.25, "0.25 s"), (5, "5 s"), (90, "1 min 30 s"), (86400, "24 h"), (272105, "75 h 35 min 5 s")],
)
def test_spans(seconds, words):
    """A span is told in hours, minutes and seconds."""
    assert span_in_words(seconds) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.0 µs"),
        (0.0000012, "1.2 µs"),
        (0.00099996, "1.0 ms"),
        (0.0123, "12 ms"),
        (0.9994, "999 ms"),
        (0.9999, "1.0 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (3700, "1 h 1 min 40 s"),
    ],
)
def test_durations(seconds, words):
    """How long something took is told in two or three figures."""
    assert duration_in_words(seconds) == words


@pytest.mark.parametrize(
    ("size", "words"), [(0, "0 B"), (1536, "1.5 KiB"), (3 * 1024**3, "3.0 GiB"), (2048 * 1024**3, "2.0 TiB")]
)
def test_sizes(size, words):
    """A size is told in binary units."""
    assert size_in_words(size) == words


def test_iso_times_are_in_utc():
    """A time for programs is ISO 8601 in UTC, with milliseconds."""
    assert iso_time(NOW + 0.5) == "2027-01-15T08:00:00.500Z"
    assert iso_time(None) is None


def test_counts_agree_with_their_noun():
    """One event, a thousand events."""
    assert (counted(1, "event"), counted(1042, "event")) == ("1 event", "1,042 events")


def test_control_characters_are_spelled_out():
    """Only what can be seen, and line breaks, reach a terminal."""
    assert printable("a\x1b[2J\n\x9bé\U000e0001") == "a\\u001b[2J\n\\u009bé\\udb40\\udc01"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://example.com/hooks/auth", "https://example.com/hooks/auth"),
        ("https://ada:pw@example.com:8443/hooks?key=1#x", "https://example.com:8443/hooks?…"),
        ("postgresql://app:pw@db/events", "postgresql://db/events"),
        ("sqlite:///var/lib/app/events.db", "sqlite:///var/lib/app/events.db"),
        ("user.created", "user.created"),
        ("http://[bad", "…"),
    ],
)
def test_urls_are_shown_without_secrets(url, shown):
    """User, password, query and fragment of a URL are left out."""
    assert without_secrets(url) == shown
