"""Passkeys. Every credential is verified: only a real authenticator, or one in software, gets in."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from core_double import authenticator_data
from core_double.authenticator_data import Malformed, Refused
from core_double.state import Credential, LoginMethod, MailToken, State, WebauthnOptions
from core_double.users import (
    add_user,
    change_account_info,
    find_method,
    find_user,
    index,
    methods_with,
    normalise_email,
    obstacle_to_change,
    taken,
    unindex,
    user_json,
)
from core_double.wire import OK, Json, Request, Routes

DEFAULT_TIMEOUT = 6000
ALGORITHMS = [authenticator_data.EDDSA, authenticator_data.ES256, authenticator_data.RS256]
RECOVERY_LIFETIME = 60 * 60 * 1000

CREDENTIAL_NOT_FOUND: Json = {"status": "CREDENTIAL_NOT_FOUND_ERROR"}
OPTIONS_NOT_FOUND: Json = {"status": "OPTIONS_NOT_FOUND_ERROR"}
INVALID_OPTIONS: Json = {"status": "INVALID_OPTIONS_ERROR"}
INVALID_TOKEN: Json = {"status": "RECOVER_ACCOUNT_TOKEN_INVALID_ERROR"}
UNKNOWN_USER: Json = {"status": "UNKNOWN_USER_ID_ERROR"}


# --- options ------------------------------------------------------------------------------------------------------


def register_options(core: State, req: Request) -> Json:
    """POST T/recipe/webauthn/options/register; the user handle is the user's id, or the options' for a new user"""
    email = normalise_email(req.text("email"))
    if "@" not in email:
        return {"status": "INVALID_EMAIL_ERROR"}
    options = _make_options(core, req, email)
    if options is None:
        return INVALID_OPTIONS
    resident_key = req.nullable_text("residentKey") or "required"
    algorithms = req.fields.get("supportedAlgorithmIds") or ALGORITHMS
    known = [m for m in methods_with(core, ("email", email), req.tenant) if m.recipe_id == "webauthn"]
    handle = known[0].id if known else options.id
    return {
        **OK,
        "webauthnGeneratedOptionsId": options.id,
        "rp": {"id": options.relying_party_id, "name": options.relying_party_name},
        "user": {
            "id": base64.urlsafe_b64encode(handle.encode()).decode().rstrip("="),
            "name": email,
            "displayName": req.nullable_text("displayName") or email,
        },
        "email": email,
        "timeout": options.timeout,
        "challenge": options.challenge,
        "attestation": req.nullable_text("attestation") or "none",
        "createdAt": options.created,
        "expiresAt": options.created + options.timeout,
        "pubKeyCredParams": [{"alg": algorithm, "type": "public-key"} for algorithm in algorithms],
        "excludeCredentials": [],
        "authenticatorSelection": {
            "requireResidentKey": resident_key == "required",
            "residentKey": resident_key,
            "userVerification": options.user_verification,
        },
    }


def sign_in_options(core: State, req: Request) -> Json:
    """POST T/recipe/webauthn/options/signin"""
    options = _make_options(core, req, None)
    if options is None:
        return INVALID_OPTIONS
    return {
        **OK,
        "webauthnGeneratedOptionsId": options.id,
        "relyingPartyId": options.relying_party_id,
        "challenge": options.challenge,
        "timeout": options.timeout,
        "userVerification": options.user_verification,
        "userPresence": options.user_presence,
        "createdAt": options.created,
        "expiresAt": options.created + options.timeout,
    }


def _make_options(core: State, req: Request, email: str | None) -> WebauthnOptions | None:
    relying_party_id, origin = req.text("relyingPartyId"), req.text("origin")
    host = urlsplit(origin).hostname or ""
    if host != relying_party_id and not host.endswith(f".{relying_party_id}"):
        return None
    options = WebauthnOptions(
        id=core.secrets.uuid(),
        tenant_id=req.tenant,
        relying_party_id=relying_party_id,
        relying_party_name=req.nullable_text("relyingPartyName") or relying_party_id,
        origin=origin,
        challenge=core.secrets.webauthn_challenge(),
        email=email,
        timeout=req.number("timeout", DEFAULT_TIMEOUT),
        created=core.now(),
        user_verification=req.nullable_text("userVerification") or "preferred",
        user_presence=req.flag("userPresence", True),
    )
    core.webauthn_options[options.id] = options
    return options


def _find_options(core: State, req: Request) -> WebauthnOptions | None:
    return core.webauthn_options.get(req.text("webauthnGeneratedOptionsId"))


def read_options(core: State, req: Request) -> Json:
    """GET T/recipe/webauthn/options"""
    options = _find_options(core, req)
    if options is None or options.tenant_id != req.tenant:
        return OPTIONS_NOT_FOUND
    return {
        **OK,
        "webauthnGeneratedOptionsId": options.id,
        "relyingPartyId": options.relying_party_id,
        "relyingPartyName": options.relying_party_name,
        "challenge": options.challenge,
        "timeout": options.timeout,
        "origin": options.origin,
        "email": options.email,
        "createdAt": options.created,
        "expiresAt": options.created + options.timeout,
        "userVerification": options.user_verification,
        "userPresence": options.user_presence,
    }


def remove_options(core: State, req: Request) -> Json:
    """DELETE T/recipe/webauthn/options/remove"""
    known = core.webauthn_options.pop(req.text("webauthnGeneratedOptionsId"), None)
    return OK if known else OPTIONS_NOT_FOUND


# --- signing up and in --------------------------------------------------------------------------------------------


def _register(core: State, req: Request) -> tuple[WebauthnOptions, Credential] | Json:
    """A verified new credential that belongs to nobody yet, or the refusal."""
    options = _find_options(core, req)
    if options is None:
        return OPTIONS_NOT_FOUND
    if options.email is None or options.created + options.timeout < core.now():
        return INVALID_OPTIONS
    credential = req.object("credential")
    try:
        data = authenticator_data.registered(options, credential.get("response") or {})
        if authenticator_data.base64url(credential.get("id")) != data.credential_id:
            raise Malformed("the id is not the attested one")
    except Malformed:
        return {"status": "INVALID_CREDENTIALS_ERROR"}
    except Refused as refusal:
        return {"status": "INVALID_AUTHENTICATOR_ERROR", "reason": str(refusal)}
    key = credential["id"]
    return options, Credential(key, "", options.relying_party_id, core.now(), data.public_key, data.sign_count)


def sign_up(core: State, req: Request) -> Json:
    """POST T/recipe/webauthn/signup"""
    result = _register(core, req)
    if isinstance(result, dict):
        return result
    options, credential = result
    assert options.email is not None
    if taken(core, "webauthn", ("email", options.email), req.tenant):
        return {"status": "EMAIL_ALREADY_EXISTS_ERROR"}
    method = LoginMethod("webauthn", core.secrets.uuid(), core.now(), [req.tenant], options.email)
    user = add_user(core, method)
    _attach(core, method, credential)
    return {
        **OK,
        "user": user_json(core, req, user),
        "recipeUserId": core.outer(method.id),
        "webauthnCredentialId": credential.id,
        "relyingPartyId": options.relying_party_id,
        "relyingPartyName": options.relying_party_name,
    }


def register_credential(core: State, req: Request) -> Json:
    """POST /recipe/webauthn/user/credential/register"""
    method = find_method(core, req.text("recipeUserId"), "webauthn")
    if method is None:
        return UNKNOWN_USER
    result = _register(core, req)
    if isinstance(result, dict):
        return result
    options, credential = result
    _attach(core, method, credential)
    return {
        **OK,
        "webauthnCredentialId": credential.id,
        "recipeUserId": core.outer(method.id),
        "email": method.email,
        "relyingPartyId": options.relying_party_id,
        "relyingPartyName": options.relying_party_name,
    }


def _attach(core: State, method: LoginMethod, credential: Credential) -> None:
    credential.user_id = method.id
    core.credentials[credential.relying_party_id, credential.id] = credential
    method.credential_ids.append(credential.id)
    index(core, method)


def sign_in(core: State, req: Request) -> Json:
    """POST T/recipe/webauthn/signin"""
    options = _find_options(core, req)
    if options is None:
        return OPTIONS_NOT_FOUND
    if options.created + options.timeout < core.now():
        return INVALID_OPTIONS
    said = req.object("credential")
    credential = core.credentials.get((options.relying_party_id, str(said.get("id"))))
    method = core.methods.get(credential.user_id) if credential else None
    if credential is None or method is None or req.tenant not in method.tenant_ids:
        return CREDENTIAL_NOT_FOUND
    try:
        credential.sign_count = authenticator_data.asserted(
            options, said.get("response") or {}, credential.public_key, credential.sign_count
        )
    except Malformed:
        return {"status": "INVALID_CREDENTIALS_ERROR"}
    except Refused as refusal:
        return {"status": "INVALID_AUTHENTICATOR_ERROR", "reason": str(refusal)}
    return {**OK, "user": user_json(core, req, core.user_of[method.id]), "recipeUserId": core.outer(method.id)}


# --- credentials --------------------------------------------------------------------------------------------------


def _credential_json(core: State, credential: Credential) -> Json:
    return {
        "webauthnCredentialId": credential.id,
        "recipeUserId": core.outer(credential.user_id),
        "relyingPartyId": credential.relying_party_id,
        "createdAt": credential.created,
    }


def _credentials_of(core: State, req: Request) -> dict[str, Credential]:
    owner = core.inner(req.text("recipeUserId"))
    return {credential.id: credential for credential in core.credentials.values() if credential.user_id == owner}


def list_credentials(core: State, req: Request) -> Json:
    """GET /recipe/webauthn/user/credential/list"""
    found = sorted(_credentials_of(core, req).values(), key=lambda credential: credential.created)
    return {**OK, "credentials": [_credential_json(core, credential) for credential in found]}


def read_credential(core: State, req: Request) -> Json:
    """GET /recipe/webauthn/user/credential"""
    credential = _credentials_of(core, req).get(req.text("webauthnCredentialId"))
    return {**OK, **_credential_json(core, credential)} if credential else CREDENTIAL_NOT_FOUND


def remove_credential(core: State, req: Request) -> Json:
    """DELETE /recipe/webauthn/user/credential/remove"""
    credential = _credentials_of(core, req).get(req.text("webauthnCredentialId"))
    if credential is None:
        return CREDENTIAL_NOT_FOUND
    del core.credentials[credential.relying_party_id, credential.id]
    method = core.methods[credential.user_id]
    unindex(core, method)
    method.credential_ids.remove(credential.id)
    index(core, method)
    return OK


def change_email(core: State, req: Request) -> Json:
    """PUT T/recipe/webauthn/user/email"""
    method = find_method(core, req.text("recipeUserId"), "webauthn")
    if method is None:
        return UNKNOWN_USER
    email = normalise_email(req.text("email"))
    refusal = obstacle_to_change(core, method, ("email", email))
    if refusal:
        return refusal
    change_account_info(core, method, email)
    return OK


# --- recovery -----------------------------------------------------------------------------------------------------


def create_recovery_token(core: State, req: Request) -> Json:
    """POST T/recipe/webauthn/user/recover/token"""
    user_id = req.text("userId")
    if find_user(core, user_id) is None:
        return UNKNOWN_USER
    token = core.secrets.opaque(32).rstrip("=")
    expiry = core.now() + RECOVERY_LIFETIME
    email = normalise_email(req.text("email"))
    core.recovery_tokens[token] = MailToken(core.inner(user_id), email, req.tenant, expiry)
    return {**OK, "token": token}


def _recovery(core: State, req: Request) -> MailToken | None:
    found = core.recovery_tokens.get(req.text("token"))
    return found if found and found.tenant_id == req.tenant and found.expiry >= core.now() else None


def consume_recovery_token(core: State, req: Request) -> Json:
    """POST T/recipe/webauthn/user/recover/token/consume; one use ends all of the user's tokens"""
    found = _recovery(core, req)
    if found is None:
        return INVALID_TOKEN
    for token in [token for token, other in core.recovery_tokens.items() if other.user_id == found.user_id]:
        del core.recovery_tokens[token]
    return {**OK, "userId": core.outer(found.user_id), "email": found.email}


