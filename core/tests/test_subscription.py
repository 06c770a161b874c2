"""Patterns: which event types a sink wants."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertokens_events.subscription import Patterns, Subscription, check_pattern

words = st.sampled_from(["user", "session", "sign_in", "created", "failed"])
types = st.lists(words, min_size=2, max_size=4).map(".".join)
patterns = st.builds(
    lambda exclude, parts: exclude + ".".join(parts),
    st.sampled_from(["", "!"]),
    st.lists(words | st.just("*"), min_size=1, max_size=4),
)


def naive(pattern, name):
    """Whether the parts of ``pattern`` can be laid over the parts of ``name``, a ``*`` over one or more of them."""
    if not pattern or not name:
        return not pattern and not name
    if pattern[0] != "*":
        return pattern[0] == name[0] and naive(pattern[1:], name[1:])
    return any(naive(pattern[1:], name[taken:]) for taken in range(1, len(name) + 1))


def wanted(listed, name):
    """The last pattern that matches decides; a list that only excludes starts from everything."""
    answer = bool(listed) and all(pattern.startswith("!") for pattern in listed)
    for pattern in listed:
        if naive(pattern.lstrip("!").split("."), name.split(".")):
            answer = not pattern.startswith("!")
    return answer


@given(st.lists(patterns, max_size=4), types)
def test_patterns(listed, name):
    """Patterns decide as the plain reading of their rules does."""
    assert Patterns(listed).matches(name) == wanted(listed, name)


@pytest.mark.parametrize(
    ("listed", "matching", "other"),
    [
        (["user.created"], ["user.created"], ["user.created.twice", "user"]),
        (["user.*"], ["user.created", "user.sign_in.failed"], ["users.created", "app.user.created"]),
        (["*.failed"], ["user.sign_in.failed", "session.refresh.failed"], ["failed.x"]),
        (["*"], ["user.created"], []),
        (["*", "!session.*"], ["user.created"], ["session.created"]),
        (["!session.*"], ["user.created"], ["session.created"]),
        (["!session.*", "session.revoked"], ["session.revoked"], ["session.created", "user.created"]),
        (["user.*", "!user.*.failed", "user.sign_in.failed"], ["user.sign_in.failed"], ["user.sign_up.failed"]),
        ([], [], ["user.created"]),
    ],
    ids=str,
)
def test_examples(listed, matching, other):
    """The examples of the guide: order, exclusion, several parts."""
    rules = Patterns(listed)

    assert all(map(rules.matches, matching))
    assert not any(map(rules.matches, other))


@pytest.mark.parametrize("pattern", ["user.*", "*", "!*.failed", "!user.created", "*.*", "a"])
def test_valid(pattern):
    """Types, types with '*' for whole parts, and either with '!', are patterns."""
    assert check_pattern(pattern) == pattern


@pytest.mark.parametrize(
    "pattern", ["", "!", "!!user.*", "user.", "us*r.created", "User.*", "user.**", "user.*\n", "@default"]
)
def test_invalid(pattern):
    """Anything else is refused, with the pattern and an example of a good one."""
    with pytest.raises(ValueError, match=r"is not an event pattern: expected a type such as 'user\.created'"):
        check_pattern(pattern)


@given(st.lists(st.sampled_from(["public", "t1"]), max_size=2), st.sampled_from(["public", "t1", "t2", None]), types)
def test_tenants(tenants, tenant, name):
    """A subscription without tenants is for all; one with tenants for those, and not for events without one."""
    subscription = Subscription(Patterns(["*"]), tenants)

    assert subscription.matches(name, tenant) == (not tenants or tenant in tenants)
