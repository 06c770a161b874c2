"""The recipes of the flows, each as a function of the world that makes one for ``init``."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from supertokens_python.ingredients.emaildelivery.types import EmailDeliveryConfig
from supertokens_python.ingredients.smsdelivery.types import SMSDeliveryConfig
from supertokens_python.recipe import accountlinking, session
from supertokens_python.recipe import dashboard as dashboard_recipe
from supertokens_python.recipe import emailpassword as emailpassword_recipe
from supertokens_python.recipe import emailverification as emailverification_recipe
from supertokens_python.recipe import multifactorauth as multifactorauth_recipe
from supertokens_python.recipe import oauth2provider as oauth2provider_recipe
from supertokens_python.recipe import passwordless as passwordless_recipe
from supertokens_python.recipe import thirdparty as thirdparty_recipe
from supertokens_python.recipe import totp as totp_recipe
from supertokens_python.recipe import userroles as userroles_recipe
from supertokens_python.recipe.accountlinking.types import ShouldAutomaticallyLink
from supertokens_python.recipe.passwordless import ContactEmailOrPhoneConfig
from supertokens_python.recipe.thirdparty.provider import ProviderClientConfig, ProviderConfig, ProviderInput
from supertokens_python.recipe.thirdparty.types import UserInfo, UserInfoEmail
from supertokens_python.recipe.thirdparty.utils import SignInAndUpFeature

from flows.harness import RecipeMaker

PROVIDER = "acme"


def sessions() -> RecipeMaker:
    return lambda _: session.init(anti_csrf="NONE", get_token_transfer_method=lambda *_: "header")


def emailpassword() -> RecipeMaker:
    return lambda w: emailpassword_recipe.init(email_delivery=EmailDeliveryConfig(service=w.post))


def emailverification(mode: Literal["REQUIRED", "OPTIONAL"] = "OPTIONAL") -> RecipeMaker:
    return lambda w: emailverification_recipe.init(mode=mode, email_delivery=EmailDeliveryConfig(service=w.post))


def passwordless() -> RecipeMaker:
    return lambda w: passwordless_recipe.init(
        contact_config=ContactEmailOrPhoneConfig(),
        flow_type="USER_INPUT_CODE_AND_MAGIC_LINK",
        email_delivery=EmailDeliveryConfig(service=w.post),
        sms_delivery=SMSDeliveryConfig(service=w.post),
    )


def thirdparty(*ids: str) -> RecipeMaker:
    """Providers that believe what the test says: the OAuth tokens *are* the user's profile."""

    def override(provider: Any) -> Any:
        async def get_user_info(oauth_tokens: dict[str, Any], user_context: dict[str, Any]) -> UserInfo:
            if "raises" in oauth_tokens:
                raise RuntimeError("the provider is down")
            email = oauth_tokens.get("email")
            return UserInfo(
                oauth_tokens["id"], UserInfoEmail(email, oauth_tokens.get("verified", True)) if email else None
            )

        provider.get_user_info = get_user_info
        return provider

    def config(third_party_id: str) -> ProviderConfig:
        endpoint = "http://127.0.0.1:9/nobody-asks-it"
        client = ProviderClientConfig(client_id="client", client_secret="client-secret")
        return ProviderConfig(
            third_party_id,
            name=third_party_id,
            clients=[client],
            authorization_endpoint=endpoint,
            token_endpoint=endpoint,
            require_email=third_party_id != "nomail",
        )

    providers = [ProviderInput(config=config(name), override=override) for name in ids or (PROVIDER, "nomail")]
    return lambda _: thirdparty_recipe.init(sign_in_and_up_feature=SignInAndUpFeature(providers=providers))


def linking(*, verified: bool = False) -> RecipeMaker:
    """Automatic account linking, for verified addresses only or for all."""

    async def decide(*_: Any) -> ShouldAutomaticallyLink:
        return ShouldAutomaticallyLink(should_require_verification=verified)

    return lambda _: accountlinking.init(should_do_automatic_account_linking=decide)


def webauthn() -> RecipeMaker:
    def make(w: Any) -> Any:
        sdk = pytest.importorskip("supertokens_python.recipe.webauthn", reason="webauthn came with SDK 0.30")
        return sdk.init(sdk.WebauthnConfig(email_delivery=EmailDeliveryConfig(service=w.post)))

    return make


def multifactorauth(*first_factors: str) -> RecipeMaker:
    return lambda _: multifactorauth_recipe.init(first_factors=list(first_factors) or ["emailpassword"])


def totp() -> RecipeMaker:
    return lambda _: totp_recipe.init()


def userroles() -> RecipeMaker:
    return lambda _: userroles_recipe.init()


def dashboard(**config: Any) -> RecipeMaker:
    return lambda _: dashboard_recipe.init(**config)


def oauth2provider(**config: Any) -> RecipeMaker:
    return lambda _: oauth2provider_recipe.init(**config)


def saml() -> RecipeMaker:
    from supertokens_python.recipe import saml as saml_recipe  # came with SDK 0.31

    return lambda _: saml_recipe.init()
