"""Why no answer came, in one sentence. An exception's own text is left out: it may hold an address with its secrets."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator
from functools import cache

import httpx

from supertokens_events.http.guard import AddressRefusedError
from supertokens_events.http.proxy import ProxyError

__all__ = ["destination", "failure_types", "reason_for"]


@cache
def failure_types() -> tuple[type[Exception], ...]:
    """Everything that a request may fail with, below httpx too. ``ValueError``: a host that DNS cannot be asked for."""
    import aiohttp

    return httpx.HTTPError, aiohttp.ClientError, OSError, ValueError


def destination(url: httpx.URL) -> str:
    """``host`` or ``host:port``: all that a message may say of a URL."""
    return url.netloc.decode("ascii")


def reason_for(error: BaseException, host: str) -> str:
    """The sentence for ``error``, from what caused it first."""
    causes = list(_causes(error))
    sentences = (*map(_of_the_proxy, causes), *map(_sentence, reversed(causes)))
    return f"{host} {next(filter(None, sentences), 'could not be reached')}"


def _of_the_proxy(error: BaseException) -> str | None:
    """What the proxy did, if it was the proxy: its refusal is not the destination's."""
    import aiohttp

    match error:
        case ProxyError(why=why):
            return why
        case aiohttp.ClientProxyConnectionError():
            return "could not be reached: the proxy cannot be connected to"
        case aiohttp.ClientHttpProxyError(status=status):
            return f"could not be reached: the proxy answered {status}"
        case _:
            return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _sentence(error: BaseException) -> str | None:
    import aiohttp

    match error:
        case AddressRefusedError(address=address):
            why = f"is at {address}, which is not a public address: allow_networks can permit it"
        case ssl.SSLCertVerificationError(verify_message=complaint):
            why = f"has no valid TLS certificate: {complaint}"
        case ssl.SSLError():
            why = "failed in the TLS handshake"
        case socket.gaierror() | ValueError():  # a host that DNS cannot be asked for is a ValueError
            why = "cannot be resolved: is the host name right?"
        case TimeoutError():
            why = "did not answer in time"
        case ConnectionRefusedError():
            why = "refused the connection"
        case ConnectionError() | aiohttp.ServerDisconnectedError():
            why = "closed the connection before it answered"
        case OSError(errno=int() as number):
            why = f"could not be reached: {os.strerror(number)}"
        case aiohttp.ClientResponseError() | httpx.RemoteProtocolError():
            why = "did not answer with valid HTTP"
        case _:
            return None
    return why
