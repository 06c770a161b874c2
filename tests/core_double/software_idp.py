"""A SAML identity provider in software: its metadata and signed responses, for tests and the demo."""

from __future__ import annotations

import base64
import functools
import hashlib
import uuid
from datetime import UTC, datetime, timedelta
from xml.sax.saxutils import escape

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from core_double import saml, xml_signature

DSIG = f'xmlns:ds="{xml_signature.DSIG}"'
LIFETIME = timedelta(minutes=5)


class SoftwareIdp:
    """One identity provider with a key of its own."""

    def __init__(self, entity_id: str = "https://idp.example.com") -> None:
        self.entity_id = entity_id
        self._key = rsa.generate_private_key(65537, 2048)

    @functools.cached_property
    def certificate(self) -> str:
        """The signing certificate in base64 (DER)."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "idp")])
        now = datetime.now(UTC)
        made = x509.CertificateBuilder(
            name, name, self._key.public_key(), x509.random_serial_number(), now, now + LIFETIME
        )
        raw = made.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
        return base64.b64encode(raw).decode()

    @property
    def metadata(self) -> str:
        """The ``metadataXML`` of PUT /recipe/saml/clients."""
        xml = (
            f'<EntityDescriptor xmlns="{saml.METADATA}" {DSIG} entityID="{escape(self.entity_id)}">'
            f'<IDPSSODescriptor protocolSupportEnumeration="{saml.PROTOCOL}"><KeyDescriptor use="signing"><ds:KeyInfo>'
            f"<ds:X509Data><ds:X509Certificate>{self.certificate}</ds:X509Certificate></ds:X509Data></ds:KeyInfo>"
            f'</KeyDescriptor><SingleSignOnService Binding="{saml.REDIRECT}" Location="{escape(self.entity_id)}/sso"/>'
            "</IDPSSODescriptor></EntityDescriptor>"
        )
        return base64.b64encode(xml.encode()).decode()

    def response(self, subject: str, email: str, at: datetime | None = None, audience: str = saml.ENTITY_ID) -> str:
        """A signed ``samlResponse`` that says who signed in; good from two minutes before ``at`` to five after."""
        at = at or datetime.now(UTC)
        start, end = _instant(at - timedelta(minutes=2)), _instant(at + LIFETIME)
        identity = f"_{uuid.uuid4().hex}"
        opening = (
            f'<samlp:Response xmlns:samlp="{saml.PROTOCOL}" xmlns:saml="{saml.ASSERTION}" ID="{identity}" Version="2.0"'
            f' IssueInstant="{_instant(at)}"><saml:Issuer>{escape(self.entity_id)}</saml:Issuer>'
        )
        rest = (
            f'<samlp:Status><samlp:StatusCode Value="{saml.SUCCESS}"/></samlp:Status>'
            f'<saml:Assertion ID="_{uuid.uuid4().hex}" Version="2.0" IssueInstant="{_instant(at)}">'
            f"<saml:Issuer>{escape(self.entity_id)}</saml:Issuer><saml:Subject>"
            '<saml:NameID Format="urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress">'
            f'{escape(subject)}</saml:NameID></saml:Subject><saml:Conditions NotBefore="{start}" NotOnOrAfter="{end}">'
            f"<saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction>"
            f'</saml:Conditions><saml:AttributeStatement><saml:Attribute Name="{saml.EMAIL_CLAIM}">'
            f"<saml:AttributeValue>{escape(email)}</saml:AttributeValue></saml:Attribute></saml:AttributeStatement>"
            "</saml:Assertion></samlp:Response>"
        )
        signature = self._signature(identity, f"{opening}{rest}")
        return base64.b64encode(f"{opening}{signature}{rest}".encode()).decode()

    def _signature(self, identity: str, xml: str) -> str:
        digest = hashlib.sha256(xml_signature.canonical(xml_signature.parse(xml.encode()))).digest()
        info = (
            f'<ds:SignedInfo {DSIG}><ds:CanonicalizationMethod Algorithm="{xml_signature.EXCLUSIVE}"/>'
            '<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>'
            f'<ds:Reference URI="#{identity}"><ds:Transforms><ds:Transform Algorithm="{xml_signature.ENVELOPED}"/>'
            f'<ds:Transform Algorithm="{xml_signature.EXCLUSIVE}"/></ds:Transforms>'
            '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
            f"<ds:DigestValue>{base64.b64encode(digest).decode()}</ds:DigestValue></ds:Reference></ds:SignedInfo>"
        )
        signed = xml_signature.canonical(xml_signature.parse(info.encode()))
        value = base64.b64encode(self._key.sign(signed, padding.PKCS1v15(), hashes.SHA256())).decode()
        return f"<ds:Signature {DSIG}>{info}<ds:SignatureValue>{value}</ds:SignatureValue></ds:Signature>"


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
