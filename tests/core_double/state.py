"""All that one core knows, in plain dataclasses; ``State.lock`` is held for the whole of every request."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from core_double.secret_values import SecretValues
from core_double.wire import Json

AccountInfo = tuple[str, ...]
"""("email", e), ("phone", p), ("thirdparty", provider, user id) or ("webauthn", credential id)."""

PUBLIC = "public"


@dataclass(slots=True)
class LoginMethod:
    """A recipe user: one way in."""

    recipe_id: str
    id: str
    time_joined: int
    tenant_ids: list[str]
    email: str | None = None
    phone_number: str | None = None
    third_party: tuple[str, str] | None = None
    password_hash: str = ""
    credential_ids: list[str] = field(default_factory=list)

    @property
    def account_infos(self) -> list[AccountInfo]:
        infos: list[AccountInfo] = [("webauthn", credential_id) for credential_id in self.credential_ids]
        if self.email is not None:
            infos.append(("email", self.email))
        if self.phone_number is not None:
            infos.append(("phone", self.phone_number))
        if self.third_party is not None:
            infos.append(("thirdparty", *self.third_party))
        return infos


@dataclass(slots=True)
class User:
    """Login methods under one id. The id outlives the login method it came from."""

    id: str
    is_primary: bool
    methods: list[LoginMethod]


@dataclass(slots=True)
class Tenant:
    """``first_factors`` is ``None`` for the public tenant only, until somebody sets it."""

    id: str
    core_config: Json = field(default_factory=dict)
    first_factors: list[str] | None = None
    required_secondary_factors: list[str] | None = None
    providers: dict[str, Json] = field(default_factory=dict)


@dataclass(slots=True)
class Session:
    handle: str
    user_id: str
    tenant_id: str
    data_in_jwt: Json
    data_in_database: Json
    created: int
    expiry: int
    refresh_hash: str
    dynamic_key: bool


@dataclass(frozen=True, slots=True)
class MailToken:
    """A single-use token that was mailed to ``email``."""

    user_id: str
    email: str
    tenant_id: str
    expiry: int


@dataclass(frozen=True, slots=True)
class Code:
    """A one-time code, to be typed in or to be clicked as a link."""

    id: str
    user_input_code: str
    link_code: str
    created: int


@dataclass(slots=True)
class Device:
    """One attempt to sign in without a password."""

    id: str
    pre_auth_session_id: str
    tenant_id: str
    email: str | None
    phone_number: str | None
    failed_attempts: int = 0
    codes: list[Code] = field(default_factory=list)


@dataclass(slots=True)
class TotpDevice:
    name: str
    secret: str
    period: int
    skew: int
    verified: bool = False


@dataclass(frozen=True, slots=True)
class UsedTotp:
    """A TOTP code that was tried: wrong ones count towards the limit, right ones cannot be used again."""

    code: str
    was_right: bool
    created: int
    expiry: int


@dataclass(frozen=True, slots=True)
class WebauthnOptions:
    """What a browser was asked to sign."""

    id: str
    tenant_id: str
    relying_party_id: str
    relying_party_name: str
    origin: str
    challenge: str
    email: str | None
    timeout: int
    created: int
    user_verification: str
    user_presence: bool


@dataclass(slots=True)
class Credential:
    """A passkey: the public key as it came from the authenticator (COSE)."""

    id: str
    user_id: str
    relying_party_id: str
    created: int
    public_key: bytes
    sign_count: int


@dataclass(frozen=True, slots=True)
class SamlClient:
    id: str
    secret: str | None
    redirect_uris: list[str]
    default_redirect_uri: str
    idp_entity_id: str
    idp_sso_url: str
    idp_certificate: str
    allow_idp_initiated: bool
    sign_requests: bool


@dataclass(frozen=True, slots=True)
class SamlRequest:
    """A sign-in that was sent to an identity provider; its id is the relay state."""

    client_id: str
    redirect_uri: str
    state: str | None
    expiry: int


@dataclass(frozen=True, slots=True)
class SamlLogin:
    """What an identity provider said; its id is the code, which is the access token too."""

    client_id: str
    claims: Json
    expiry: int


@dataclass(slots=True)
class OauthClient:
    """``given`` holds what the client was made with, under its CDI names; what was left out is filled in on reading."""

    id: str
    secret: str | None
    rotates: bool
    given: Json
    created: int
    updated: int


@dataclass(slots=True)
class OauthRequest:
    """One authorization on its way: first it waits for the login, then for the consent."""

    client_id: str
    params: dict[str, str]
    login_challenge: str
    login_csrf: str
    session_id: str
    login_id: str
    issuer: str
    login_verifier: str = ""
    login_used: bool = False
    subject: str = ""
    auth_time: int = 0
    consent_challenge: str = ""
    consent_csrf: str = ""
    consent_verifier: str = ""
    consent_used: bool = False
    grant: OauthGrant | None = None
    refusal: tuple[str, str] | None = None


@dataclass(slots=True)
class OauthGrant:
    """What a user agreed to; its id is the tokens' ``gid``. For client credentials there is no user."""

    id: str
    client_id: str
    issuer: str
    scopes: list[str]
    subject: str
    auth_time: int
    session: Json
    access_token_payload: Json
    id_token_payload: Json
    redirect_uri: str = ""
    code_challenge: str = ""
    code_challenge_method: str = "plain"
    nonce: str = ""
    revoked: bool = False