def user_of_recovery_token(core: State, req: Request) -> Json:
    """GET T/recipe/webauthn/user/recover"""
    found = _recovery(core, req)
    user = find_user(core, found.user_id) if found else None
    if found is None or user is None:
        return INVALID_TOKEN
    return {**OK, "recipeUserId": core.outer(found.user_id), "user": user_json(core, req, user)}


ROUTES: Routes = {
    ("POST", "/recipe/webauthn/options/register"): register_options,
    ("POST", "/recipe/webauthn/options/signin"): sign_in_options,
    ("GET", "/recipe/webauthn/options"): read_options,
    ("DELETE", "/recipe/webauthn/options/remove"): remove_options,
    ("POST", "/recipe/webauthn/signup"): sign_up,
    ("POST", "/recipe/webauthn/signin"): sign_in,
    ("POST", "/recipe/webauthn/user/credential/register"): register_credential,
    ("GET", "/recipe/webauthn/user/credential/list"): list_credentials,
    ("GET", "/recipe/webauthn/user/credential"): read_credential,
    ("DELETE", "/recipe/webauthn/user/credential/remove"): remove_credential,
    ("PUT", "/recipe/webauthn/user/email"): change_email,
    ("POST", "/recipe/webauthn/user/recover/token"): create_recovery_token,
    ("POST", "/recipe/webauthn/user/recover/token/consume"): consume_recovery_token,
    ("GET", "/recipe/webauthn/user/recover"): user_of_recovery_token,
}
