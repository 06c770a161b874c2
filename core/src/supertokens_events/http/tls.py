"""What TLS is done with, where a person says: an authority of their own, a certificate that says who we are."""

from __future__ import annotations

import ssl
from pathlib import Path

import httpx

__all__ = ["client_context"]

_NO_PASSWORD = ""  # else OpenSSL would ask for one on the terminal


def client_context(
    *,
    ca_file: Path | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    password: str | None = None,
) -> ssl.SSLContext:
    """A context that trusts the authorities in ``ca_file`` instead of the usual ones, and shows ``certificate`` to a server that
    asks. ``key`` is its private key, in the same file if not given, and ``password`` the key's; all files are PEM.

    Raises ``ValueError``, a sentence that names the file and never the password.
    """
    context = httpx.create_ssl_context() if ca_file is None else _trusting(ca_file)
    if certificate is not None:
        _show(context, certificate, key or certificate, password)
    return context


def _trusting(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError:
        raise ValueError(f"ca_file: {ca_file} holds no certificates in PEM") from None
    except OSError as error:
        raise ValueError(f"ca_file: {ca_file} cannot be read: {error.strerror}") from None


def _show(context: ssl.SSLContext, certificate: Path, key: Path, password: str | None) -> None:
    for path in dict.fromkeys((certificate, key)):
        try:
            path.open("rb").close()
        except OSError as error:
            raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key, password=_NO_PASSWORD if password is None else password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError(f"the private key in {key} is not that of the certificate in {certificate}") from None
        raise ValueError(
            f"{certificate} with {key} is no certificate with its private key in PEM, or the key's password is wrong or missing"
        ) from None
