"""What is said of each built-in event type, and how urgent it is. A test compares the names with the catalog, and the fields with
its data models.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

__all__ = ["TEXTS", "Urgency", "text_for_another", "urgency_of"]


class Urgency(IntEnum):
    """What a person on call reads first."""

    ALARM = 0
    WARNING = 1
    NOTICE = 2

    @property
    def sign(self) -> str:
        """What stands in front of such an event."""
        return _SIGNS[self]


_SIGNS = {
    Urgency.ALARM: "\N{POLICE CARS REVOLVING LIGHT} ",
    Urgency.WARNING: "\N{WARNING SIGN}\N{VARIATION SELECTOR-16} ",
    Urgency.NOTICE: "",
}
_ALARMS = frozenset({"delivery.exhausted", "saml.response.rejected", "session.token_theft_detected", "sink.disabled"})
_REFUSALS = frozenset({"failed", "issue_failed", "denied", "rejected"})
_NO_REFUSALS = frozenset(
    {"oauth.consent.rejected", "oauth.login.rejected", "oauth.logout.rejected"}
)  # a user's own choice


def urgency_of(event_type: str) -> Urgency:
    """By its name: what was refused or has failed is a warning, in an app's own types too."""
    if event_type in _ALARMS:
        return Urgency.ALARM
    refused = event_type.rpartition(".")[2] in _REFUSALS and event_type not in _NO_REFUSALS
    return Urgency.WARNING if refused else Urgency.NOTICE


def text_for_another(event_type: str) -> str:
    """The text for a type that has none: ``app.invitation.accepted`` is "App invitation accepted"."""
    words = event_type.replace(".", " ").replace("_", " ").strip()
    return f"*{words[:1].upper()}{words[1:]}*: `{{who}}`"


