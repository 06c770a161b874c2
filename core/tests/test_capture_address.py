"""Whose address an event names."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from supertokens_events.capture.address import client_address
from supertokens_events.config import ConfigurationError
from supertokens_events.events import Events

OURS = [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "expected"),
    [
        ("203.0.113.7", None, "203.0.113.7"),
        ("203.0.113.7", "198.51.100.1", "203.0.113.7"),
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "192.0.2.66, 198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
        ("::ffff:10.0.0.1", "2001:db8::1", "2001:db8::1"),
        ("fd00::1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "<script>, 10.0.0.2", "10.0.0.1"),
        ("10.0.0.1", ", ,", "10.0.0.1"),
        ("testclient", "198.51.100.1", "testclient"),
        (None, "198.51.100.1", None),
    ],
)
def test_the_last_address_that_is_not_ours(peer: str | None, forwarded_for: str | None, expected: str | None) -> None:
    """Only what one of our own proxies wrote is believed, and nothing but an address."""
    assert client_address(peer, forwarded_for, OURS) == expected


def test_without_trusted_proxies() -> None:
    """The header is not believed at all."""
    assert client_address("10.0.0.1", "198.51.100.1", []) == "10.0.0.1"


def test_setting(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """`[capture] trusted_proxies` takes CIDRs, and a wrong one is named by its key."""
    configuration = {"outbox": {"url": f"sqlite://{tmp_path}/events.db"}}

    events = Events.from_dict({**configuration, "capture": {"trusted_proxies": ["10.0.0.0/8"]}})
    with pytest.raises(ConfigurationError) as refused:
        Events.from_dict({**configuration, "capture": {"trusted_proxies": ["everybody"]}})

    assert events.emitter.trusted_proxies == (ip_network("10.0.0.0/8"),)
    assert "capture.trusted_proxies.0" in str(refused.value)
