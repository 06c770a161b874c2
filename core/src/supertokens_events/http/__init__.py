"""What every HTTP sink needs: guarded connections, one bounded exchange, and what an answer means.

A sink opens one transport for its destination, sends requests through it, and turns each answer into an outcome::

    transport = open_transport(Guard(allow_networks))
    match await send(transport, post(url, [(b"Content-Type", b"application/json")], body), within=20.0):
        case Answer() as answer:
            return outcome_of(answer)
        case Retry() as failure:
            return failure

httpx types are the seam; what lies below it is loaded by the first :func:`open_transport` only.
"""

from __future__ import annotations

from supertokens_events.http.answer import Answer, outcome_of, parse_retry_after
from supertokens_events.http.guard import AddressRefusedError, Guard
from supertokens_events.http.proxy import Proxy
from supertokens_events.http.request import post
from supertokens_events.http.settings import Networks, ProxyUrl
from supertokens_events.http.tls import client_context
from supertokens_events.http.transport import MAX_BODY, open_transport, probe, send

__all__ = [
    "MAX_BODY",
    "AddressRefusedError",
    "Answer",
    "Guard",
    "Networks",
    "Proxy",
    "ProxyUrl",
    "client_context",
    "open_transport",
    "outcome_of",
    "parse_retry_after",
    "post",
    "probe",
    "send",
]