TEXTS: Mapping[str, str] = {
    "account.link.failed": "Account `{data.recipe_user_id}` was not linked to `{data.primary_user_id}`: `{data.reason}`",
    "account.linked": "Login method `{data.recipe_user_id}` became part of user `{data.primary_user_id}`",
    "account.unlinked": "Login method `{data.recipe_user_id}` left user `{data.primary_user_id}`",
    "dashboard.access.denied": "The dashboard refused a request: `{data.reason}`",
    "dashboard.admin.sign_in.failed": "Dashboard sign-in *failed* for `{who}`: `{data.reason}`",
    "dashboard.admin.signed_in": "`{who}` signed in to the dashboard",
    "dashboard.admin.signed_out": "`{who}` signed out of the dashboard",
    "delivery.exhausted": (
        "*Delivery given up*: `{data.about_event_type}` to sink `{data.sink}` after {data.attempts} attempts: `{data.why}`"
    ),
    "email.unverified": "The e-mail address of `{who}` counts as unverified again",
    "email.verification.failed": "An e-mail verification link did not work: `{data.reason}`",
    "email.verification.requested": "`{who}` is to verify an e-mail address",
    "email.verification.tokens_revoked": "The e-mail verification links of `{who}` were made void",
    "email.verified": "`{who}` has a verified e-mail address",
    "jwt.issued": "A JSON Web Token of the app's own was signed",
    "mfa.challenge.failed": "Authenticator code *refused* for `{who}`: `{data.reason}`",
    "mfa.challenge.passed": "Authenticator code accepted for `{who}`",
    "mfa.enrolled": "`{who}` set up the factor `{data.factor_id}`",
    "mfa.enrollment.failed": "`{who}` could not set up the factor `{data.factor_id}`: `{data.reason}`",
    "mfa.factor.completed": "`{who}` completed the factor `{data.factor_id}`",
    "mfa.required_factors.changed": "The required factor `{data.factor_id}` was {data.change} for `{who}`",
    "mfa.totp_device.created": "`{who}` began to set up the authenticator app `{data.device_name}`",
    "mfa.totp_device.removed": "`{who}` no longer has the authenticator app `{data.device_name}`",
    "mfa.totp_device.renamed": "`{who}` renamed an authenticator app to `{data.device_name}`",
    "oauth.authorization.completed": "`{who}` let OAuth2 client `{data.client_id}` in",
    "oauth.authorization.failed": "Authorization *failed* for OAuth2 client `{data.client_id}`: `{data.reason}`",
    "oauth.client.create.failed": "An OAuth2 client could not be created: `{data.reason}`",
    "oauth.client.created": "OAuth2 client `{data.client_name|data.client_id}` was created",
    "oauth.client.deleted": "OAuth2 client `{data.client_name|data.client_id}` was deleted",
    "oauth.client.secret_rotated": "OAuth2 client `{data.client_name|data.client_id}` has another secret",
    "oauth.client.tokens_revoked": "All tokens of OAuth2 client `{data.client_id}` were made void",
    "oauth.client.update.failed": "OAuth2 client `{data.client_id}` could not be changed: `{data.reason}`",
    "oauth.client.updated": "OAuth2 client `{data.client_name|data.client_id}` was changed: {data.fields}",
    "oauth.consent.accepted": "`{who}` gave consent to OAuth2 client `{data.client_id}`",
    "oauth.consent.rejected": "Consent was refused to OAuth2 client `{data.client_id}`: `{data.reason}`",
    "oauth.login.accepted": "OAuth2 client `{data.client_id}` was told who is signed in",
    "oauth.login.rejected": "OAuth2 client `{data.client_id}` was told that nobody is signed in: `{data.reason}`",
    "oauth.logout.accepted": "`{who}` signed out of OAuth2 clients",
    "oauth.logout.rejected": "`{who}` chose to stay signed in",
    "oauth.session.tokens_revoked": "The OAuth2 tokens of session `{data.session_handle}` were made void",
    "oauth.token.issue_failed": "OAuth2 client `{data.claimed_client_id}` got no tokens: `{data.reason}`",
    "oauth.token.issued": "OAuth2 client `{data.client_id}` got tokens",
    "oauth.token.revoke.failed": "OAuth2 client `{data.claimed_client_id}` could not revoke a token: `{data.reason}`",
    "oauth.token.revoked": "OAuth2 client `{data.claimed_client_id}` revoked a token",
    "oauth_login.started": "Somebody began to sign in with `{data.third_party_id}`",
    "password.changed": "The password of `{who}` was changed",
    "password.reset.completed": "`{who}` reset their password",
    "password.reset.failed": "A password reset link did not work: `{data.reason}`",
    "password.reset.requested": "A password reset was asked for `{who}`",
    "passwordless.code.created": "A sign-in code was made for `{who}`",
    "passwordless.code.resent": "Another sign-in code was made for `{who}`",
    "passwordless.codes.revoked": "Sign-in codes of `{who}` were made void",
    "role.assigned": "`{who}` has the role `{data.role}` now",
    "role.created": "Role `{data.role}` was created: {data.permissions}",
    "role.deleted": "Role `{data.role}` was deleted",
    "role.permissions.added": "Role `{data.role}` permits more: {data.permissions}",
    "role.permissions.removed": "Role `{data.role}` permits less: {data.permissions}",
    "role.unassigned": "`{who}` no longer has the role `{data.role}`",
    "saml.client.removed": "SAML client `{data.client_id}` was removed",
    "saml.client.save.failed": "SAML client `{data.client_id}` could not be stored: `{data.reason}`",
    "saml.client.saved": "SAML client `{data.client_id}` was stored, for `{data.idp_entity_id}`",
    "saml.login.failed": "SAML sign-in through `{data.client_id}` *failed*: `{data.reason}`",
    "saml.login.started": "Somebody began to sign in through SAML client `{data.client_id}`",
    "saml.response.rejected": "*SAML response not believed*: `{data.reason}`",
    "saml.response.verified": "An identity provider vouched for somebody",
    "session.claims.updated": "The claims of session `{data.session_handle}` of `{who}` were changed: {data.keys}",
    "session.created": "`{who}` has a new session",
    "session.data.updated": "The data of session `{data.session_handle}` of `{who}` was replaced",
    "session.refresh.failed": "A session could not be refreshed: `{data.reason}`",
    "session.refreshed": "A session of `{who}` was refreshed",
    "session.revoked": "A session of `{who}` was ended",
    "session.token_theft_detected": (
        "*Token theft detected* for user `{who}`: a refresh token of session `{data.session_handle}` was used twice"
    ),
    "sink.disabled": "*Sink* `{data.sink}` *is disabled*: `{data.why}`",
    "tenant.created": "Tenant `{tenant_id}` was created",
    "tenant.deleted": "Tenant `{tenant_id}` was deleted",
    "tenant.provider.created": "Tenant `{tenant_id}` lets people sign in with `{data.name|data.third_party_id}`",
    "tenant.provider.deleted": "Tenant `{tenant_id}` has no settings for `{data.third_party_id}` any more",
    "tenant.provider.updated": "Tenant `{tenant_id}` changed how people sign in with `{data.name|data.third_party_id}`",
    "tenant.updated": "Tenant `{tenant_id}` was changed",
    "tenant.user.associated": "`{who}` can sign in to tenant `{tenant_id}`",
    "tenant.user.association.failed": "`{who}` could not be brought into tenant `{tenant_id}`: `{data.reason}`",
    "tenant.user.disassociated": "`{who}` can no longer sign in to tenant `{tenant_id}`",
    "user.became_primary": "`{who}` became a primary user",
    "user.created": "`{who}` signed up with {data.method}",
    "user.credentials.verified": "The credentials of `{who}` were looked at and are right",
    "user.data_erased": "What was stored of `{who}` was erased: {data.events} events",
    "user.deleted": "User `{who}` was deleted",
    "user.email.changed": "E-mail changed from `{data.previous_email}` to `{data.email}`",
    "user.id_mapping.created": "User `{data.supertokens_user_id}` has the id `{data.external_user_id}` now",
    "user.id_mapping.deleted": "User `{who}` has the id of SuperTokens again",
    "user.id_mapping.info_changed": "The note on the id of user `{who}` was changed",
    "user.metadata.cleared": "The metadata of `{who}` was cleared",
    "user.metadata.updated": "The metadata of `{who}` was changed: {data.keys}",
    "user.phone.changed": "Phone number changed from `{data.previous_phone_number}` to `{data.phone_number}`",
    "user.reauthenticated": "`{who}` proved who they are again, with {data.method}",
    "user.sign_in.failed": "Sign-in *failed* for `{who}` with {data.method}: `{data.reason}`",
    "user.sign_up.failed": "Sign-up *failed* for `{who}` with {data.method}: `{data.reason}`",
    "user.signed_in": "`{who}` signed in with {data.method}",
    "webauthn.credential.registered": "`{who}` has another passkey",
    "webauthn.credential.removed": "A passkey of `{who}` was removed",
    "webauthn.recovery.completed": "`{who}` recovered their account with a new passkey",
    "webauthn.recovery.failed": "An account recovery *failed*: `{data.reason}`",
    "webauthn.recovery.requested": "An account recovery was asked for `{who}`",
    "webauthn.recovery.token_consumed": "A recovery token of `{who}` was used up",
}
"""Of each built-in type."""
