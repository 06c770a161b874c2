"""Users as the core tells of them (CDI, "User JSON"). What it says besides is left alone."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from supertokens_events.catalog.contact import Email
from supertokens_events.catalog.user import LoginMethod, Method

__all__ = ["CoreLoginMethod", "CoreUser", "described"]

_METHODS = frozenset(Method)
_LAST = 253_402_300_799_000  # milliseconds since the epoch: the end of the year 9999


class _Answer(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class _ThirdParty(_Answer):
    id: str
    user_id: str = Field(alias="userId")


class CoreLoginMethod(_Answer):
    """One way into a user's account. ``time_joined`` is in milliseconds since the epoch."""

    recipe_id: str = Field(alias="recipeId")
    recipe_user_id: str = Field(alias="recipeUserId")
    tenant_ids: Sequence[str] = Field(alias="tenantIds")
    time_joined: int = Field(alias="timeJoined", ge=0, le=_LAST)
    verified: bool = False
    email: Email = None
    phone_number: str | None = Field(None, alias="phoneNumber")
    third_party: _ThirdParty | None = Field(None, alias="thirdParty")

    @property
    def method(self) -> Method:
        """As the catalog has it. SAML is a provider of the recipe ``thirdparty``."""
        if self.third_party is not None:
            return Method.SAML if self.third_party.id.startswith("saml") else Method.THIRDPARTY
        return Method(self.recipe_id) if self.recipe_id in _METHODS else Method.OTHER

    @property
    def third_party_id(self) -> str | None:
        """The provider."""
        return self.third_party.id if self.third_party else None

    @property
    def third_party_user_id(self) -> str | None:
        """The user's id there."""
        return self.third_party.user_id if self.third_party else None

    @property
    def email_verified(self) -> bool:
        """Whether there is an address, and it is verified."""
        return self.email is not None and self.verified


class CoreUser(_Answer):
    """A user with all login methods. ``time_joined``: of the first of them, in milliseconds since the epoch."""

    id: str
    tenant_ids: Sequence[str] = Field(alias="tenantIds")
    time_joined: int = Field(alias="timeJoined", ge=0, le=_LAST)
    login_methods: Sequence[CoreLoginMethod] = Field(alias="loginMethods")


def described(one: CoreLoginMethod) -> LoginMethod:
    """A login method as the catalog describes it."""
    return LoginMethod(
        method=one.method,
        recipe_user_id=one.recipe_user_id,
        tenant_ids=list(one.tenant_ids),
        email=one.email,
        phone_number=one.phone_number,
        third_party_id=one.third_party_id,
        third_party_user_id=one.third_party_user_id,
        verified=one.verified,
    )
