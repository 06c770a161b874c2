"""What Slack's answers mean: for one message, for its channel, or for all that this sink will ever say.

Sources: "Sending messages using incoming webhooks" (the body is a code in plain text, the status goes with it) and
``chat.postMessage`` (the status is 200, and ``{"ok": false, "error": …}`` says what it is not).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Any

from supertokens_events.http import Answer, outcome_of, parse_retry_after
from supertokens_events.sink import Delivered, Rejected, Retry

__all__ = ["NoChannel", "NoThread", "Posted", "Unfit", "Verdict", "of_api", "of_webhook", "parsed"]


@dataclass(frozen=True, slots=True)
class Posted:
    """Slack has it. ``ts`` is its name in the channel, where Slack says it: what an answer in its thread refers to."""

    detail: Mapping[str, Any]
    ts: str | None = None


@dataclass(frozen=True, slots=True)
class Unfit:
    """Slack takes no such message; another one may do."""

    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoThread:
    """The message whose thread this should have been in is gone, or locked."""

    reason: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NoChannel:
    """Nothing can be posted to this channel; another one may do. ``advice`` is what a person may do about it."""

    reason: str
    advice: str
    detail: Mapping[str, Any] = field(default_factory=dict)


Verdict = Posted | Unfit | NoThread | NoChannel | Retry | Rejected
"""``Rejected``: nothing can be posted at all, and the sink is disabled."""


class _Kind(Enum):
    PLACE = auto()
    CHANNEL = auto()
    THREAD = auto()
    MESSAGE = auto()
    PATIENCE = auto()
    AWAY = auto()


# Whatever is not listed is tried again: a code that Slack thinks of tomorrow must not cost an event.
_CODES = {
    _Kind.PLACE: """
        action_prohibited invalid_token no_active_hooks no_service no_service_id no_team team_disabled user_not_found
        posting_to_general_channel_denied access_denied accesslimited account_inactive deprecated_endpoint
        ekm_access_denied enterprise_is_restricted invalid_auth method_deprecated missing_scope no_permission
        not_allowed_token_type not_authed org_login_required team_access_not_granted team_not_found
        token_expired token_revoked two_factor_setup_required
    """,
    _Kind.CHANNEL: """
        channel_is_archived channel_not_found is_archived messages_tab_disabled not_in_channel restricted_action
        restricted_action_non_threadable_channel restricted_action_read_only_channel restricted_action_thread_only_channel
        is_inactive
    """,
    _Kind.THREAD: """
        cannot_reply_to_message invalid_thread_ts restricted_action_thread_locked thread_not_found
    """,
    _Kind.MESSAGE: """
        attachment_payload_limit_exceeded invalid_arguments invalid_array_arg invalid_attachments invalid_blocks
        invalid_blocks_format invalid_charset invalid_form_data invalid_json invalid_payload invalid_post_type json_not_object
        missing_text_or_fallback_or_attachments msg_blocks_too_long msg_too_long no_text too_many_attachments
    """,
    _Kind.PATIENCE: """
        message_limit_exceeded rate_limited ratelimited
    """,
    _Kind.AWAY: """
        request_timeout rollup_error service_unavailable team_added_to_org
    """,
}
_KINDS = {code: kind for kind, codes in _CODES.items() for code in codes.split()}
_ADVICE = {
    "is_archived": "unarchive it, or name another one",
    "channel_is_archived": "unarchive it, or name another one",
    "channel_not_found": "is its name right, and has the app been invited to it, if it is private?",
    "not_in_channel": "invite the app to it",
    "missing_scope": "the app needs the scope chat:write",
    "invalid_auth": "is the token right?",
    "token_revoked": "install the app again, and configure its new token",
    "token_expired": "install the app again, and configure its new token",
    "account_inactive": "install the app again, and configure its new token",
    "no_service": "the webhook was removed: make a new one, and configure its URL",
    "invalid_token": "the webhook's URL is wrong: copy it again",
    "team_added_to_org": "its workspace is being moved",
}
_CODE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,12}")
_LONG = 80  # characters of something that could be a code
_HOLDS_TOO_MUCH = 413


def of_webhook(answer: Answer, *, hide: Collection[str], now: Callable[[], float]) -> Verdict:
    """Of an incoming webhook."""
    if answer.status == 200 and answer.body.strip() == b"ok":
        return Posted({"status": 200})
    if 200 <= answer.status < 300:
        return _no_slack(answer, "ok", hide)
    said = _code_in(answer.body.decode("utf-8", "replace"))
    if answer.status == 429 or said not in _KINDS:
        return _by_status(answer, said, hide, now)
    return _by_code(answer, said, hide, now)


def of_api(answer: Answer, *, hide: Collection[str], now: Callable[[], float]) -> Verdict:
    """Of a method of the Web API that posts."""
    document = parsed(answer)
    if document is None:
        not_slack = answer.status == 200
        return _no_slack(answer, "JSON with 'ok' in it", hide) if not_slack else _by_status(answer, "", hide, now)
    if document["ok"] and answer.status == 200:
        ts = _ts_in(document)
        return Posted({"status": 200, "ts": ts} if ts else {"status": 200}, ts)
    said = _code_in(str(document.get("error", "")))
    if answer.status == 429 or (answer.status != 200 and said not in _KINDS):
        return _by_status(answer, said, hide, now)
    return _by_code(answer, said, hide, now)


def parsed(answer: Answer) -> Mapping[str, Any] | None:
    """What the Web API says, if that is who answered."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) and isinstance(document.get("ok"), bool) else None


