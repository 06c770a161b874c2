"""What the double promises beside the recordings: its seams, its clock, and rules that no recorded flow touches."""

from __future__ import annotations

import base64
import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import jwt
import pytest

from core_double import CoreDouble, Recorded
from core_double.software_authenticator import SoftwareAuthenticator
from core_double.software_idp import SoftwareIdp
from core_double.totp import code_at

MINUTE, DAY = 60_000, 24 * 60 * 60_000


class Client:
    """Asks a core over one connection and answers the JSON, or the status of an error."""

    def __init__(self, url: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc)

    def send(self, method: str, path: str, body: Any = None, cdi: str = "5.4", raw: bytes | None = None) -> Any:
        payload = raw if raw is not None else None if body is None else json.dumps(body)
        self.connection.request(method, path, payload, {"cdi-version": cdi})
        response = self.connection.getresponse()
        text = response.read().decode()
        return json.loads(text) if response.status == 200 else (response.status, text)

    def get(self, path: str, cdi: str = "5.4", **query: str) -> Any:
        return self.send("GET", f"{path}?{urlencode(query)}", cdi=cdi)

    def post(self, path: str, **body: Any) -> Any:
        return self.send("POST", path, body)

    def put(self, path: str, **body: Any) -> Any:
        return self.send("PUT", path, body)

    # --- short ways to a situation --------------------------------------------------------------------------------

    def sign_up(self, email: str, tenant: str = "public") -> str:
        return str(self.post(f"/{tenant}/recipe/signup", email=email, password="passw0rd1")["user"]["id"])

    def third_party(self, email: str, tenant: str = "public") -> str:
        body = {"thirdPartyId": "google", "thirdPartyUserId": email, "email": {"id": email, "isVerified": True}}
        return str(self.post(f"/{tenant}/recipe/signinup", **body)["user"]["id"])

    def session(self, user_id: str, tenant: str = "public", **more: Any) -> Any:
        body = {"userId": user_id, "userDataInJWT": {}, "userDataInDatabase": {}, "enableAntiCsrf": False, **more}
        return self.post(f"/{tenant}/recipe/session", **{"useDynamicSigningKey": True, **body})

    def refresh(self, refresh_token: str, **more: Any) -> Any:
        return self.post("/recipe/session/refresh", **{"refreshToken": refresh_token, "enableAntiCsrf": False, **more})

    def verify(self, access_token: str, **more: Any) -> Any:
        body = {"accessToken": access_token, "enableAntiCsrf": False, "doAntiCsrfCheck": True, "checkDatabase": True}
        return self.post("/recipe/session/verify", **{**body, **more})

    def make_primary(self, user_id: str) -> Any:
        return self.post("/recipe/accountlinking/user/primary", recipeUserId=user_id)

    def link(self, user_id: str, primary_id: str) -> Any:
        return self.post("/recipe/accountlinking/user/link", recipeUserId=user_id, primaryUserId=primary_id)

    def user(self, user_id: str) -> Any:
        return self.get("/user/id", userId=user_id)

    def make_tenant(self, tenant: str) -> None:
        self.put("/recipe/multitenancy/tenant/v2", tenantId=tenant, firstFactors=["emailpassword"])


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def core(clock: Clock) -> Iterator[CoreDouble]:
    with CoreDouble(clock=clock) as core:
        yield core


@pytest.fixture
def client(core: CoreDouble) -> Iterator[Client]:
    client = Client(core.url)
    yield client
    client.connection.close()


# --- seams --------------------------------------------------------------------------------------------------------


def test_two_cores() -> None:
    """Two cores have two ports and two memories."""
    with CoreDouble() as one, CoreDouble() as other:
        first, second = Client(one.url), Client(other.url)
        user_id = first.sign_up("a@example.com")
        known = [client.user(user_id)["status"] for client in (first, second)]
        first.connection.close()
        second.connection.close()

    assert one.url != other.url
    assert known == ["OK", "UNKNOWN_USER_ID_ERROR"]


def test_requests(core: CoreDouble, client: Client) -> None:
    """Requests are recorded in order, with the tenant and without the query."""
    client.get("/public/users/by-accountinfo", email="a@example.com")
    client.sign_up("a@example.com")

    assert core.requests == [
        Recorded("GET", "/public/users/by-accountinfo"),
        Recorded("POST", "/public/recipe/signup"),
    ]


def test_requests_is_a_copy(core: CoreDouble, client: Client) -> None:
    """What a test does to the list of requests changes nothing."""
    client.sign_up("a@example.com")
    core.requests.clear()

    assert len(core.requests) == 1


def test_reset(core: CoreDouble, client: Client) -> None:
    """A reset forgets users, tenants, requests and planned failures, and the server goes on."""
    user_id = client.sign_up("a@example.com")
    client.make_tenant("t1")
    core.fail_next("/user/id")
    core.reset()

    assert core.requests == []
    assert client.user(user_id)["status"] == "UNKNOWN_USER_ID_ERROR"
    assert client.get("/t1/recipe/multitenancy/tenant/v2")["status"] == "TENANT_NOT_FOUND_ERROR"


