"""Users by the page, counted and searched."""

from __future__ import annotations

import base64
import binascii
import heapq

from core_double.state import State, User
from core_double.users import time_joined, user_json
from core_double.wire import OK, CoreError, Json, Request, Routes

DEFAULT_LIMIT, MAX_LIMIT = 100, 500
SEARCH_LIMIT = 1000
SEARCH_TAGS = ("email", "phone", "provider")


def count(core: State, req: Request) -> Json:
    """GET [T]/users/count"""
    everywhere = req.flag("includeAllTenants", False)
    recipes = _recipes(req)
    users = core.users.values() if everywhere else _users_in(core, req.tenant)
    return {**OK, "count": sum(1 for user in users if _uses(user, recipes))}


def page(core: State, req: Request) -> Json:
    """GET T/users: a page by time of joining, or everybody who matches a search"""
    recipes = _recipes(req)
    newest_first = req.maybe_text("timeJoinedOrder") == "DESC"
    users = [user for user in _users_in(core, req.tenant) if _uses(user, recipes)]
    searched = {tag: wanted.lower().split(";") for tag in SEARCH_TAGS if (wanted := req.maybe_text(tag))}
    if searched:
        users.sort(key=_rank, reverse=newest_first)
        found = [user for user in users if _matches(user, searched)]
        return {**OK, "users": [user_json(core, req, user) for user in found[:SEARCH_LIMIT]]}
    limit = _limit(req)
    start = _start(req.maybe_text("paginationToken"))
    first = heapq.nlargest if newest_first else heapq.nsmallest
    found = first(
        limit + 1, (user for user in users if start is None or _follows(user, start, newest_first)), key=_rank
    )
    answer: Json = {**OK, "users": [user_json(core, req, user) for user in found[:limit]]}
    if limit < len(found):
        answer["nextPaginationToken"] = _token(found[limit])
    return answer


def search_tags(core: State, req: Request) -> Json:
    """GET /user/search/tags"""
    return {**OK, "tags": list(SEARCH_TAGS)}


def _users_in(core: State, tenant_id: str) -> list[User]:
    return [user for user in core.users.values() if any(tenant_id in method.tenant_ids for method in user.methods)]


def _recipes(req: Request) -> set[str]:
    names = req.maybe_text("includeRecipeIds")
    return set(names.split(",")) if names else set()


def _uses(user: User, recipes: set[str]) -> bool:
    return not recipes or any(method.recipe_id in recipes for method in user.methods)


def _rank(user: User) -> tuple[int, str]:
    return time_joined(user), user.id


def _limit(req: Request) -> int:
    limit = req.number("limit", DEFAULT_LIMIT)
    if limit > MAX_LIMIT:
        raise CoreError(f"max limit allowed is {MAX_LIMIT}")
    if limit < 1:
        raise CoreError("limit must a positive integer with min value 1")
    return limit


def _token(user: User) -> str:
    return base64.b64encode(f"{user.id};{time_joined(user)}".encode()).decode()


def _start(token: str | None) -> tuple[int, str] | None:
    """Whom the page begins with, or would if that user were still there."""
    if not token:
        return None
    try:
        user_id, joined = base64.b64decode(token, validate=True).decode().split(";")
        return int(joined), user_id
    except (binascii.Error, ValueError):
        raise CoreError("invalid pagination token") from None


def _follows(user: User, start: tuple[int, str], newest_first: bool) -> bool:
    return _rank(user) <= start if newest_first else _rank(user) >= start


def _matches(user: User, searched: dict[str, list[str]]) -> bool:
    """Whether some login method matches every tag; values of one tag are alternatives."""
    return any(
        all(any(_has(tag, value, values) for value in wanted) for tag, wanted in searched.items())
        for values in _searchable(user)
    )


def _searchable(user: User) -> list[dict[str, str]]:
    return [
        {"email": method.email or "", "phone": method.phone_number or "", "provider": (method.third_party or ("",))[0]}
        for method in user.methods
    ]


def _has(tag: str, wanted: str, values: dict[str, str]) -> bool:
    value = values[tag].lower()
    return value.startswith(wanted) or (tag == "email" and value.rpartition("@")[2].startswith(wanted.lstrip("@")))


ROUTES: Routes = {
    ("GET", "/users"): page,
    ("GET", "/users/count"): count,
    ("GET", "/user/search/tags"): search_tags,
}
