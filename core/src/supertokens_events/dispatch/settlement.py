"""What an outcome comes to: a settlement, by the sink's own schedule. Nothing here waits or stores."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from supertokens_events.outbox import Claim, DeliveryState, Settlement
from supertokens_events.retry import RetryPolicy
from supertokens_events.sink import Delivered, Outcome, Rejected, Retry

__all__ = ["give_up", "kept", "settle"]

_LONG_REASON = 500  # characters of a sink's reason that are kept


def settle(
    claim: Claim,
    outcome: Outcome,
    policy: RetryPolicy,
    *,
    duration: float,
    uniform: Callable[[float, float], float] = random.uniform,
) -> Settlement:
    """The settlement of a try that took ``duration`` seconds."""
    settled = partial(Settlement, claim, duration=duration, detail=outcome.detail)
    used = claim.used + 1
    age = claim.age + duration
    match outcome:
        case Delivered():
            return settled(state=DeliveryState.DONE, outcome="delivered", used=used)
        case Rejected(reason=reason):
            return settled(
                state=DeliveryState.DEAD, outcome="rejected", used=used, reason=kept(reason), disables=outcome.disables
            )
        case Retry(counts=False, reason=reason, after=after):
            if age >= policy.patience:
                return settled(
                    state=DeliveryState.DEAD, outcome="retry", used=used, reason=_given_up("its schedule", reason)
                )
            wait = policy.wait_uncounted(claim.used, after)
            return settled(
                state=DeliveryState.PENDING, outcome="retry", used=claim.used, wait=wait, reason=kept(reason)
            )
        case Retry(reason=reason, after=after):
            next_wait = policy.wait_after(used, after, age=age, uniform=uniform)
            if next_wait is None:
                given_up = _given_up("one attempt" if used == 1 else f"{used} attempts", reason)
                return settled(state=DeliveryState.DEAD, outcome="retry", used=used, reason=given_up)
            return settled(state=DeliveryState.PENDING, outcome="retry", used=used, wait=next_wait, reason=kept(reason))


def give_up(claim: Claim, reason: str) -> tuple[Settlement, Outcome]:
    """The end of a delivery whose schedule is over while its place was away; it used up no attempt more."""
    outcome = Retry(_given_up("its schedule", f"the place was away: {reason}"))
    settlement = Settlement(
        claim, state=DeliveryState.DEAD, outcome="given_up", used=claim.used, reason=kept(outcome.reason)
    )
    return settlement, outcome


def _given_up(after: str, reason: object) -> str:
    return f"given up after {after}: {kept(reason)}"


def kept(reason: object) -> str:
    """A reason as the outbox can hold it: text, not long, without lone surrogates."""
    return str(reason)[:_LONG_REASON].encode("utf-8", "replace").decode("utf-8")
