"""The names of the built-in types by domain, so that a configuration can be checked and an app started without making a
hundred models. A test compares them with the models.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["HIGH_VOLUME", "TYPES"]

TYPES: Mapping[str, str] = {
    "account": """
        account.link.failed account.linked account.unlinked user.became_primary
    """,
    "dashboard": """
        dashboard.access.denied dashboard.admin.sign_in.failed dashboard.admin.signed_in
        dashboard.admin.signed_out
    """,
    "delivery": """
        delivery.exhausted sink.disabled
    """,
    "email": """
        email.unverified email.verification.failed email.verification.requested
        email.verification.tokens_revoked email.verified
    """,
    "erasure": """
        user.data_erased
    """,
    "jwt": """
        jwt.issued
    """,
    "mapping": """
        user.id_mapping.created user.id_mapping.deleted user.id_mapping.info_changed
    """,
    "metadata": """
        user.metadata.cleared user.metadata.updated
    """,
    "mfa": """
        mfa.challenge.failed mfa.challenge.passed mfa.enrolled mfa.enrollment.failed mfa.factor.completed
        mfa.required_factors.changed mfa.totp_device.created mfa.totp_device.removed mfa.totp_device.renamed
    """,
    "oauth": """
        oauth.authorization.completed oauth.authorization.failed oauth.client.create.failed
        oauth.client.created oauth.client.deleted oauth.client.secret_rotated oauth.client.tokens_revoked
        oauth.client.update.failed oauth.client.updated oauth.consent.accepted oauth.consent.rejected
        oauth.login.accepted oauth.login.rejected oauth.logout.accepted oauth.logout.rejected
        oauth.session.tokens_revoked oauth.token.issue_failed oauth.token.issued oauth.token.revoke.failed
        oauth.token.revoked
    """,
    "password": """
        password.changed password.reset.completed password.reset.failed password.reset.requested
    """,
    "passwordless": """
        passwordless.code.created passwordless.code.resent passwordless.codes.revoked
    """,
    "role": """
        role.assigned role.created role.deleted role.permissions.added role.permissions.removed
        role.unassigned
    """,
    "saml": """
        saml.client.removed saml.client.save.failed saml.client.saved saml.login.failed saml.login.started
        saml.response.rejected saml.response.verified
    """,
    "session": """
        session.claims.updated session.created session.data.updated session.refresh.failed session.refreshed
        session.revoked session.token_theft_detected
    """,
    "tenant": """
        tenant.created tenant.deleted tenant.provider.created tenant.provider.deleted tenant.provider.updated
        tenant.updated tenant.user.associated tenant.user.association.failed tenant.user.disassociated
    """,
    "user": """
        oauth_login.started user.created user.credentials.verified user.deleted user.email.changed
        user.phone.changed user.reauthenticated user.sign_in.failed user.sign_up.failed user.signed_in
    """,
    "webauthn": """
        webauthn.credential.registered webauthn.credential.removed webauthn.recovery.completed
        webauthn.recovery.failed webauthn.recovery.requested webauthn.recovery.token_consumed
    """,
}
"""By the name of the module in ``catalog``."""

HIGH_VOLUME = frozenset(
    """
    email.verification.tokens_revoked jwt.issued mfa.challenge.passed oauth.authorization.completed
    oauth_login.started passwordless.codes.revoked saml.login.started session.claims.updated
    session.data.updated session.refreshed user.credentials.verified
    """.split()  # noqa: SIM905 - a list of words reads best as words
)
"""The types that are captured only when ``[capture] events`` asks for them."""
