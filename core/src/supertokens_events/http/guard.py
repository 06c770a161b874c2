"""Which addresses may be dialled: public ones, and the networks that a person allowed.

The check is made on the address itself, after DNS and on every dial, so that neither a name that resolves to a private
address, nor one that changes its mind, nor an odd spelling of an address gets past it (Standard Webhooks, "SSRF").
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["AddressRefusedError", "Guard"]

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
Dial = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[str | int | bytes, ...]]

# The special-purpose registries of IANA, written out: `is_global` differs between releases of Python.
_SPECIAL = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # shared by a carrier's customers; Alibaba's metadata service is at 100.100.100.200
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # Azure's host agent: a public address that every virtual machine there can reach
        "169.254.0.0/16",  # link-local, where most clouds keep their metadata service
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments; Oracle's metadata service is at 192.0.0.192
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and the broadcast address
        "2001::/23",  # protocol assignments, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries an IPv4 address past a check of IPv6 ones
        "3fff::/20",  # documentation
    )
)
_IPV6_PUBLIC = IPv6Network("2000::/3")
_IPV4_INSIDE = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))  # IPv4-mapped, NAT64


class AddressRefusedError(OSError):
    """The address is not public, and no allowed network holds it."""

    def __init__(self, address: str) -> None:
        super().__init__("not a public address")  # one text for all: of different ones, asyncio makes a plain OSError
        self.address = address


class Guard:
    """Decides about addresses; ``allowed`` networks may be dialled though they are not public."""

    def __init__(self, allowed: Iterable[Network] = ()) -> None:
        self.allowed = tuple(allowed)

    def permits(self, address: str) -> bool:
        """Whether ``address``, an IP address in its numeric form, may be dialled."""
        given = ip_address(address)
        meant = _ipv4_inside(given)
        return _is_public(meant) or any(given in network or meant in network for network in self.allowed)

    def socket(self, dial: Dial) -> socket.socket:
        """A socket for one entry of ``getaddrinfo``. Raises :class:`AddressRefusedError` when it may not be dialled."""
        family, kind, protocol, _, (address, *_) = dial
        if not self.permits(str(address)):
            raise AddressRefusedError(str(address))
        return socket.socket(family, kind, protocol)


def _ipv4_inside(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, else the address itself."""
    if isinstance(address, IPv6Address) and any(address in network for network in _IPV4_INSIDE):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and address not in _IPV6_PUBLIC:
        return False
    return not any(address in network for network in _SPECIAL)
