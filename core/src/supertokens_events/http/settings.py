"""Types of settings that HTTP sinks have in common."""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, SecretStr

from supertokens_events.http.proxy import Proxy

__all__ = ["Networks", "ProxyUrl"]


def _is_a_proxy(value: SecretStr) -> SecretStr:
    Proxy.parse(value.get_secret_value())
    return value


Networks = tuple[Annotated[IPv4Network | IPv6Network, BeforeValidator(ip_network)], ...]
"""CIDRs such as ``10.0.0.0/8``."""
ProxyUrl = Annotated[SecretStr, AfterValidator(_is_a_proxy)]
"""What :meth:`Proxy.parse` takes; it may hold a password."""
