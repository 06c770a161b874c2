"""JSON Web Tokens that a backend makes: told only to those who ask for it."""

from __future__ import annotations

import pytest

from flows.harness import BACKEND, Flow, World, rows
from flows.recipes import sessions

PAYLOAD = {"note": "secret-in-the-payload"}


def openid_jwt(w: World) -> None:
    w.secrets |= {w.backend.openid.create_jwt(PAYLOAD, 60, False).jwt, PAYLOAD["note"]}


def jwt(w: World) -> None:
    w.secrets |= {w.backend.jwt.create_jwt(PAYLOAD).jwt, PAYLOAD["note"]}


def keys(w: World) -> None:
    w.backend.jwt.get_jwks()
    w.backend.openid.get_jwks()
    w.backend.openid.get_open_id_discovery_configuration()


FLOWS = [
    Flow(
        "create_jwt (openid.create_jwt -> jwt.create_jwt)",
        BACKEND,
        [sessions()],
        [],
        openid_jwt,
        "jwt.issued",
        captured=["*"],
    ),
    Flow("jwt.create_jwt", BACKEND, [sessions()], [], jwt, "jwt.issued", captured=["*"]),
    Flow("create_jwt, not asked for", BACKEND, [sessions()], [], openid_jwt, ""),
    Flow("keys and discovery", BACKEND, [sessions()], [], keys, "", captured=["*"]),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


def test_what_a_token_event_says(world):
    """How long the token is valid and by which kind of key, if that was said; never what is in it."""
    w = world([sessions()], "asyncio", capture={"events": ["jwt.issued"]})

    openid_jwt(w)
    jwt(w)

    assert [event.data for event in w.told()] == [{"validity_seconds": 60, "use_static_signing_key": False}, {}]
