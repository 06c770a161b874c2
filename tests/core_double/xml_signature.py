"""XML signatures (xmldsig-core1) as identity providers make them: enveloped, exclusive c14n, RSA with SHA-256 or SHA-1.

A signature says which element it covers. ``signed_element`` returns that element and nothing around it, so a caller
that reads only from it cannot be fooled by unsigned siblings.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from xml.dom import minidom
from xml.dom.minidom import Element, Node

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import load_der_x509_certificate

DSIG = "http://www.w3.org/2000/09/xmldsig#"
EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
ENVELOPED = f"{DSIG}enveloped-signature"
DIGESTS = {"http://www.w3.org/2001/04/xmlenc#sha256": hashlib.sha256, f"{DSIG}sha1": hashlib.sha1}
SIGNATURES: dict[str, hashes.HashAlgorithm] = {
    "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256": hashes.SHA256(),
    f"{DSIG}rsa-sha1": hashes.SHA1(),
}
XML = "http://www.w3.org/XML/1998/namespace"
XMLNS = "http://www.w3.org/2000/xmlns/"


class BadSignature(ValueError):
    """No signature, or one that does not hold."""


# --- verifying ----------------------------------------------------------------------------------------------------


def signed_element(candidates: list[Element], certificate: str) -> Element:
    """The first candidate with a signature of its own, if that is the certificate's (base64 DER) over all of it."""
    for element in candidates:
        signatures = children(element, DSIG, "Signature")
        if signatures:
            _verify(element, signatures[0], certificate)
            return element
    raise BadSignature("nothing is signed")


def _verify(element: Element, signature: Element, certificate: str) -> None:
    info = child(signature, DSIG, "SignedInfo")
    reference = child(info, DSIG, "Reference")
    if reference.getAttribute("URI") not in ("", f"#{element.getAttribute('ID')}"):
        raise BadSignature("the signature covers another element")
    transforms = children(child(reference, DSIG, "Transforms"), DSIG, "Transform")
    if {transform.getAttribute("Algorithm") for transform in transforms} - {ENVELOPED, EXCLUSIVE}:
        raise BadSignature("a transform is not supported")
    digest = DIGESTS.get(child(reference, DSIG, "DigestMethod").getAttribute("Algorithm"))
    method = SIGNATURES.get(child(info, DSIG, "SignatureMethod").getAttribute("Algorithm"))
    if digest is None or method is None:
        raise BadSignature("an algorithm is not supported")
    covered = canonical(element, without=signature, inclusive=_inclusive_prefixes(transforms))
    if digest(covered).digest() != _base64(child(reference, DSIG, "DigestValue")):
        raise BadSignature("the digest differs")
    c14n = children(info, DSIG, "CanonicalizationMethod")
    signed = canonical(info, inclusive=_inclusive_prefixes(c14n))
    try:
        key = _key(certificate)
        key.verify(_base64(child(signature, DSIG, "SignatureValue")), signed, padding.PKCS1v15(), method)
    except InvalidSignature:
        raise BadSignature("the signature is not the certificate's") from None


def _key(certificate: str) -> rsa.RSAPublicKey:
    key = load_der_x509_certificate(base64.b64decode("".join(certificate.split()))).public_key()
    if not isinstance(key, rsa.RSAPublicKey):
        raise BadSignature("the certificate's key is not RSA")
    return key


def _base64(element: Element) -> bytes:
    try:
        return base64.b64decode("".join(text(element).split()))
    except binascii.Error:
        raise BadSignature("a value is not base64") from None


def _inclusive_prefixes(transforms: list[Element]) -> set[str]:
    lists = [found for transform in transforms for found in children(transform, EXCLUSIVE, "InclusiveNamespaces")]
    return {prefix for found in lists for prefix in found.getAttribute("PrefixList").split()}


# --- reading ------------------------------------------------------------------------------------------------------


def parse(data: bytes) -> Element:
    """The root of an XML document. A document type is refused: nothing here needs entities."""
    document = minidom.parseString(data)
    if document.doctype is not None or document.documentElement is None:
        raise ValueError("a document type is not allowed")
    return document.documentElement


def children(element: Element, namespace: str, name: str) -> list[Element]:
    return [
        node
        for node in element.childNodes
        if isinstance(node, Element) and node.namespaceURI == namespace and node.localName == name
    ]


def child(element: Element, namespace: str, name: str) -> Element:
    found = children(element, namespace, name)
    if not found:
        raise BadSignature(f"{name} is missing in {element.tagName}")
    return found[0]


def text(element: Element) -> str:
    return "".join(node.data for node in element.childNodes if isinstance(node, minidom.Text)).strip()


# --- exclusive canonicalisation -----------------------------------------------------------------------------------


def canonical(element: Element, without: Element | None = None, inclusive: set[str] | None = None) -> bytes:
    """The element in exclusive canonical XML without comments, one of its children left out."""
    parts: list[str] = []
    _write(element, {}, parts, without, inclusive or set())
    return "".join(parts).encode()


def _write(
    element: Element, rendered: dict[str, str], parts: list[str], without: Element | None, inclusive: set[str]
) -> None:
    plain = [attribute for attribute in element.attributes.values() if attribute.namespaceURI != XMLNS]
    used = {element.prefix or ""} | {attribute.prefix for attribute in plain if attribute.prefix}
    in_scope = {prefix: _namespace(element, prefix) for prefix in used | inclusive if prefix != "xml"}
    new = {prefix: uri for prefix, uri in in_scope.items() if uri != rendered.get(prefix, "")}
    parts.append(f"<{element.tagName}")
    names = [(f"xmlns:{prefix}" if prefix else "xmlns", uri) for prefix, uri in sorted(new.items())]
    plain.sort(key=lambda attribute: (attribute.namespaceURI or "", attribute.localName or attribute.name))
    names += [(attribute.name, attribute.value) for attribute in plain]
    parts += [f' {name}="{_escape(value, quoted=True)}"' for name, value in names]
    parts.append(">")
    for node in element.childNodes:
        if isinstance(node, Element) and node is not without:
            _write(node, {**rendered, **new}, parts, without, inclusive)
        elif isinstance(node, minidom.Text):
            parts.append(_escape(node.data))
        elif node.nodeType == Node.PROCESSING_INSTRUCTION_NODE:
            parts.append(node.toxml())
    parts.append(f"</{element.tagName}>")


def _namespace(element: Element, prefix: str) -> str:
    """What a prefix means at this element; "" when it means nothing."""
    name = f"xmlns:{prefix}" if prefix else "xmlns"
    node: Node | None = element
    while isinstance(node, Element):
        if node.hasAttribute(name):
            return node.getAttribute(name)
        node = node.parentNode
    return ""


def _escape(value: str, quoted: bool = False) -> str:
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace("\r", "&#xD;")
    if quoted:
        return value.replace('"', "&quot;").replace("\t", "&#x9;").replace("\n", "&#xA;")
    return value.replace(">", "&gt;")
