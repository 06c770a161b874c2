"""SAML identity providers: clients, sign-in requests, and responses whose signature is verified.

Sign-in requests are sent unsigned, whatever ``enableRequestSigning`` says: no identity provider reads them here.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from datetime import UTC, datetime
from urllib.parse import urlencode
from xml.dom.minidom import Element
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import quoteattr

from core_double import xml_signature
from core_double.state import SamlClient, SamlLogin, SamlRequest, State
from core_double.wire import OK, CoreError, Json, Request, Routes
from core_double.xml_signature import BadSignature, child, children, text

METADATA = "urn:oasis:names:tc:SAML:2.0:metadata"
ASSERTION = "urn:oasis:names:tc:SAML:2.0:assertion"
PROTOCOL = "urn:oasis:names:tc:SAML:2.0:protocol"
SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
ENTITY_ID = "https://saml.supertokens.com"
EMAIL_CLAIM = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress"
REQUEST_LIFETIME = CODE_LIFETIME = 5 * 60 * 1000

INVALID_CLIENT: Json = {"status": "INVALID_CLIENT_ERROR"}
INVALID_TOKEN: Json = {"status": "INVALID_TOKEN_ERROR"}
VERIFICATION_FAILED: Json = {"status": "SAML_RESPONSE_VERIFICATION_FAILED_ERROR"}


# --- clients ------------------------------------------------------------------------------------------------------


def put_client(core: State, req: Request) -> Json:
    """PUT T/recipe/saml/clients"""
    clients = core.saml_clients[req.tenant]
    entity_id, sso_url, certificate = _metadata(req.text("metadataXML"))
    client_id = req.nullable_text("clientId") or f"st_saml_{core.secrets.uuid()}"
    if any(other.idp_entity_id == entity_id and other.id != client_id for other in clients.values()):
        return {"status": "DUPLICATE_IDP_ENTITY_ERROR"}
    client = SamlClient(
        id=client_id,
        secret=req.nullable_text("clientSecret"),
        redirect_uris=req.texts("redirectURIs"),
        default_redirect_uri=req.text("defaultRedirectURI"),
        idp_entity_id=entity_id,
        idp_sso_url=sso_url,
        idp_certificate=certificate,
        allow_idp_initiated=req.flag("allowIDPInitiatedLogin", False),
        sign_requests=req.flag("enableRequestSigning", True),
    )
    clients[client_id] = client
    return {**OK, **_client_json(client)}


def _metadata(encoded: str) -> tuple[str, str, str]:
    """The entity id, the sign-in URL and the signing certificate of an ``EntityDescriptor``."""
    try:
        root = xml_signature.parse(base64.b64decode(encoded, validate=True))
        descriptor = child(root, METADATA, "IDPSSODescriptor")
        keys = [
            key for key in children(descriptor, METADATA, "KeyDescriptor") if key.getAttribute("use") != "encryption"
        ]
        certificate = keys[0].getElementsByTagNameNS(xml_signature.DSIG, "X509Certificate")[0]
        services = children(descriptor, METADATA, "SingleSignOnService")
        service = next((one for one in services if one.getAttribute("Binding") == REDIRECT), services[0])
    except (binascii.Error, ExpatError, ValueError, IndexError):
        raise CoreError("metadataXML does not have a valid SAML metadata") from None
    if (root.namespaceURI, root.localName) != (METADATA, "EntityDescriptor"):
        raise CoreError("metadataXML does not have a valid SAML metadata")
    return root.getAttribute("entityID"), service.getAttribute("Location"), "".join(text(certificate).split())


def _client_json(client: SamlClient) -> Json:
    result: Json = {
        "clientId": client.id,
        "defaultRedirectURI": client.default_redirect_uri,
        "redirectURIs": client.redirect_uris,
        "idpEntityId": client.idp_entity_id,
        "idpSigningCertificate": client.idp_certificate,
        "allowIDPInitiatedLogin": client.allow_idp_initiated,
        "enableRequestSigning": client.sign_requests,
    }
    if client.secret is not None:
        result["clientSecret"] = client.secret
    return result


def list_clients(core: State, req: Request) -> Json:
    """GET T/recipe/saml/clients/list"""
    return {**OK, "clients": [_client_json(client) for client in core.saml_clients[req.tenant].values()]}


def remove_client(core: State, req: Request) -> Json:
    """POST T/recipe/saml/clients/remove"""
    existed = core.saml_clients[req.tenant].pop(req.text("clientId"), None) is not None
    return {**OK, "didExist": existed}


# --- signing in ---------------------------------------------------------------------------------------------------


def create_request(core: State, req: Request) -> Json:
    """POST T/recipe/saml/login"""
    client = core.saml_clients[req.tenant].get(req.text("clientId"))
    redirect_uri = req.text("redirectURI")
    if client is None or redirect_uri not in client.redirect_uris:
        return INVALID_CLIENT
    relay_state = core.secrets.uuid()
    expiry = core.now() + REQUEST_LIFETIME
    core.saml_requests[relay_state] = SamlRequest(client.id, redirect_uri, req.nullable_text("state"), expiry)
    request = _request_xml(core, client, req.text("acsURL"))
    query = urlencode({"SAMLRequest": _deflate(request), "RelayState": relay_state})
    separator = "&" if "?" in client.idp_sso_url else "?"
    return {**OK, "ssoRedirectURI": f"{client.idp_sso_url}{separator}{query}"}


def _request_xml(core: State, client: SamlClient, acs_url: str) -> str:
    issued = datetime.fromtimestamp(core.now() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f'<samlp:AuthnRequest xmlns:samlp="{PROTOCOL}" xmlns:saml="{ASSERTION}" ID="_{core.secrets.uuid()}"'
        f' Version="2.0" IssueInstant="{issued}" Destination={quoteattr(client.idp_sso_url)}'
        f" AssertionConsumerServiceURL={quoteattr(acs_url)}"
        ' ProtocolBinding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST">'
        f'<saml:Issuer>{ENTITY_ID}</saml:Issuer><samlp:NameIDPolicy AllowCreate="true"/></samlp:AuthnRequest>'
    )


def _deflate(xml: str) -> str:
    # The redirect binding wants bare deflate: zlib's two bytes of header and four of checksum are cut off.
    return base64.b64encode(zlib.compress(xml.encode())[2:-4]).decode()


def callback(core: State, req: Request) -> Json:
    """POST T/recipe/saml/callback; the code in the redirect is the access token of ``POST T/recipe/saml/user``"""
    clients = core.saml_clients[req.tenant]
    relay_state = req.nullable_text("relayState")
    request = core.saml_requests.get(relay_state) if relay_state else None
    if relay_state and (request is None or request.expiry < core.now()):
        return {"status": "INVALID_RELAY_STATE_ERROR"}
    try:
        response = xml_signature.parse(base64.b64decode(req.text("samlResponse"), validate=True))
    except (binascii.Error, ExpatError, ValueError):
        return VERIFICATION_FAILED
    if request is None:
        request = _idp_initiated(core, req, response)
        if request is None:
            return {"status": "IDP_LOGIN_DISALLOWED_ERROR"}
    client = clients.get(request.client_id)
    if client is None:
        return INVALID_CLIENT
    try:
        claims = _claims(core, client, response)
    except BadSignature:
        return VERIFICATION_FAILED
    code = core.secrets.uuid()
    core.saml_logins[code] = SamlLogin(client.id, claims, core.now() + CODE_LIFETIME)
    query = urlencode({"code": code, **({"state": request.state} if request.state is not None else {})})
    return {**OK, "redirectURI": f"{request.redirect_uri}{'&' if '?' in request.redirect_uri else '?'}{query}"}


def _idp_initiated(core: State, req: Request, response: Element) -> SamlRequest | None:
    """A response nobody asked for is let in only by a client that says so."""
    issuer = "".join(text(found) for found in children(response, ASSERTION, "Issuer"))
    for client in core.saml_clients[req.tenant].values():
        if client.idp_entity_id == issuer and client.allow_idp_initiated:
            return SamlRequest(client.id, client.default_redirect_uri, None, core.now())
    return None


def _claims(core: State, client: SamlClient, response: Element) -> Json:
    """What the signed part of a response says about the user."""
    signed = xml_signature.signed_element(
        [response, *children(response, ASSERTION, "Assertion")], client.idp_certificate
    )
    if child(child(response, PROTOCOL, "Status"), PROTOCOL, "StatusCode").getAttribute("Value") != SUCCESS:
        raise BadSignature("the identity provider did not say success")
    assertion = signed if signed.localName == "Assertion" else child(signed, ASSERTION, "Assertion")
    _check_conditions(core, assertion)
    name_id = child(child(assertion, ASSERTION, "Subject"), ASSERTION, "NameID")
    claims: Json = {"NameID": [text(name_id)], "NameIDFormat": [name_id.getAttribute("Format")]}
    for statement in children(assertion, ASSERTION, "AttributeStatement"):
        for attribute in children(statement, ASSERTION, "Attribute"):
            values = [text(value) for value in children(attribute, ASSERTION, "AttributeValue")]
            claims[attribute.getAttribute("Name")] = values
    return claims


def _check_conditions(core: State, assertion: Element) -> None:
    now = datetime.fromtimestamp(core.now() / 1000, UTC)
    for conditions in children(assertion, ASSERTION, "Conditions"):
        start, end = conditions.getAttribute("NotBefore"), conditions.getAttribute("NotOnOrAfter")
        if (start and now < _instant(start)) or (end and now >= _instant(end)):
            raise BadSignature("the assertion is not valid now")
        for restriction in children(conditions, ASSERTION, "AudienceRestriction"):
            if ENTITY_ID not in [text(audience) for audience in children(restriction, ASSERTION, "Audience")]:
                raise BadSignature("the assertion is for somebody else")


def _instant(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise BadSignature(f"{value!r} is no time") from None


def user_info(core: State, req: Request) -> Json:
    """POST T/recipe/saml/user"""
    login = core.saml_logins.get(req.text("accessToken"))
    if login is None or login.client_id != req.text("clientId") or login.expiry < core.now():
        return INVALID_TOKEN
    subject = login.claims["NameID"][0]
    email = login.claims.get(EMAIL_CLAIM, [subject])[0]
    return {**OK, "claims": login.claims, "sub": subject, "email": email, "aud": login.client_id}


ROUTES: Routes = {
    ("PUT", "/recipe/saml/clients"): put_client,
    ("GET", "/recipe/saml/clients/list"): list_clients,
    ("POST", "/recipe/saml/clients/remove"): remove_client,
    ("POST", "/recipe/saml/login"): create_request,
    ("POST", "/recipe/saml/callback"): callback,
    ("POST", "/recipe/saml/user"): user_info,
}
