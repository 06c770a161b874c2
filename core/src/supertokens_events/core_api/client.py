"""Questions to the core, one after the other, with patience for one that is away for a while."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote, urlsplit

import httpx
from pydantic import ValidationError
from pydantic_core import from_json

from supertokens_events.config import CoreSettings
from supertokens_events.core_api.model import CoreUser
from supertokens_events.log import get_logger

__all__ = ["Core", "CoreError", "CoreUnavailable", "Page", "own_ids"]

log = get_logger(__name__)

CDI_VERSIONS = ("5.4", "5.3", "5.2", "5.1", "5.0")
"""What this reader knows, best first. From 5.0 on users are told in the same way."""

PAGE = 500
"""Users that one answer holds: the most that the core gives."""

_OWN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LEAST_WAIT, _LONGEST_WAIT = 0.5, 15.0  # seconds between two tries
_NOT_NOW = frozenset({429, 500, 502, 503, 504})
_TIMEOUT = 20.0  # seconds


class CoreError(Exception):
    """The core does not say what it was asked for. The text says which core, what it answered, and what to do."""


class CoreUnavailable(CoreError):
    """The core is away, or in trouble: the same question may be answered later."""


class Page(NamedTuple):
    """Some users of one tenant by time of joining, the first ones first. ``token`` leads to the next; ``None``: there is none."""

    users: Sequence[CoreUser]
    token: str | None


class Core:
    """The core behind ``[core]``. ``patience``: for how many seconds it may be away before a question is given up; ``wait``
    is called with seconds in between. Close it after use; every method may raise :class:`CoreError`.

    Its API key is in no ``repr`` and in no error.
    """

    def __init__(
        self, settings: CoreSettings, *, patience: float = 60.0, wait: Callable[[float], object] = time.sleep
    ) -> None:
        self._hosts = settings.hosts
        self._host = 0
        self._key = None if settings.api_key is None else settings.api_key.get_secret_value()
        self._patience = patience
        self._wait = wait
        self._version: str | None = None
        self._client = httpx.Client(timeout=_TIMEOUT, headers={"api-key": self._key} if self._key else {})

    def __repr__(self) -> str:
        return f"Core({self.name!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back its connections."""
        self._client.close()

    @property
    def name(self) -> str:
        """Where it is, without what may be secret in a URL."""
        parts = urlsplit(self._hosts[self._host])
        return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"

    # Users ---------------------------------------------------------------------------------------------------------

    def users(self, tenant_id: str, token: str | None = None, *, limit: int = PAGE) -> Page:
        """A page of a tenant's users."""
        wanted = {"limit": str(limit), "timeJoinedOrder": "ASC", **({"paginationToken": token} if token else {})}
        answer = self._get("/users", wanted, tenant_id)
        try:
            users = [CoreUser.model_validate(user) for user in answer["users"]]
        except (ValidationError, KeyError, TypeError) as error:
            raise self._nonsense("/users") from error
        return Page(users, answer.get("nextPaginationToken"))

    def user(self, user_id: str) -> CoreUser | None:
        """The user with this id, or with a login method of this id; ``None`` when there is none."""
        answer = self._get("/user/id", {"userId": user_id})
        if answer.get("status") != "OK":
            return None
        try:
            return CoreUser.model_validate(answer.get("user"))
        except ValidationError as error:
            raise self._nonsense("/user/id") from error

    def count(self) -> int:
        """How many users there are, in all tenants."""
        count = self._get("/users/count", {"includeAllTenants": "true"}).get("count")
        if not isinstance(count, int):
            raise self._nonsense("/users/count")
        return count

    def own_id(self, user_id: str) -> str | None:
        """The core's own id of a user who is known by a mapped one; ``None`` for any other id."""
        answer = self._get("/recipe/userid/map", {"userId": user_id, "userIdType": "EXTERNAL"})
        found = answer.get("superTokensUserId")
        return found if isinstance(found, str) else None

    # What belongs to them ------------------------------------------------------------------------------------------

    def tenants(self) -> list[str]:
        """The ids of all tenants, in order."""
        answer = self._get("/recipe/multitenancy/tenant/list/v2", {})
        try:
            return sorted(str(tenant["tenantId"]) for tenant in answer["tenants"])
        except (KeyError, TypeError) as error:
            raise self._nonsense("/recipe/multitenancy/tenant/list/v2") from error

    def roles(self) -> list[str]:
        """The names of all roles, in order."""
        return self._texts("/recipe/roles", {}, "roles")

    def roles_of(self, user_id: str, tenant_id: str) -> list[str]:
        """The roles that a user has in a tenant, in order."""
        return self._texts("/recipe/user/roles", {"userId": user_id}, "roles", tenant_id)

    def users_with(self, role: str, tenant_id: str) -> list[str]:
        """The ids of those who have a role in a tenant, in order; nobody has one that does not exist."""
        return self._texts("/recipe/role/users", {"role": role}, "users", tenant_id)

    def permissions_of(self, role: str) -> list[str]:
        """What a role permits, in order; nothing, one that does not exist."""
        return self._texts("/recipe/role/permissions", {"role": role}, "permissions")

    def metadata_keys(self, user_id: str) -> list[str]:
        """The top-level keys of a user's metadata, in order. The values are not kept."""
        metadata = self._get("/recipe/user/metadata", {"userId": user_id}).get("metadata")
        return sorted(metadata) if isinstance(metadata, Mapping) else []

    def _texts(self, path: str, query: Mapping[str, str], name: str, tenant_id: str | None = None) -> list[str]:
        found = self._get(path, query, tenant_id).get(name, [])
        if not isinstance(found, list):
            raise self._nonsense(path)
        return sorted(map(str, found))

    # Asking --------------------------------------------------------------------------------------------------------

    def _get(self, path: str, query: Mapping[str, str], tenant_id: str | None = None) -> Mapping[str, Any]:
        version = self._version = self._version or self._negotiated()
        place = path if tenant_id is None else f"/{quote(tenant_id, safe='')}{path}"
        return self._ask(place, query, {"cdi-version": version})

    def _negotiated(self) -> str:
        theirs = self._ask("/apiversion", {}, {}).get("versions", [])
        for version in CDI_VERSIONS:
            if version in theirs:
                return version
        raise CoreError(
            f"the core at {self.name} speaks CDI {', '.join(map(str, theirs)) or 'of no version'}; this supertokens-events "
            f"knows {', '.join(reversed(CDI_VERSIONS))}"
        )

    def _ask(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, Any]:
        """Asks until there is an answer, or patience is at its end."""
        waits = self._waits()
        while True:
            try:
                return self._answer(path, query, headers)
            except CoreUnavailable as error:
                wait = next(waits, None)
                if wait is None:
                    raise
                log.warning("The core does not answer; asking again.", error=str(error), seconds=wait)
                self._host = (self._host + 1) % len(self._hosts)
                self._wait(wait)

    def _waits(self) -> Iterator[float]:
        waited, wait = 0.0, _LEAST_WAIT
        while waited + wait <= self._patience:
            yield wait
            waited, wait = waited + wait, min(wait * 2, _LONGEST_WAIT)

    def _answer(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Mapping[str, Any]:
        try:
            answer = self._client.get(self._hosts[self._host] + path, params=dict(query), headers=dict(headers))
        except httpx.HTTPError as error:
            raise CoreUnavailable(
                f"the core at {self.name} cannot be reached: {self._clean(str(error)) or type(error).__name__}"
            ) from None
        if answer.status_code in _NOT_NOW:
            raise CoreUnavailable(self._said(path, answer))
        if answer.status_code == 401:
            raise CoreError(f"the core at {self.name} refuses the API key: check core.api_key")
        if answer.status_code != 200:
            raise CoreError(self._said(path, answer))
        try:
            document = from_json(answer.content)
        except ValueError:
            document = None
        if not isinstance(document, dict):
            raise self._nonsense(path)
        return document

    def _said(self, path: str, answer: httpx.Response) -> str:
        text = self._clean(" ".join(answer.text.split())[:200])
        return f"the core at {self.name} answered {answer.status_code} to GET {path}" + (f": {text}" if text else "")

    def _clean(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text

    def _nonsense(self, path: str) -> CoreError:
        return CoreError(
            f"the core at {self.name} answered GET {path} with something else than what a SuperTokens core says: "
            "check core.connection_uri"
        )


def own_ids(core: Core, users: Sequence[CoreUser]) -> dict[str, str]:
    """The core's own ids of those who are known by a mapped one, by that. Only an id that is no UUID is asked for."""
    ids = {id_ for user in users for id_ in (user.id, *(one.recipe_user_id for one in user.login_methods))}
    found = {id_: core.own_id(id_) for id_ in ids if not _OWN_ID.fullmatch(id_)}
    return {mapped: own for mapped, own in found.items() if own is not None}
