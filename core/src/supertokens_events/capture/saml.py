"""What happens in the recipe ``saml``. Its sign-ins are the recipe ``thirdparty``'s."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from supertokens_events.capture import reads
from supertokens_events.capture.recipe import Fact, Outcome, Recipe, failure, ok
from supertokens_events.capture.scope import Scope
from supertokens_events.catalog.saml import (
    SamlClientFailure,
    SamlClientRemoved,
    SamlClientSaved,
    SamlClientSaveFailed,
    SamlLoginFailed,
    SamlLoginFailure,
    SamlLoginStarted,
    SamlResponseRejected,
    SamlResponseRejection,
    SamlResponseVerified,
)

recipe = Recipe("saml")
recipe.ignore("list_clients", because="a read")
recipe.ignore("get_user_info", because="a step of a sign-in, which `thirdparty.sign_in_up` tells")

SAVE_FAILED = failure(
    {
        "CreateOrUpdateClientInvalidMetadataXMLError": SamlClientFailure.INVALID_METADATA,
        "CreateOrUpdateClientDuplicateIdpEntityError": SamlClientFailure.DUPLICATE_IDP,
    },
    ok=["CreateOrUpdateClientOkResult"],
    other=SamlClientFailure.OTHER,
    error=SamlClientFailure.ERROR,
)

LOGIN_FAILED = failure(
    {
        "CreateLoginRequestInvalidClientError": SamlLoginFailure.INVALID_CLIENT,
        "GeneralErrorResponse": SamlLoginFailure.GENERAL_ERROR,
    },
    ok=["CreateLoginRequestOkResult"],
    other=SamlLoginFailure.OTHER,
    error=SamlLoginFailure.ERROR,
)

RESPONSE_REJECTED = failure(
    {
        "VerifySAMLResponseVerificationFailedError": SamlResponseRejection.VERIFICATION_FAILED,
        "VerifySAMLResponseInvalidRelayStateError": SamlResponseRejection.INVALID_RELAY_STATE,
        "VerifySAMLResponseInvalidClientError": SamlResponseRejection.INVALID_CLIENT,
        "VerifySAMLResponseIDPLoginDisallowedError": SamlResponseRejection.IDP_LOGIN_DISALLOWED,
        "GeneralErrorResponse": SamlResponseRejection.GENERAL_ERROR,
    },
    ok=["VerifySAMLResponseOkResult"],
    other=SamlResponseRejection.OTHER,
    error=SamlResponseRejection.ERROR,
)


# Clients


@recipe.derive("client")
def client(_arguments: Mapping[str, Any], outcome: Outcome, _scope: Scope) -> Mapping[str, Any]:
    """Of the client that was stored, what is no certificate."""
    stored = outcome.value.client
    return {
        "client_id": stored.client_id,
        "idp_entity_id": stored.idp_entity_id,
        "redirect_uris": list(stored.redirect_uris),
        "allow_idp_initiated_login": stored.allow_idp_initiated_login,
        "enable_request_signing": stored.enable_request_signing,
    }


@recipe.read_before("create_or_update_client", SamlClientSaved)
async def clients_before(tenant_id: str, client_id: str | None, user_context: dict[str, Any]) -> Mapping[str, Any]:
    """The SDK does not say whether it created or updated. Without an id it can only create."""
    return {"created": client_id is None or client_id not in await reads.saml_clients(tenant_id, user_context)}


@recipe.function("create_or_update_client", ok("CreateOrUpdateClientOkResult"))
def client_saved(client: Mapping[str, Any], tenant_id: str, created: bool | None = None) -> Fact:
    return Fact(SamlClientSaved.model_validate({**client, "created": created}), tenant_id=tenant_id)


@recipe.function("create_or_update_client", SAVE_FAILED)
def client_save_failed(reason: SamlClientFailure, client_id: str | None, tenant_id: str) -> Fact:
    return Fact(SamlClientSaveFailed(reason=reason, client_id=client_id), tenant_id=tenant_id)


@recipe.function("remove_client", ok("RemoveClientOkResult"))
def client_removed(client_id: str, did_exist: bool, tenant_id: str) -> Fact | None:
    return Fact(SamlClientRemoved(client_id=client_id), tenant_id=tenant_id) if did_exist else None


# Sign-ins


@recipe.derive("idp_initiated")
def idp_initiated(arguments: Mapping[str, Any], _outcome: Outcome, _scope: Scope) -> bool:
    """An answer comes with the relay state of its question."""
    return not arguments["relay_state"]


@recipe.function("create_login_request", ok("CreateLoginRequestOkResult"))
def login_started(client_id: str, tenant_id: str) -> Fact:
    return Fact(SamlLoginStarted(client_id=client_id), tenant_id=tenant_id)


@recipe.api("login_get", LOGIN_FAILED)
@recipe.function("create_login_request", LOGIN_FAILED, outside_api=True)
def login_failed(reason: SamlLoginFailure, client_id: str, tenant_id: str) -> Fact:
    return Fact(SamlLoginFailed(reason=reason, client_id=client_id), tenant_id=tenant_id)


@recipe.function("verify_saml_response", ok("VerifySAMLResponseOkResult"))
def response_verified(idp_initiated: bool, tenant_id: str) -> Fact:
    """Not a sign-in: who it is, only the code in the redirect says, when it is used."""
    return Fact(SamlResponseVerified(idp_initiated=idp_initiated), tenant_id=tenant_id)


@recipe.api("callback_post", RESPONSE_REJECTED)
@recipe.function("verify_saml_response", RESPONSE_REJECTED, outside_api=True)
def response_rejected(reason: SamlResponseRejection, idp_initiated: bool, tenant_id: str) -> Fact:
    return Fact(SamlResponseRejected(reason=reason, idp_initiated=idp_initiated), tenant_id=tenant_id)
