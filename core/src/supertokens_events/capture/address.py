"""Whose address a request came from, when proxies stand in between."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["Network", "client_address"]

Network = IPv4Network | IPv6Network


def client_address(peer: str | None, forwarded_for: str | None, trusted: Sequence[Network]) -> str | None:
    """The last address in ``peer`` and, before it, ``X-Forwarded-For`` that is not one of our own proxies.

    Whatever stands further to the left was written by that client, who may write anything. Without trusted proxies the
    header is not believed at all.
    """
    hops = [hop.strip() for hop in (forwarded_for or "").split(",") if hop.strip()]
    address = peer
    while hops and _is_trusted(address, trusted):
        address = hops.pop()
    return address if address == peer or _parsed(address) else peer


def _is_trusted(address: str | None, trusted: Sequence[Network]) -> bool:
    parsed = _parsed(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parsed(address: str | None) -> IPv4Address | IPv6Address | None:
    """An IPv4 address in IPv6 clothes counts as what it is. ``None`` for what is no address, such as ``unknown``."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return None
    return getattr(parsed, "ipv4_mapped", None) or parsed