def _ts_in(document: Mapping[str, Any]) -> str | None:
    ts = document.get("ts")
    return ts if isinstance(ts, str) and _TS.fullmatch(ts) else None


def _code_in(text: str) -> str:
    match = _CODE.match(text.strip()[:_LONG])
    return match[0] if match else ""


def _may_be_said(said: str, hide: Collection[str]) -> bool:
    """A code of Slack's may be. Another word may be what we sent, in the answer of whoever repeats it."""
    return said in _KINDS or (bool(said) and not any(said in secret for secret in hide))


def _no_slack(answer: Answer, expected: str, hide: Collection[str]) -> Retry:
    """Somebody else may have answered: whoever stands between us, with a page to sign in at."""
    return Retry(f"{answer}, but not with {expected} as Slack does", away=True, detail=answer.detail(hide))


def _by_status(answer: Answer, said: str, hide: Collection[str], now: Callable[[], float]) -> Verdict:
    if answer.status == _HOLDS_TOO_MUCH:
        return Unfit(f"{answer}", answer.detail(hide))
    outcome = outcome_of(answer, hide=hide, now=now)
    if isinstance(outcome, Delivered):  # another 2xx than 200, of the Web API
        return _no_slack(answer, "200", hide)
    return replace(outcome, reason=f"{outcome.reason}: {said}") if _may_be_said(said, hide) else outcome


def _by_code(answer: Answer, said: str, hide: Collection[str], now: Callable[[], float]) -> Verdict:
    advice = _ADVICE.get(said)
    told = said if _may_be_said(said, hide) else "something that is no error of Slack's"
    answered = f"{answer.host} answered {told}"
    reason = f"{answered}: {advice}" if advice else answered
    detail = answer.detail(hide)
    after = parse_retry_after(answer.headers.get("retry-after"), now())
    match _KINDS.get(said):
        case _Kind.PLACE:
            return Rejected(reason, detail, disables=True)
        case _Kind.CHANNEL:
            return NoChannel(answered, advice or "ask who may change it", detail)
        case _Kind.THREAD:
            return NoThread(reason, detail)
        case _Kind.MESSAGE:
            return Unfit(reason, detail)
        case _Kind.PATIENCE:
            return Retry(reason, after, counts=False, away=True, detail=detail)
        case _Kind.AWAY:
            return Retry(reason, after, away=True, detail=detail)
        case None:
            return Retry(reason, after, detail=detail)
