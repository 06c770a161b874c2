"""SAML: identity providers that come and go, and people who come from them. Every response is signed by an identity provider
in software.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from supertokens_python.recipe import thirdparty as thirdparty_recipe
from supertokens_python.recipe.thirdparty.provider import ProviderClientConfig, ProviderConfig, ProviderInput
from supertokens_python.recipe.thirdparty.utils import SignInAndUpFeature

from core_double.software_idp import SoftwareIdp
from flows.harness import ADA, API, BACKEND, Flow, Step, World, no_session, raises, rows
from flows.recipes import saml, sessions

pytest.importorskip("supertokens_python.recipe.saml", reason="SAML came with SDK 0.31")

ENTITY = "https://idp.example.com"
CALLBACK = "https://app.example.com/auth/callback/saml"
CLIENT_ID = "st_saml_acme"
STATE = "state-0f-the-app-12345678"
SECRET = "saml-client-Secret"

IDP = SoftwareIdp(ENTITY)
STRANGER = SoftwareIdp(ENTITY)  # says the same of itself, and has another key


def provider(_: World) -> Any:
    """The recipe ``thirdparty`` with a SAML provider, which is how people sign in."""
    config = ProviderConfig("saml-acme", name="Acme", clients=[ProviderClientConfig(client_id=CLIENT_ID)])
    return thirdparty_recipe.init(sign_in_and_up_feature=SignInAndUpFeature(providers=[ProviderInput(config=config)]))


SAML = [saml(), provider, sessions()]


def saved(**settings: Any) -> Step:
    """Store a client of the identity provider."""

    def step(w: World) -> None:
        given = {
            "tenant_id": "public",
            "redirect_uris": [CALLBACK],
            "default_redirect_uri": CALLBACK,
            "metadata_xml": IDP.metadata,
            "client_id": CLIENT_ID,
            "client_secret": SECRET,
            **settings,
        }
        w.secrets |= {SECRET, STATE, IDP.metadata, IDP.certificate}
        w.result = w.backend.saml.create_or_update_client(**given)

    return step


def removed(client_id: str = CLIENT_ID) -> Step:
    return lambda w: w.backend.saml.remove_client("public", client_id)


def in_address(w: World) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(w.response.headers.get("location", "")).query))


def log_in(client_id: str = CLIENT_ID) -> Step:
    """Be sent to the identity provider."""

    def step(w: World) -> None:
        asked = {"client_id": client_id, "redirect_uri": CALLBACK, "state": STATE}
        w.send("GET", f"/auth/public/saml/login?{urlencode(asked)}")
        w.relay_state = in_address(w).get("RelayState")
        w.secrets |= set(in_address(w).values())

    return step


def come_back(*, idp: SoftwareIdp = IDP, relay_state: str | None = "of the login") -> Step:
    """Be sent back by it, with its word for who one is."""

    def step(w: World) -> None:
        response = idp.response("ada", ADA)
        form = {"SAMLResponse": response, "RelayState": w.relay_state if relay_state == "of the login" else relay_state}
        w.send("POST", "/auth/public/saml/callback", form)
        w.code = in_address(w).get("code")
        w.secrets |= {response, *in_address(w).values(), *filter(None, form.values())}

    return step


def sign_in_up(w: World) -> None:
    """The frontend hands over the code."""
    info = {"redirectURIOnProviderDashboard": CALLBACK, "redirectURIQueryParams": {"code": w.code, "state": STATE}}
    w.send("POST", "/auth/public/signinup", {"thirdPartyId": "saml-acme", "redirectURIInfo": info})


def b_login(client_id: str = CLIENT_ID) -> Step:
    def step(w: World) -> None:
        answer = w.backend.saml.create_login_request(
            "public", client_id, CALLBACK, "https://app.example.com/acs", STATE
        )
        w.relay_state = dict(parse_qsl(urlsplit(getattr(answer, "redirect_uri", "")).query)).get("RelayState")

    return step


def b_verify(*, idp: SoftwareIdp = IDP, relay_state: str | None = "of the login") -> Step:
    def step(w: World) -> None:
        response = idp.response("ada", ADA)
        state = w.relay_state if relay_state == "of the login" else relay_state
        w.secrets |= {response, *filter(None, [state])}
        w.backend.saml.verify_saml_response("public", response, state)

    return step


def core_fails(path: str) -> Step:
    return lambda w: w.core.fail_next(path)


SENT = [saved(), log_in()]
BACK = [*SENT, come_back()]

FLOWS = [
    Flow("SAML.create_or_update_client backend", BACKEND, SAML, [], saved(), "saml.client.saved"),
    Flow("SAML.create_or_update_client backend, again", BACKEND, SAML, [saved()], saved(), "saml.client.saved"),
    Flow(
        "SAML.create_or_update_client backend, bad metadata",
        BACKEND,
        SAML,
        [],
        raises(saved(metadata_xml="no metadata at all")),
        "saml.client.save.failed",
    ),
    Flow(
        "SAML.create_or_update_client backend, two for one identity provider",
        BACKEND,
        SAML,
        [saved()],
        saved(client_id="another"),
        "saml.client.save.failed",
    ),
    Flow("SAML.list_clients backend", BACKEND, SAML, [saved()], lambda w: w.backend.saml.list_clients("public"), ""),
    Flow("SAML.remove_client", BACKEND, SAML, [saved()], removed(), "saml.client.removed"),
    Flow("SAML.remove_client, unknown", BACKEND, SAML, [], removed(), ""),
    Flow("SAML login_get", API, SAML, [saved()], log_in(), ""),
    Flow("SAML login_get, all told", API, SAML, [saved()], log_in(), "saml.login.started", captured=["*"]),
    Flow("SAML login_get, unknown client", API, SAML, [], log_in(), "saml.login.failed"),
    Flow("SAML login_get, core fails", API, SAML, [saved(), core_fails("/saml/login")], log_in(), "saml.login.failed"),
    Flow("SAML.create_login_request backend", BACKEND, SAML, [saved()], b_login(), ""),
    Flow("SAML.create_login_request backend, unknown client", BACKEND, SAML, [], b_login(), "saml.login.failed"),
    Flow("SAML callback_post ok", API, SAML, SENT, come_back(), "saml.response.verified"),
    Flow("SAML callback_post invalid", API, SAML, SENT, come_back(idp=STRANGER), "saml.response.rejected"),
    Flow(
        "SAML callback_post ok, nobody asked",
        API,
        SAML,
        [saved(allow_idp_initiated_login=True)],
        come_back(relay_state=None),
        "saml.response.verified",
    ),
    Flow(
        "SAML.verify_saml_response backend",
        BACKEND,
        SAML,
        [saved(), b_login()],
        b_verify(),
        "saml.response.verified",
    ),
    Flow(
        "SAML.verify_saml_response backend, invalid",
        BACKEND,
        SAML,
        [saved(), b_login()],
        b_verify(idp=STRANGER),
        "saml.response.rejected",
    ),
    Flow(
        "SAML third-party sign_in_up with the code",
        API,
        SAML,
        BACK,
        sign_in_up,
        "user.created, session.created",
    ),
    Flow(
        "SAML third-party sign_in_up, a second time",
        API,
        SAML,
        [*BACK, sign_in_up, no_session, log_in(), come_back()],
        sign_in_up,
        "user.signed_in, session.created",
    ),
    Flow(
        "SAML third-party sign_in_up with a made-up code",
        API,
        SAML,
        [saved(), lambda w: setattr(w, "code", "made-up")],
        sign_in_up,
        "user.sign_in.failed",
    ),
]


@pytest.mark.parametrize(("flow", "entry"), rows(FLOWS))
def test_flow(flow, entry, play):
    """The flow brings exactly these events, in this order, and none of them tells a secret."""
    w = play(flow, entry)

    assert [event.type for event in w.told()] == flow.event_types
    assert w.leaked() == set()
    assert w.trouble() == {}


def played(world, given, when) -> World:
    w = world(SAML)
    for step in given:
        step(w)
    w.mark()
    when(w)
    return w


@pytest.mark.parametrize(
    ("given", "when", "created"),
    [
        ([], saved(), True),
        ([], saved(client_id=None), True),
        ([saved()], saved(), False),
        ([core_fails("/saml/clients/list")], saved(), None),
    ],
)
def test_a_client_is_new_or_not(given, when, created, world):
    """The SDK does not say whether a client was made or changed; a read before does, and without it nobody pretends to know."""
    w = played(world, given, when)

    (event,) = w.told()
    assert event.data.get("created") is created
    assert (event.tenant_id, event.user_id, event.actor.type) == ("public", None, "system")


def test_a_client_without_its_secret(world):
    """A client is told with what it lets in, without secret, certificate and metadata."""
    w = played(world, [], saved())

    assert w.told()[0].data == {
        "client_id": CLIENT_ID,
        "created": True,
        "idp_entity_id": ENTITY,
        "redirect_uris": [CALLBACK],
        "allow_idp_initiated_login": False,
        "enable_request_signing": True,
    }


@pytest.mark.parametrize(
    ("given", "when", "data"),
    [
        (SENT, come_back(idp=STRANGER), {"reason": "verification_failed", "idp_initiated": False}),
        (SENT, come_back(relay_state="made-up"), {"reason": "invalid_relay_state", "idp_initiated": False}),
        ([*SENT, removed()], come_back(), {"reason": "invalid_client", "idp_initiated": False}),
        ([saved()], come_back(relay_state=None), {"reason": "idp_login_disallowed", "idp_initiated": True}),
        ([*SENT, core_fails("/saml/callback")], come_back(), {"reason": "error", "idp_initiated": False}),
        ([saved()], saved(client_id="another"), {"reason": "duplicate_idp", "client_id": "another"}),
        ([], raises(saved(metadata_xml="none")), {"reason": "error", "client_id": CLIENT_ID}),
        ([], log_in("nobody"), {"reason": "invalid_client", "client_id": "nobody"}),
        ([saved(), core_fails("/saml/login")], log_in(), {"reason": "error", "client_id": CLIENT_ID}),
    ],
)
def test_why_it_failed(given, when, data, world):
    """A refusal has a reason from a closed set."""
    w = played(world, given, when)

    (failed,) = w.told()
    assert (failed.data, failed.tenant_id) == (data, "public")


def test_a_verified_response_is_no_sign_in(world):
    """When the identity provider has spoken, nobody is known yet: neither a user nor a client is named."""
    w = played(world, SENT, come_back())

    (verified,) = w.told()
    assert (verified.data, verified.user_id, verified.actor.type) == ({"idp_initiated": False}, None, "unknown")


def test_a_user_who_comes_by_saml(world):
    """The user of the third-party recipe who came by SAML has that as the method."""
    w = played(world, BACK, sign_in_up)

    (created,) = w.told("user.created")
    assert (created.data["method"], created.data["third_party_id"], created.data["email"]) == ("saml", "saml-acme", ADA)


def test_no_read_for_a_client_that_must_be_new(world):
    """A client that is stored without an id can only be a new one: the core is not asked."""
    w = world(SAML)
    before = len(w.core.requests)

    saved(client_id=None)(w)

    assert "/public/recipe/saml/clients/list" not in [request.path for request in w.core.requests[before:]]


def test_no_read_that_nobody_wants(world):
    """When nobody gets ``saml.client.saved``, the core is not asked for the clients."""
    w = world(SAML, wanted=False)
    before = len(w.core.requests)

    saved()(w)

    assert [request.path for request in w.core.requests[before:]] == ["/apiversion", "/public/recipe/saml/clients"]