def test_fail_next(core: CoreDouble, client: Client) -> None:
    """A planned failure hits the next request with that ending, once, and changes nothing."""
    core.fail_next("/recipe/signup", status=503)
    answers = [client.post("/public/recipe/signup", email="a@example.com", password="passw0rd1") for _ in range(2)]

    assert answers[0] == (503, "Failure asked for by the test\n")
    assert answers[1]["status"] == "OK"


def test_delay(core: CoreDouble, client: Client) -> None:
    """With a delay every answer takes at least that long."""
    core.delay = 0.1
    start = time.monotonic()
    client.get("/apiversion")

    assert time.monotonic() - start >= 0.1


def test_stop() -> None:
    """A core that stopped answers nobody, not even on a connection that was open."""
    with CoreDouble() as core:
        client = Client(core.url)
        client.get("/apiversion")

    with pytest.raises((ConnectionError, http.client.HTTPException)):
        client.get("/apiversion")
    client.connection.close()


def test_many_at_once(core: CoreDouble, client: Client) -> None:
    """Sign-ups from many threads are all there afterwards."""

    def sign_up(thread: int) -> None:
        mine = Client(core.url)
        for number in range(10):
            mine.sign_up(f"u{thread}-{number}@example.com")
        mine.connection.close()

    threads = [threading.Thread(target=sign_up, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert client.get("/users/count", includeAllTenants="true")["count"] == 80


def test_command_line() -> None:
    """``python -m core_double`` prints the url it serves."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    command = [sys.executable, "-m", "core_double", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        client = Client(process.stdout.readline().strip())
        answer = client.get("/apiversion")
        client.connection.close()
        process.terminate()

    assert "5.4" in answer["versions"]


# --- the wire -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ask", "expected"),
    [
        (lambda client: client.get("/recipe/nope"), (404, "Not found\n")),
        (lambda client: client.put("/recipe/signup"), (405, "Method not supported\n")),
        (lambda client: client.send("POST", "/recipe/signup", raw=b"{"), (400, "Invalid Json Input\n")),
        (
            lambda client: client.post("/recipe/signup", email="a@example.com"),
            (400, "Field name 'password' is invalid in JSON input\n"),
        ),
        (lambda client: client.get("/user/id"), (400, "Field name 'userId' is missing in GET request\n")),
    ],
)
def test_bad_request(client: Client, ask: Callable[[Client], Any], expected: object) -> None:
    """What cannot be answered is refused with a status and a line of text."""
    assert ask(client) == expected


def test_unknown_tenant(client: Client) -> None:
    """A request to a tenant that does not exist is refused."""
    status, text = client.post("/nowhere/recipe/signin", email="a@example.com", password="x")

    assert status == 400
    assert "(, public, nowhere)" in text


@pytest.mark.parametrize(("cdi", "shown"), [("5.1", False), ("5.2", False), ("5.3", True), ("5.4", True)])
def test_older_cdi(client: Client, cdi: str, shown: bool) -> None:
    """Passkeys came with CDI 5.3; an older SDK does not see them in a user."""
    user_id = client.sign_up("a@example.com")

    assert ("webauthn" in client.get("/user/id", cdi=cdi, userId=user_id)["user"]) is shown


# --- sessions -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("dynamic", "prefix"), [(True, "d-"), (False, "s-")])
def test_access_token(client: Client, dynamic: bool, prefix: str) -> None:
    """An access token is a JWT that the published key of its kind verifies."""
    token = client.session("u", useDynamicSigningKey=dynamic)["accessToken"]["token"]
    keys = {key["kid"]: jwt.PyJWK(key) for key in client.get("/.well-known/jwks.json")["keys"]}
    kid = jwt.get_unverified_header(token)["kid"]

    options: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, keys[kid].key, algorithms=["RS256"], options=options)
    assert kid.startswith(prefix)
    assert claims["sub"] == "u"


def test_forged_access_token(client: Client) -> None:
    """An access token with a changed payload must be refreshed."""
    head, _, seal = client.session("u")["accessToken"]["token"].split(".")
    body = base64.urlsafe_b64encode(b'{"sub":"admin"}').decode().rstrip("=")

    assert client.verify(f"{head}.{body}.{seal}")["status"] == "TRY_REFRESH_TOKEN"


@pytest.mark.parametrize(("after", "status"), [(59 * MINUTE, "OK"), (61 * MINUTE, "TRY_REFRESH_TOKEN")])
def test_access_token_expires(client: Client, clock: Clock, after: int, status: str) -> None:
    """An access token lives for an hour."""
    token = client.session("u")["accessToken"]["token"]
    clock.now += after

    assert client.verify(token)["status"] == status


@pytest.mark.parametrize(("after", "status"), [(99 * DAY, "OK"), (101 * DAY, "UNAUTHORISED")])
def test_session_expires(client: Client, clock: Clock, after: int, status: str) -> None:
    """A session that is not used ends after a hundred days."""
    token = client.session("u")["refreshToken"]["token"]
    clock.now += after

    assert client.refresh(token)["status"] == status


def test_refresh_again_before_use(client: Client) -> None:
    """A refresh may be repeated while nobody used its result; then the first token counts as stolen."""
    token = client.session("u")["refreshToken"]["token"]
    first, second = client.refresh(token), client.refresh(token)
    client.verify(second["accessToken"]["token"])

    assert [first["status"], second["status"]] == ["OK", "OK"]
    assert client.refresh(token)["status"] == "TOKEN_THEFT_DETECTED"


def test_outrun_access_token(client: Client) -> None:
    """Of two access tokens from one refresh, the one that was not used first is no good."""
    token = client.session("u")["refreshToken"]["token"]
    first, second = (client.refresh(token)["accessToken"]["token"] for _ in range(2))

    assert client.verify(second)["status"] == "OK"
    assert client.verify(first)["status"] == "UNAUTHORISED"


@pytest.mark.parametrize("token", ["nonsense", "bm9uc2Vuc2U=.seal.V2", ""])
def test_forged_refresh_token(client: Client, token: str) -> None:
    """A refresh token that the core did not make is refused."""
    assert client.refresh(token)["status"] == "UNAUTHORISED"


def test_anti_csrf(client: Client) -> None:
    """With anti-CSRF a session gives a token, and neither verifies nor refreshes without it."""
    made = client.session("u", enableAntiCsrf=True)
    access, refresh, csrf = made["accessToken"]["token"], made["refreshToken"]["token"], made["antiCsrfToken"]

    assert client.verify(access, enableAntiCsrf=True)["status"] == "TRY_REFRESH_TOKEN"
    assert client.verify(access, enableAntiCsrf=True, antiCsrfToken=csrf)["status"] == "OK"
    assert client.refresh(refresh, enableAntiCsrf=True)["status"] == "UNAUTHORISED"
    assert client.refresh(refresh, enableAntiCsrf=True, antiCsrfToken=csrf)["status"] == "OK"


def test_new_claims_last(client: Client) -> None:
    """Claims that were set on a session are in its next access token."""
    made = client.session("u")
    client.put("/recipe/jwt/data", sessionHandle=made["session"]["handle"], userDataInJWT={"plan": "gold"})
    token = client.refresh(made["refreshToken"]["token"])["accessToken"]["token"]

    assert jwt.decode(token, options={"verify_signature": False})["plan"] == "gold"


def test_sessions_of_a_group(client: Client) -> None:
    """A user's sessions are those of all linked login methods, or of one alone."""
    primary, other = client.sign_up("a@example.com"), client.third_party("a@example.com")
    client.make_primary(primary)
    client.link(other, primary)
    handles = [client.session(user_id)["session"]["handle"] for user_id in (primary, other)]

    everyone = client.get("/public/recipe/session/user", userId=primary)
    alone = client.get("/public/recipe/session/user", userId=other, fetchSessionsForAllLinkedAccounts="false")
    assert sorted(everyone["sessionHandles"]) == sorted(handles)
    assert alone["sessionHandles"] == handles[1:]


# --- what expires, what is limited --------------------------------------------------------------------------------


@pytest.mark.parametrize(("after", "status"), [(59, "OK"), (61, "RESET_PASSWORD_INVALID_TOKEN_ERROR")])
def test_reset_token_expires(client: Client, clock: Clock, after: int, status: str) -> None:
    """A password reset token lives for an hour."""
    user_id = client.sign_up("a@example.com")
    token = client.post("/recipe/user/password/reset/token", userId=user_id, email="a@example.com")["token"]
    clock.now += after * MINUTE

    assert client.post("/recipe/user/password/reset/token/consume", token=token)["status"] == status


def test_one_use_ends_all_reset_tokens(client: Client) -> None:
    """Using one password reset token ends the user's others."""
    user_id = client.sign_up("a@example.com")
    path = "/recipe/user/password/reset/token"
    first, second = (client.post(path, userId=user_id, email="a@example.com")["token"] for _ in range(2))
    client.post(f"{path}/consume", token=first)

    assert client.post(f"{path}/consume", token=second)["status"] == "RESET_PASSWORD_INVALID_TOKEN_ERROR"


@pytest.mark.parametrize(("after", "status"), [(23, "OK"), (25, "EMAIL_VERIFICATION_INVALID_TOKEN_ERROR")])
def test_verification_token_expires(client: Client, clock: Clock, after: int, status: str) -> None:
    """An e-mail verification token lives for a day."""
    user_id = client.sign_up("a@example.com")
    token = client.post("/recipe/user/email/verify/token", userId=user_id, email="a@example.com")["token"]
    clock.now += after * 60 * MINUTE

    assert client.post("/recipe/user/email/verify", method="token", token=token)["status"] == status


def test_expired_code_counts(client: Client, clock: Clock) -> None:
    """A one-time code that comes too late is told apart from a wrong one, and counts as an attempt."""
    made = client.post("/recipe/signinup/code", email="p@example.com")
    clock.now += 16 * MINUTE
    asked = {name: made[name] for name in ("preAuthSessionId", "deviceId", "userInputCode")}

    assert client.post("/recipe/signinup/code/consume", **asked) == {
        "status": "EXPIRED_USER_INPUT_CODE_ERROR",
        "failedCodeInputAttemptCount": 1,
        "maximumCodeInputAttempts": 5,
    }


def test_expired_link(client: Client, clock: Clock) -> None:
    """A magic link that comes too late starts over."""
    made = client.post("/recipe/signinup/code", email="p@example.com")
    clock.now += 16 * MINUTE
    asked = {name: made[name] for name in ("preAuthSessionId", "linkCode")}

    assert client.post("/recipe/signinup/code/consume", **asked)["status"] == "RESTART_FLOW_ERROR"


def test_same_code_again(client: Client) -> None:
    """A device does not get the same code twice."""
    made = client.post("/recipe/signinup/code", email="p@example.com", userInputCode="123456")
    again = client.post("/recipe/signinup/code", deviceId=made["deviceId"], userInputCode="123456")

    assert again == {"status": "USER_INPUT_CODE_ALREADY_USED_ERROR"}


class Totp:
    """A user with a TOTP device, and what that shows."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self.client, self.clock = client, clock
        made = client.post("/recipe/totp/device", userId="u", deviceName="d", skew=1, period=30)
        self.secret = made["secret"]
        client.post("/recipe/totp/device/verify", userId="u", deviceName="d", totp=self.code(-30))

    def code(self, shift: int = 0) -> str:
        return code_at(self.secret, 30, self.clock.now // 1000 + shift)

    def enter(self, code: str) -> Any:
        return self.client.post("/recipe/totp/verify", userId="u", totp=code)


def test_totp_code_is_used_once(client: Client, clock: Clock) -> None:
    """A code of the authenticator app is good for one sign-in."""
    totp = Totp(client, clock)
    code = totp.code()

    assert [totp.enter(code)["status"] for _ in range(2)] == ["OK", "INVALID_TOTP_ERROR"]


def test_totp_code_of_another_time(client: Client, clock: Clock) -> None:
    """A code from two periods ago is outside of the skew."""
    totp = Totp(client, clock)

    assert totp.enter(totp.code(-60))["status"] == "INVALID_TOTP_ERROR"


def test_totp_limit_ends(client: Client, clock: Clock) -> None:
    """After five wrong codes even the right one waits for a quarter of an hour."""
    totp = Totp(client, clock)
    for _ in range(5):
        totp.enter("wrong")
    limited = totp.enter(totp.code())
    clock.now += 15 * MINUTE

    assert limited["status"] == "LIMIT_REACHED_ERROR"
    assert limited["retryAfterMs"] == 15 * MINUTE
    assert totp.enter(totp.code())["status"] == "OK"


def test_totp_without_a_device(client: Client) -> None:
    """A user without a device is unknown here, and so is a device that was never made."""
    asked = {"userId": "u", "totp": "123456"}

    assert client.post("/recipe/totp/verify", **asked)["status"] == "UNKNOWN_USER_ID_ERROR"
    assert client.post("/recipe/totp/device/verify", deviceName="d", **asked)["status"] == "UNKNOWN_DEVICE_ERROR"


# --- users --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("order", "first"), [("ASC", "u0@example.com"), ("DESC", "u6@example.com")])
def test_pages(client: Client, clock: Clock, order: str, first: str) -> None:
    """Page by page everybody comes once, by time of joining."""
    for number in range(7):
        clock.now += 1
        client.sign_up(f"u{number}@example.com")
    emails, query = [], {"limit": "3", "timeJoinedOrder": order}
    while True:
        page = client.get("/public/users", **query)
        emails += [user["emails"][0] for user in page["users"]]
        if "nextPaginationToken" not in page:
            break
        query["paginationToken"] = page["nextPaginationToken"]

    assert emails[0] == first
    assert len(emails) == len(set(emails)) == 7


@pytest.mark.parametrize("query", [{"limit": "501"}, {"limit": "0"}, {"paginationToken": "nonsense"}])
def test_bad_page(client: Client, query: dict[str, str]) -> None:
    """A page of an impossible size or place is refused."""
    assert client.get("/public/users", **query)[0] == 400


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"email": "an"}, 2),
        ({"email": "example.org"}, 1),
        ({"email": "an;bob"}, 3),
        ({"provider": "goo"}, 1),
        ({"phone": "+1"}, 0),
    ],
)
def test_search(client: Client, query: dict[str, str], count: int) -> None:
    """A search goes by the beginning of an e-mail or its domain, or of a provider; values may be alternatives."""
    client.sign_up("anna@example.com")
    client.sign_up("bob@example.com")
    client.third_party("andy@example.org")

    assert len(client.get("/public/users", **query)["users"]) == count


def test_counts(client: Client) -> None:
    """Users are counted by tenant or everywhere, of all recipes or of some."""
    client.make_tenant("t1")
    client.sign_up("a@example.com")
    client.third_party("b@example.com", tenant="t1")

    assert client.get("/t1/users/count")["count"] == 1
    assert client.get("/public/users/count", includeAllTenants="true")["count"] == 2
    asked = {"includeAllTenants": "true", "includeRecipeIds": "emailpassword,webauthn"}
    assert client.get("/public/users/count", **asked)["count"] == 1


def test_all_account_info_must_match(client: Client) -> None:
    """Without the union a user must have all the account info that is asked for."""
    client.sign_up("a@example.com")
    client.third_party("b@example.com")
    asked = {"email": "a@example.com", "thirdPartyId": "google", "thirdPartyUserId": "b@example.com"}
    found = [
        client.get("/public/users/by-accountinfo", doUnionOfAccountInfo=union, **asked)["users"]
        for union in ("true", "false")
    ]

    assert [len(users) for users in found] == [2, 0]


def test_changed_email(client: Client) -> None:
    """After a change of e-mail the user is found under the new one, unverified, and signs in with it."""
    user_id = client.sign_up("old@example.com")
    token = client.post("/recipe/user/email/verify/token", userId=user_id, email="old@example.com")["token"]
    client.post("/recipe/user/email/verify", method="token", token=token)
    client.put("/recipe/user", recipeUserId=user_id, email="New@example.com")

    method = client.user(user_id)["user"]["loginMethods"][0]
    assert (method["email"], method["verified"]) == ("new@example.com", False)
    found = {
        name: client.get("/public/users/by-accountinfo", email=f"{name}@example.com")["users"]
        for name in ("old", "new")
    }
    assert [len(found["old"]), len(found["new"])] == [0, 1]
    assert client.post("/recipe/signin", email="new@example.com", password="passw0rd1")["status"] == "OK"


def test_email_of_another_primary_user(client: Client) -> None:
    """A primary user does not get the e-mail of another."""
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com")
    client.make_primary(one)
    client.make_primary(other)

    assert client.put("/recipe/user", recipeUserId=one, email="b@example.com") == {
        "status": "EMAIL_CHANGE_NOT_ALLOWED_ERROR",
        "reason": "New email is associated with another primary user ID",
    }


def test_email_in_a_tenant_of_the_group(client: Client) -> None:
    """What a primary user may be called is decided in all tenants of its group."""
    client.make_tenant("t1")
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com", tenant="t1")
    client.make_primary(one)
    client.link(other, one)
    client.make_primary(client.third_party("c@example.com", tenant="t1"))

    answer = client.put("/recipe/user", recipeUserId=one, email="c@example.com")
    assert answer["status"] == "EMAIL_CHANGE_NOT_ALLOWED_ERROR"


# --- account linking ----------------------------------------------------------------------------------------------


def test_link_to_no_primary(client: Client) -> None:
    """Nobody is linked to a user that is not primary."""
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com")

    assert client.link(other, one)["status"] == "INPUT_USER_IS_NOT_A_PRIMARY_USER"


def test_link_of_a_linked_user(client: Client) -> None:
    """A user that belongs to one primary user is not linked to another."""
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com")
    client.make_primary(one)
    client.make_primary(other)
    answer = client.link(other, one)

    assert answer["status"] == "RECIPE_USER_ID_ALREADY_LINKED_WITH_ANOTHER_PRIMARY_USER_ID_ERROR"
    assert answer["user"]["id"] == other


def test_link_looks_into_every_tenant(client: Client) -> None:
    """A link is refused when a third primary user has a group's e-mail in any tenant of either."""
    client.make_tenant("t1")
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com", tenant="t1")
    third = client.third_party("a@example.com", tenant="t1")
    client.make_primary(one)
    client.make_primary(third)
    answer = client.link(other, one)

    assert answer["status"] == "ACCOUNT_INFO_ALREADY_ASSOCIATED_WITH_ANOTHER_PRIMARY_USER_ID_ERROR"
    assert answer["primaryUserId"] == third


def test_second_primary_user(client: Client) -> None:
    """Two users with one e-mail cannot both be primary; the question says the same as the deed."""
    one, other = client.sign_up("a@example.com"), client.third_party("a@example.com")
    client.make_primary(one)
    asked = client.get("/recipe/accountlinking/user/primary/check", recipeUserId=other)

    assert asked == client.make_primary(other)
    assert asked["primaryUserId"] == one


def test_primary_of_a_linked_user(client: Client) -> None:
    """A linked user does not become primary."""
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com")
    client.make_primary(one)
    client.link(other, one)

    assert client.make_primary(other)["status"] == "RECIPE_USER_ID_ALREADY_LINKED_WITH_PRIMARY_USER_ID_ERROR"


def test_unlinked_user(client: Client) -> None:
    """An unlinked login method is a user of its own again, and its sessions are over."""
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com")
    client.make_primary(one)
    client.link(other, one)
    handle = client.session(other)["session"]["handle"]
    answer = client.post("/recipe/accountlinking/user/unlink", recipeUserId=other)

    assert answer == {"status": "OK", "wasRecipeUserDeleted": False, "wasLinked": True}
    assert client.user(other)["user"]["id"] == other
    assert client.get("/recipe/session", sessionHandle=handle)["status"] == "UNAUTHORISED"


def test_deletion_of_the_first(client: Client) -> None:
    """A group outlives the login method that gave it its id; that one's sessions and no others end."""
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com")
    client.make_primary(one)
    client.link(other, one)
    handles = [client.session(user_id)["session"]["handle"] for user_id in (one, other)]
    client.post("/user/remove", userId=one, removeAllLinkedAccounts=False)

    assert [method["recipeUserId"] for method in client.user(one)["user"]["loginMethods"]] == [other]
    answers = [client.get("/recipe/session", sessionHandle=handle)["status"] for handle in handles]
    assert answers == ["UNAUTHORISED", "OK"]


def test_deletion_of_a_member(client: Client) -> None:
    """A group that loses a linked login method goes on, with its sessions; only that member's end."""
    one, other = client.sign_up("a@example.com"), client.third_party("b@example.com")
    client.make_primary(one)
    client.link(other, one)
    handles = [client.session(user_id)["session"]["handle"] for user_id in (one, other)]
    client.post("/user/remove", userId=other, removeAllLinkedAccounts=False)

    assert client.user(one)["user"]["emails"] == ["a@example.com"]
    answers = [client.get("/recipe/session", sessionHandle=handle)["status"] for handle in handles]
    assert answers == ["OK", "UNAUTHORISED"]


def test_deletion_takes_all(client: Client) -> None:
    """With the last login method go roles, metadata, sessions and the id."""
    user_id = client.sign_up("a@example.com")
    client.put("/recipe/role", role="admin", permissions=[])
    client.put("/recipe/user/role", userId=user_id, role="admin")
    client.put("/recipe/user/metadata", userId=user_id, metadataUpdate={"a": 1})
    handle = client.session(user_id)["session"]["handle"]
    client.post("/user/remove", userId=user_id, removeAllLinkedAccounts=True)

    assert client.get("/recipe/user/roles", userId=user_id)["roles"] == []
    assert client.get("/recipe/user/metadata", userId=user_id)["metadata"] == {}
    assert client.get("/recipe/session", sessionHandle=handle)["status"] == "UNAUTHORISED"
    assert client.user(user_id)["status"] == "UNKNOWN_USER_ID_ERROR"
    assert client.sign_up("a@example.com") != user_id


# --- tenants, roles, metadata -------------------------------------------------------------------------------------


def test_association_of_a_primary_user(client: Client) -> None:
    """A primary user does not enter a tenant where another primary user has its e-mail."""
    client.make_tenant("t1")
    one, other = client.sign_up("a@example.com"), client.third_party("a@example.com", tenant="t1")
    client.make_primary(one)
    client.make_primary(other)

    assert client.post("/t1/recipe/multitenancy/tenant/user", recipeUserId=one) == {
        "status": "ASSOCIATION_NOT_ALLOWED_ERROR",
        "reason": "This user's email is already associated with another user ID",
    }


def test_disassociation(client: Client) -> None:
    """A user that leaves a tenant loses its sessions and roles there, and can no longer sign in there."""
    client.make_tenant("t1")
    client.put("/recipe/role", role="admin", permissions=[])
    user_id = client.sign_up("a@example.com", tenant="t1")
    client.put("/t1/recipe/user/role", userId=user_id, role="admin")
    handle = client.session(user_id, tenant="t1")["session"]["handle"]
    client.post("/t1/recipe/multitenancy/tenant/user/remove", recipeUserId=user_id)

    assert client.get("/recipe/session", sessionHandle=handle)["status"] == "UNAUTHORISED"
    assert client.get("/t1/recipe/user/roles", userId=user_id)["roles"] == []
    answer = client.post("/t1/recipe/signin", email="a@example.com", password="passw0rd1")
    assert answer["status"] == "WRONG_CREDENTIALS_ERROR"


def test_public_tenant_stays(client: Client) -> None:
    """The public tenant cannot be deleted."""
    assert client.post("/recipe/multitenancy/tenant/remove", tenantId="public")[0] == 403


def test_roles(client: Client) -> None:
    """Roles belong to a user per tenant; permissions to a role everywhere."""
    client.make_tenant("t1")
    client.put("/recipe/role", role="admin", permissions=["read", "write"])
    client.put("/t1/recipe/user/role", userId="u", role="admin")

    assert client.get("/recipe/permission/roles", permission="read")["roles"] == ["admin"]
    assert client.get("/recipe/role/permissions", role="admin")["permissions"] == ["read", "write"]
    assert client.get("/t1/recipe/role/users", role="admin")["users"] == ["u"]
    assert client.get("/public/recipe/role/users", role="admin")["users"] == []
    assert client.get("/public/recipe/role/users", role="nope")["status"] == "UNKNOWN_ROLE_ERROR"


def test_metadata_is_merged(client: Client) -> None:
    """Metadata is merged at the top, and null takes a key away."""
    client.put("/recipe/user/metadata", userId="u", metadataUpdate={"a": {"x": 1}, "b": 1})
    merged = client.put("/recipe/user/metadata", userId="u", metadataUpdate={"a": {"y": 2}, "b": None})

    assert merged["metadata"] == {"a": {"y": 2}}


# --- external user ids --------------------------------------------------------------------------------------------


def test_external_id(client: Client) -> None:
    """A user with an external id is shown, found and signed in under it, until the mapping goes."""
    user_id = client.sign_up("a@example.com")
    made = client.post("/recipe/userid/map", superTokensUserId=user_id, externalUserId="ext", externalUserIdInfo="crm")
    session = client.session("ext")["session"]

    assert made == {"status": "OK"}
    assert client.post("/recipe/signin", email="a@example.com", password="passw0rd1")["recipeUserId"] == "ext"
    assert client.user(user_id)["user"]["id"] == client.user("ext")["user"]["id"] == "ext"
    assert (session["userId"], session["recipeUserId"]) == ("ext", "ext")
    assert client.get("/recipe/userid/map", userId="ext", userIdType="EXTERNAL") == {
        "status": "OK",
        "superTokensUserId": user_id,
        "externalUserId": "ext",
        "externalUserIdInfo": "crm",
    }
    client.post("/recipe/userid/map/remove", userId="ext", userIdType="ANY", force=True)
    assert client.user(user_id)["user"]["id"] == user_id


def test_external_id_twice(client: Client) -> None:
    """A second mapping says which of the two ids is taken."""
    one, other = client.sign_up("a@example.com"), client.sign_up("b@example.com")
    client.post("/recipe/userid/map", superTokensUserId=one, externalUserId="ext")

    assert client.post("/recipe/userid/map", superTokensUserId=other, externalUserId="ext") == {
        "status": "USER_ID_MAPPING_ALREADY_EXISTS_ERROR",
        "doesSuperTokensUserIdExist": False,
        "doesExternalUserIdExist": True,
    }


# --- passkeys -----------------------------------------------------------------------------------------------------

SITE = {"relyingPartyId": "example.com", "relyingPartyName": "Example", "origin": "https://app.example.com"}


def passkey(**more: Any) -> SoftwareAuthenticator:
    return SoftwareAuthenticator(**{"relying_party_id": "example.com", "origin": "https://app.example.com", **more})


def register(client: Client, key: SoftwareAuthenticator, email: str = "w@example.com", **more: Any) -> Any:
    options = client.post("/recipe/webauthn/options/register", **{"email": email, **SITE, **more})
    body = {"webauthnGeneratedOptionsId": options["webauthnGeneratedOptionsId"]}
    return client.post("/recipe/webauthn/signup", credential=key.register(options["challenge"]), **body)


def sign_in(client: Client, key: SoftwareAuthenticator, **change: str) -> Any:
    """A sign-in whose credential's response may be changed on the way."""
    options = client.post("/recipe/webauthn/options/signin", **SITE)
    credential = key.sign_in(options["challenge"])
    credential["response"] |= change
    body = {"webauthnGeneratedOptionsId": options["webauthnGeneratedOptionsId"]}
    return client.post("/recipe/webauthn/signin", credential=credential, **body)


@pytest.mark.parametrize("algorithm", [-7, -8, -257])
def test_passkey(client: Client, algorithm: int) -> None:
    """A passkey of each kind of key signs its user up and in."""
    key = passkey(algorithm=algorithm)
    made = register(client, key)

    assert made["status"] == "OK"
    assert sign_in(client, key)["recipeUserId"] == made["recipeUserId"]


@pytest.mark.parametrize("more", [{"origin": "https://evil.com"}, {"relying_party_id": "evil.com"}])
def test_foreign_passkey(client: Client, more: dict[str, str]) -> None:
    """A passkey that was made for another site is refused."""
    assert register(client, passkey(**more))["status"] == "INVALID_AUTHENTICATOR_ERROR"


def test_passkey_for_another_challenge(client: Client) -> None:
    """A credential that answers an old challenge is refused."""
    options = [client.post("/recipe/webauthn/options/register", email="w@example.com", **SITE) for _ in range(2)]
    credential = passkey().register(options[0]["challenge"])
    body = {"webauthnGeneratedOptionsId": options[1]["webauthnGeneratedOptionsId"], "credential": credential}

    assert client.post("/recipe/webauthn/signup", **body)["status"] == "INVALID_AUTHENTICATOR_ERROR"


def test_wrong_signature(client: Client) -> None:
    """A sign-in that another key signed is refused."""
    key, other = passkey(), passkey()
    register(client, key)
    other.credential_id = key.credential_id

    assert sign_in(client, other)["status"] == "INVALID_AUTHENTICATOR_ERROR"


def test_copied_passkey(client: Client) -> None:
    """A passkey whose counter went back was copied, and is refused."""
    key = passkey()
    register(client, key)
    sign_in(client, key)
    key.sign_count -= 1

    assert sign_in(client, key)["status"] == "INVALID_AUTHENTICATOR_ERROR"


@pytest.mark.parametrize("change", [{"authenticatorData": "AAAA"}, {"clientDataJSON": "bm9wZQ"}, {"signature": "%"}])
def test_unreadable_credential(client: Client, change: dict[str, str]) -> None:
    """A credential that cannot be read is told apart from a wrong one."""
    key = passkey()
    register(client, key)

    assert sign_in(client, key, **change)["status"] == "INVALID_CREDENTIALS_ERROR"


def test_late_registration(client: Client, clock: Clock) -> None:
    """Options are good for as long as they say."""
    key = passkey()
    options = client.post("/recipe/webauthn/options/register", email="w@example.com", timeout=1000, **SITE)
    clock.now += 1001
    body = {"webauthnGeneratedOptionsId": options["webauthnGeneratedOptionsId"]}
    answer = client.post("/recipe/webauthn/signup", credential=key.register(options["challenge"]), **body)

    assert answer["status"] == "INVALID_OPTIONS_ERROR"


@pytest.mark.parametrize(("host", "status"), [("example.com", "OK"), ("evil.com", "INVALID_OPTIONS_ERROR")])
def test_relying_party(client: Client, host: str, status: str) -> None:
    """The relying party is the origin's host or a parent of it."""
    asked = {**SITE, "relyingPartyId": host}

    assert client.post("/recipe/webauthn/options/signin", **asked)["status"] == status


def test_second_passkey_user(client: Client) -> None:
    """An e-mail has one passkey user per tenant."""
    register(client, passkey())

    assert register(client, passkey())["status"] == "EMAIL_ALREADY_EXISTS_ERROR"


# --- SAML ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def idp() -> SoftwareIdp:
    return SoftwareIdp()


def saml_callback(client: Client, clock: Clock, idp: SoftwareIdp, response: str = "", **more: str) -> Any:
    """A sign-in with an identity provider, up to its response."""
    uris = {"redirectURIs": ["http://app/cb"], "defaultRedirectURI": "http://app/cb"}
    made = client.put("/recipe/saml/clients", metadataXML=idp.metadata, **uris)
    asked = {"clientId": made["clientId"], "redirectURI": "http://app/cb", "acsURL": "http://api/acs", "state": "s"}
    sso = client.post("/recipe/saml/login", **asked)["ssoRedirectURI"]
    relay_state = dict(parse_qsl(urlsplit(sso).query))["RelayState"]
    response = response or idp.response("sub", "s@example.com", datetime.fromtimestamp(clock.now / 1000, UTC), **more)
    return client.post("/recipe/saml/callback", samlResponse=response, relayState=relay_state)


def test_saml(client: Client, clock: Clock, idp: SoftwareIdp) -> None:
    """A signed response ends in the app with a code and the state."""
    answer = saml_callback(client, clock, idp)

    assert answer["status"] == "OK"
    assert dict(parse_qsl(urlsplit(answer["redirectURI"]).query)).keys() == {"code", "state"}


def test_saml_from_somebody_else(client: Client, clock: Clock, idp: SoftwareIdp) -> None:
    """A response that another key signed is refused, whatever it says."""
    at = datetime.fromtimestamp(clock.now / 1000, UTC)
    response = SoftwareIdp(idp.entity_id).response("sub", "s@example.com", at)

    assert saml_callback(client, clock, idp, response)["status"] == "SAML_RESPONSE_VERIFICATION_FAILED_ERROR"


def test_changed_saml_response(client: Client, clock: Clock, idp: SoftwareIdp) -> None:
    """A response that was changed after signing is refused."""
    signed = base64.b64decode(idp.response("sub", "s@example.com", datetime.fromtimestamp(clock.now / 1000, UTC)))
    changed = base64.b64encode(signed.replace(b"s@example.com", b"t@example.com")).decode()

    assert saml_callback(client, clock, idp, changed)["status"] == "SAML_RESPONSE_VERIFICATION_FAILED_ERROR"


def test_saml_for_somebody_else(client: Client, clock: Clock, idp: SoftwareIdp) -> None:
    """A response for another audience is refused."""
    answer = saml_callback(client, clock, idp, audience="https://other.example.com")

    assert answer["status"] == "SAML_RESPONSE_VERIFICATION_FAILED_ERROR"


@pytest.mark.parametrize("minutes", [-3, 6])
def test_saml_at_another_time(client: Client, clock: Clock, idp: SoftwareIdp, minutes: int) -> None:
    """A response is good for the minutes it says."""
    response = idp.response("sub", "s@example.com", datetime.fromtimestamp(clock.now / 1000, UTC))
    clock.now += minutes * MINUTE

    assert saml_callback(client, clock, idp, response)["status"] == "SAML_RESPONSE_VERIFICATION_FAILED_ERROR"


def test_unasked_saml_response(client: Client, clock: Clock, idp: SoftwareIdp) -> None:
    """A response nobody asked for is let in only by a client that allows it."""
    uris = {"redirectURIs": ["http://app/cb"], "defaultRedirectURI": "http://app/cb"}
    made = client.put("/recipe/saml/clients", metadataXML=idp.metadata, **uris)
    response = idp.response("sub", "s@example.com", datetime.fromtimestamp(clock.now / 1000, UTC))
    before = client.post("/recipe/saml/callback", samlResponse=response)
    changed = {"clientId": made["clientId"], "allowIDPInitiatedLogin": True}
    client.put("/recipe/saml/clients", metadataXML=idp.metadata, **uris, **changed)

    assert before["status"] == "IDP_LOGIN_DISALLOWED_ERROR"
    assert client.post("/recipe/saml/callback", samlResponse=response)["status"] == "OK"


# --- dashboard, JWT -----------------------------------------------------------------------------------------------


def test_dashboard_user(client: Client) -> None:
    """A dashboard user signs in with its password only, until it signs out."""
    client.post("/recipe/dashboard/user", email="admin@example.com", password="adminpass1")
    session_id = client.post("/recipe/dashboard/signin", email="admin@example.com", password="adminpass1")["sessionId"]
    asked = {"sessionId": session_id}

    assert client.post("/recipe/dashboard/session/verify", **asked)["email"] == "admin@example.com"
    client.send("DELETE", f"/recipe/dashboard/session?{urlencode(asked)}")
    assert client.post("/recipe/dashboard/session/verify", **asked)["status"] == "INVALID_SESSION_ERROR"


def test_jwt(client: Client, clock: Clock) -> None:
    """A JWT carries the payload, its issuer and its lifetime; other algorithms are not known."""
    asked = {"payload": {"a": 1}, "validity": 60, "jwksDomain": "http://api", "useStaticSigningKey": True}
    made = client.post("/recipe/jwt", algorithm="RS256", **asked)["jwt"]
    claims = jwt.decode(made, options={"verify_signature": False})

    now = clock.now // 1000
    assert claims == {"a": 1, "iss": "http://api", "iat": now, "exp": now + 60}
    assert client.post("/recipe/jwt", algorithm="HS256", **asked) == {"status": "UNSUPPORTED_ALGORITHM_ERROR"}
