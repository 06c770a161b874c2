"""Which of our event types is which class and activity of OCSF, how it ended, and how much it matters.

A type is said in OCSF's words only where those say no more than what happened: a password that somebody asked to reset is
not reset. Where a class fits and none of its activities does, the activity is 99, ``Other``, and its name is the event type. A
type that fits no class, such as an app's own, is a Base Event.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["BASE", "EventClass", "Kind", "kind_of"]

_OTHER = 99
_IAM = (3, "Identity & Access Management")


class EventClass(NamedTuple):
    """A class of OCSF with those of its activities that are ours."""

    uid: int
    name: str
    category: tuple[int, str]
    activities: tuple[tuple[int, str], ...] = ()


BASE = EventClass(0, "Base Event", (0, "Uncategorized"))
ACCOUNT_CHANGE = EventClass(
    3001,
    "Account Change",
    _IAM,
    (
        (1, "Create"),
        (3, "Password Change"),
        (4, "Password Reset"),
        (6, "Delete"),
        (10, "MFA Factor Enable"),
        (11, "MFA Factor Disable"),
    ),
)
AUTHENTICATION = EventClass(3002, "Authentication", _IAM, ((1, "Logon"), (2, "Logoff"), (6, "Preauth")))
ENTITY_MANAGEMENT = EventClass(3004, "Entity Management", _IAM, ((1, "Create"), (3, "Update"), (4, "Delete")))
USER_ACCESS = EventClass(3005, "User Access Management", _IAM, ((1, "Assign Privileges"), (2, "Revoke Privileges")))
GROUP_MANAGEMENT = EventClass(3006, "Group Management", _IAM, ((3, "Add User"), (4, "Remove User")))

TYPES: Mapping[EventClass, Mapping[int, str]] = {
    ACCOUNT_CHANGE: {
        1: "user.created user.sign_up.failed",
        3: "password.changed",
        4: "password.reset.completed password.reset.failed",
        6: "user.deleted",
        10: "mfa.enrolled mfa.enrollment.failed",
        11: "mfa.totp_device.removed",
        _OTHER: """
            account.link.failed account.linked account.unlinked
            email.unverified email.verification.failed email.verification.requested
            email.verification.tokens_revoked email.verified
            mfa.required_factors.changed mfa.totp_device.created mfa.totp_device.renamed
            password.reset.requested
            user.became_primary user.email.changed user.id_mapping.created user.id_mapping.deleted
            user.id_mapping.info_changed user.metadata.cleared user.metadata.updated user.phone.changed
            webauthn.credential.registered webauthn.credential.removed webauthn.recovery.completed
            webauthn.recovery.failed webauthn.recovery.requested webauthn.recovery.token_consumed
        """,
    },
    AUTHENTICATION: {
        1: "user.signed_in user.sign_in.failed dashboard.admin.signed_in dashboard.admin.sign_in.failed",
        2: "session.revoked dashboard.admin.signed_out oauth.logout.accepted",
        6: """
            oauth_login.started saml.login.started saml.login.failed
            passwordless.code.created passwordless.code.resent
        """,
        _OTHER: """
            dashboard.access.denied
            mfa.challenge.failed mfa.challenge.passed mfa.factor.completed
            oauth.authorization.completed oauth.authorization.failed oauth.client.tokens_revoked
            oauth.consent.accepted oauth.consent.rejected oauth.login.accepted oauth.login.rejected
            oauth.logout.rejected oauth.session.tokens_revoked oauth.token.issue_failed oauth.token.issued
            oauth.token.revoke.failed oauth.token.revoked
            passwordless.codes.revoked
            saml.response.rejected saml.response.verified
            session.claims.updated session.created session.data.updated session.refresh.failed
            session.refreshed session.token_theft_detected
            user.credentials.verified user.reauthenticated
        """,
    },
    ENTITY_MANAGEMENT: {
        1: "role.created tenant.created tenant.provider.created oauth.client.created oauth.client.create.failed",
        3: """
            role.permissions.added role.permissions.removed tenant.updated tenant.provider.updated
            oauth.client.updated oauth.client.update.failed oauth.client.secret_rotated
            saml.client.saved saml.client.save.failed
        """,
        4: "role.deleted tenant.deleted tenant.provider.deleted oauth.client.deleted saml.client.removed",
    },
    USER_ACCESS: {1: "role.assigned", 2: "role.unassigned"},
    GROUP_MANAGEMENT: {
        3: "tenant.user.associated tenant.user.association.failed",
        4: "tenant.user.disassociated",
    },
    BASE: {_OTHER: "delivery.exhausted sink.disabled jwt.issued user.data_erased"},
}

UNKNOWN, SUCCESS, FAILURE = (0, "Unknown"), (1, "Success"), (2, "Failure")
_FAILURES = ("failed", "rejected", "denied", "theft_detected", "exhausted", "disabled")

INFORMATIONAL, LOW, MEDIUM, HIGH = (1, "Informational"), (2, "Low"), (3, "Medium"), (4, "High")
_SEVERITIES: Mapping[str, tuple[int, str]] = {
    "session.token_theft_detected": HIGH,
    "dashboard.access.denied": MEDIUM,
    "dashboard.admin.sign_in.failed": MEDIUM,
    "delivery.exhausted": MEDIUM,
    "sink.disabled": MEDIUM,
}


class Kind(NamedTuple):
    """What a type is in OCSF. Pairs are an id and its caption."""

    event_class: EventClass
    activity: tuple[int, str]
    status: tuple[int, str]
    severity: tuple[int, str]


def kind_of(event_type: str, data: Mapping[str, Any]) -> Kind:
    """What an event of this type is; of one that nobody here knows, a Base Event of unknown status."""
    kind = _KINDS.get(event_type) or Kind(BASE, (_OTHER, event_type), UNKNOWN, INFORMATIONAL)
    if event_type == "user.deleted" and data.get("extent") != "user":  # one login method of several, or it is not known
        return kind._replace(activity=(_OTHER, event_type))
    return kind


def _kind(event_class: EventClass, activity: int, event_type: str) -> Kind:
    status = FAILURE if event_type.endswith(_FAILURES) else SUCCESS
    severity = _SEVERITIES.get(event_type, INFORMATIONAL if status is SUCCESS else LOW)
    return Kind(event_class, (activity, dict(event_class.activities).get(activity, event_type)), status, severity)


_KINDS: Mapping[str, Kind] = {
    event_type: _kind(event_class, activity, event_type)
    for event_class, activities in TYPES.items()
    for activity, event_types in activities.items()
    for event_type in event_types.split()
}
