"""What OAuth2 answers hold: plain words come out of them, whatever is inside."""

import base64
import json
from types import SimpleNamespace

import pytest

from supertokens_events.capture.oauth_answers import (
    basic_client_id,
    completed,
    granted,
    holder,
    reason_of,
    refused,
)
from supertokens_events.capture.recipe import Outcome
from supertokens_events.catalog.oauth import OAuthAuthorizationFailure, OAuthClientFailure

CALLBACK = "https://calendar.example.com/callback"


class RedirectResponse(SimpleNamespace):
    """The SDK's."""


def sent_to(address):
    return Outcome(value=RedirectResponse(redirect_to=address))


def a_token(claims):
    return ".".join(
        base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", json.dumps(claims).encode(), b"sig")
    )


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        (f"{CALLBACK}?code=c&state=s", {"gave_code": True}),
        (f"{CALLBACK}#access_token=t&state=s", {"gave_code": False}),
        (f"{CALLBACK}#code=c&id_token=t", {"gave_code": True}),
        (f"{CALLBACK}?error=access_denied", None),
        (f"{CALLBACK}?code=its-own&error=access_denied", None),
        ("https://api.example.com/auth/oauth/auth?code=made-up&consent_verifier=v", None),
        ("https://app.example.com/auth?loginChallenge=c&hint=code", None),
        (None, None),
    ],
)
def test_when_an_authorization_is_complete(address, fields):
    """Only an address with a code or tokens, no error, and no further step is the end of an authorization."""
    assert completed(sent_to(address)) == fields


@pytest.mark.parametrize(
    ("address", "fields"),
    [
        (f"{CALLBACK}?error=login_required", {"reason": "login_required"}),
        (f"{CALLBACK}#error=invalid_scope", {"reason": "invalid_scope"}),
        (f"{CALLBACK}?error=Ada+said+no", {"reason": "other"}),
        (f"{CALLBACK}?code=c", None),
        ("https://api.example.com/auth/oauth/auth?error=made-up&login_verifier=v", None),
    ],
)
def test_when_an_authorization_is_refused(address, fields):
    """An error on the way back to the client is a failure; one on the way to the next step is what somebody made up."""
    assert refused(OAuthAuthorizationFailure, "RedirectResponse")(sent_to(address)) == fields


def test_a_cancelled_call_is_no_failure():
    """Nobody knows how a call would have ended that was cancelled."""
    assert refused(OAuthAuthorizationFailure)(Outcome(error=KeyboardInterrupt())) is None
    assert refused(OAuthClientFailure)(Outcome(error=KeyError("error"))) == {"reason": "error"}


@pytest.mark.parametrize("error", ["", "Bad Thing", "gave_code", "__class__"])
def test_an_unknown_error(error):
    """Prose that nobody knows is ``other``."""
    assert reason_of(OAuthClientFailure, error) == "other"


def test_for_whom_a_token_is():
    """Five claims of an access token are taken, if they are text, and none of what an app has added."""
    claims = {
        "sub": "ada",
        "client_id": "calendar",
        "tId": "public",
        "rsub": 7,
        "email": "ada@example.com",
        "scp": ["a"],
    }

    assert holder(a_token(claims)) == {"sub": "ada", "client_id": "calendar", "tId": "public"}


@pytest.mark.parametrize("token", [None, "", "opaque", "a.b", "a.%%%.c", a_token(["a list"]), "st_at_x.y.z"])
def test_a_token_that_is_no_jwt(token):
    """Of any other token nothing is known, and nothing breaks."""
    assert holder(token) == {}


def test_what_was_granted():
    """Kinds of tokens, scopes and seconds: from a token response, and from an address."""
    response = SimpleNamespace(
        access_token="t", id_token=None, refresh_token="r", scope="a b", expires_in=60, token_type="bearer"
    )

    assert granted(Outcome(value=response)) == {
        "token_types": ["access_token", "refresh_token"],
        "scopes": ["a", "b"],
        "expires_in": 60,
    }
    assert granted(sent_to(f"{CALLBACK}#id_token=t&scope=openid+email")) == {
        "token_types": ["id_token"],
        "scopes": ["openid", "email"],
        "expires_in": None,
    }


@pytest.mark.parametrize(
    ("header", "client_id"),
    [
        ("Basic " + base64.b64encode(b"calendar:secret").decode(), "calendar"),
        ("Basic " + base64.b64encode(b"secret-alone").decode(), None),
        ("Basic " + base64.b64encode(b":secret").decode(), None),
        ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), None),
        ("Basic =", None),
        ("Bearer calendar:secret", None),
        (None, None),
        (7, None),
    ],
)
def test_who_a_basic_header_names(header, client_id):
    """What stands before the colon; without one, what is there may be a secret."""
    assert basic_client_id(header) == client_id