@dataclass(slots=True)
class OauthCode:
    grant: OauthGrant
    expiry: int
    used: bool = False


@dataclass(slots=True)
class OauthRefreshToken:
    grant: OauthGrant
    issued: int
    expiry: int


@dataclass(slots=True)
class OauthLogout:
    client_id: str
    session_handle: str | None
    post_logout_uri: str | None
    state: str | None


@dataclass(slots=True)
class IdMapping:
    external_id: str
    info: str | None


def system_clock() -> int:
    return int(time.time() * 1000)


class State:
    """One core's memory. ``now`` is in milliseconds since the epoch."""

    def __init__(self, clock: Callable[[], int] = system_clock, secrets: SecretValues | None = None) -> None:
        self.lock = threading.RLock()
        self.now = clock
        self.secrets = secrets or SecretValues()
        self.tenants = {PUBLIC: Tenant(PUBLIC)}
        self.users: dict[str, User] = {}
        self.user_of: dict[str, User] = {}
        self.methods: dict[str, LoginMethod] = {}
        self.by_account_info: defaultdict[AccountInfo, dict[str, None]] = defaultdict(dict)
        self.verified: set[tuple[str, str]] = set()
        self.verification_tokens: dict[str, MailToken] = {}
        self.reset_tokens: dict[str, MailToken] = {}
        self.sessions: dict[str, Session] = {}
        self.sessions_of: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self.roles: dict[str, list[str]] = {}
        self.user_roles: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self.metadata: dict[str, Json] = {}
        self.devices: dict[str, Device] = {}
        self.totp_devices: defaultdict[str, dict[str, TotpDevice]] = defaultdict(dict)
        self.used_totps: defaultdict[str, list[UsedTotp]] = defaultdict(list)
        self.webauthn_options: dict[str, WebauthnOptions] = {}
        self.credentials: dict[tuple[str, str], Credential] = {}
        self.recovery_tokens: dict[str, MailToken] = {}
        self.saml_clients: defaultdict[str, dict[str, SamlClient]] = defaultdict(dict)
        self.saml_requests: dict[str, SamlRequest] = {}
        self.saml_logins: dict[str, SamlLogin] = {}
        self.oauth_clients: dict[str, OauthClient] = {}
        self.oauth_logins: dict[str, OauthRequest] = {}
        self.oauth_consents: dict[str, OauthRequest] = {}
        self.oauth_grants: dict[str, OauthGrant] = {}
        self.oauth_codes: dict[str, OauthCode] = {}
        self.oauth_refresh_tokens: dict[str, OauthRefreshToken] = {}
        self.oauth_revoked_access: set[str] = set()
        self.oauth_logouts: dict[str, OauthLogout] = {}
        self.dashboard_users: dict[str, str] = {}
        self.dashboard_sessions: dict[str, str] = {}
        self.mappings: dict[str, IdMapping] = {}
        self.internal_ids: dict[str, str] = {}

    def inner(self, user_id: str) -> str:
        """The core's own id behind ``user_id``, which may be an external one."""
        return self.internal_ids.get(user_id, user_id)

    def outer(self, user_id: str) -> str:
        """The id to show to the outside: the external one where there is a mapping."""
        mapping = self.mappings.get(user_id)
        return mapping.external_id if mapping else user_id

    def revoke_grants(self, which: Callable[[OauthGrant], bool]) -> None:
        """Ends every token of these grants."""
        for grant in self.oauth_grants.values():
            grant.revoked |= which(grant)
