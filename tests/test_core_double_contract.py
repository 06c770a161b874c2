"""The double answers as a real core answered: 931 recorded requests are asked again, every answer is compared."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from core_double import CoreDouble, SecretValues
from core_double.contract import Replay

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "data" / "cdi-transcripts.json").read_text())
FLOWS: dict[str, list[list[dict[str, Any]]]] = RECORDED["flows"]
CORES = [(name, number) for name, cores in FLOWS.items() for number in range(len(cores))]
PAIRS = 931

# Where the double differs on purpose, and why.
ALLOWED = {("/apiversion", "versions"): "the double speaks CDI 5.1 to 5.4 only and does not claim more"}

# What was there before a recording began.
PUT_TENANT = ("PUT", "/recipe/multitenancy/tenant/v2")
BEFORE = {
    ("dash", 0): ("POST", "/recipe/dashboard/user", {"email": "admin@example.com", "password": "adminpass1"}),
    ("limits", 0): (*PUT_TENANT, {"tenantId": "public", "requiredSecondaryFactors": ["totp"]}),
    ("mfa", 0): (*PUT_TENANT, {"tenantId": "public", "requiredSecondaryFactors": ["totp", "otp-email"]}),
}

# The keys under which a recording says when something was made ("t" is a session claim's).
MADE_AT = {"createdAt", "createdTime", "t", "timeCreated", "timeJoined"}


class RecordedSecrets(SecretValues):
    """The double's own random values, but the recorded ones where a later request was computed from them."""

    def __init__(self) -> None:
        self.answer: Any = {}

    def totp_secret(self) -> str:
        return str(self.answer["secret"])

    def webauthn_challenge(self) -> str:
        return str(self.answer["challenge"])


def times(value: Any) -> list[int]:
    """Every time at which something was made, anywhere in a recorded value."""
    if isinstance(value, list):
        return [time for item in value for time in times(item)]
    if isinstance(value, dict):
        own = [item for key, item in value.items() if key in MADE_AT and isinstance(item, int)]
        return own + [time for item in value.values() for time in times(item)]
    return []


def replayed(name: str, number: int, pairs: list[dict[str, Any]]) -> list[str]:
    """All differences between recorded answers and those of a fresh double whose clock goes with the recording."""
    now = [min(times(pairs))]
    secrets = RecordedSecrets()
    with CoreDouble(clock=lambda: now[0], secrets=secrets) as core:
        replay = Replay(core.url, frozenset(ALLOWED))
        if (name, number) in BEFORE:
            method, path, body = BEFORE[name, number]
            replay.ask(method, path, body=body)
        for step, pair in enumerate(pairs):
            now[0] = max(now[0], *times([pair.get("body"), pair["response"]]), 0)
            secrets.answer = pair["response"]
            replay.compare(pair, step)
        replay.close()
    return replay.differences


@pytest.mark.parametrize(("name", "number"), CORES, ids=[f"{name}-{number}" for name, number in CORES])
def test_flow(name: str, number: int) -> None:
    """The double answers each request of a recorded flow with the recorded status, keys, types and constants."""
    assert replayed(name, number, FLOWS[name][number]) == []


def test_all_pairs() -> None:
    """No recorded pair is left out."""
    assert sum(len(cores[number]) for cores in FLOWS.values() for number in range(len(cores))) == PAIRS


def _set(*where: Any, to: Any) -> Any:
    """A change to one recorded pair of the flow "ep": the value at the end of a path of keys."""

    def change(pairs: list[dict[str, Any]]) -> None:
        target: Any = pairs
        for key in where[:-1]:
            target = target[key]
        if to is None:
            del target[where[-1]]
        else:
            target[where[-1]] = to

    return change


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(_set(10, "http_status", to=400), id="another HTTP status"),
        pytest.param(_set(10, "response", "status", to="OK"), id="another status"),
        pytest.param(_set(10, "response", "more", to=1), id="a key more"),
        pytest.param(_set(3, "response", "user", "loginMethods", 0, "verified", to=None), id="a key less"),
        pytest.param(_set(3, "response", "user", "isPrimaryUser", to=0), id="another type"),
        pytest.param(_set(3, "response", "user", "isPrimaryUser", to=True), id="another boolean"),
        pytest.param(_set(3, "response", "user", "emails", to=[]), id="a shorter list"),
        pytest.param(_set(3, "response", "user", "timeJoined", to=1795424000000), id="another time"),
        pytest.param(_set(4, "response", "user", "id", to="11111111-1111-4111-8111-111111111111"), id="another id"),
        pytest.param(_set(7, "response", "accessToken", "expiry", to=1795424484000), id="another lifetime"),
        pytest.param(_set(28, "body", "userId", to="nobody"), id="another question"),
    ],
)
def test_a_difference_is_seen(change: Any) -> None:
    """A recording that says something else fails the comparison."""
    pairs = copy.deepcopy(FLOWS["ep"][0])
    change(pairs)

    assert replayed("ep", 0, pairs) != []
