"""Which events a sink wants: patterns over their types, their tenants, conditions on their fields."""

import json
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supertokens_events.subscription import ConditionError, Conditions, Patterns, Subscription, check_pattern
from supertokens_events.subscription.operators import OPERATORS
from supertokens_events.testing import sample_event

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


EVENT = {
    "type": "user.signed_in",
    "timestamp": "2026-11-23T07:15:22.104533Z",
    "schema_version": 1,
    "tenant_id": "public",
    "user_id": None,
    "actor": {"type": "user", "user_id": "u1"},
    "context": {"ip": "10.1.2.3", "path": "/auth/signin", "geo.country": "FR"},
    "data": {
        "method": "thirdparty",
        "new": True,
        "attempts": 3,
        "roles": ["admin", "editor"],
        "none": [],
        "login_methods": [{"recipe_id": "emailpassword", "at": "2026-01-01T00:00:00Z"}, {"recipe_id": "passwordless"}],
        "amounts": [0, 10],
        "mapped": "::ffff:10.1.2.3",
        "env": "staging",
    },
}


class TestConditions:
    @pytest.mark.parametrize(
        ("where", "holds"),
        [
            ({}, True),
            ({"tenant_id": "public"}, True),
            ({"tenant_id": "t1"}, False),
            ({"tenant_id": ["t1", "public"]}, True),
            ({"tenant_id": "public", "data.method": "passwordless"}, False),
            ({"actor.type": "user"}, True),
            ({"actor": {"type": "user", "user_id": "u1"}}, True),
            ({"actor": {"type": {"not": "user"}}}, False),
            ({"data": {"env": "staging"}}, True),
            ({"data.new": True}, True),
            ({"data.new": 1}, False),
            ({"data.attempts": 3}, True),
            ({"data.attempts": 3.0}, True),
            ({"data.attempts": "3"}, False),
            ({"data.attempts": True}, False),
            ({"data.roles": "admin"}, True),
            ({"data.roles": ["viewer", "editor"]}, True),
            ({"data.roles": {"not": "admin"}}, False),
            ({"data.roles": {"not": ["viewer", "owner"]}}, True),
            ({"data.login_methods.recipe_id": "passwordless"}, True),
            ({"data.login_methods.recipe_id": "webauthn"}, False),
            ({"data.login_methods.at": {"lt": "2026-06-01T00:00:00+02:00"}}, True),
            ({"data.amounts": {"gt": 1, "lt": 5}}, False),
            ({"data.amounts": {"gt": 1, "lt": 50}}, True),
            ({"data.missing": {"exists": False}}, True),
            ({"data.missing": {"exists": True}}, False),
            ({"data.missing": {"not": "x"}}, True),
            ({"data.missing": {"in": ["x"]}}, False),
            ({"data.missing": {"lt": 5}}, False),
            ({"data.method.deeper": {"exists": False}}, True),
            ({"user_id": {"exists": False}}, True),
            ({"data.none": {"exists": True}}, True),
            ({"data.none": "x"}, False),
            ({"data.new": {"exists": True}}, True),
            ({"data.method": {"equals": "thirdparty"}}, True),
            ({"data.method": {"in": ["thirdparty"]}}, True),
            ({"context.path": {"prefix": "/auth/"}}, True),
            ({"context.path": {"prefix": ["/api", "/auth"]}}, True),
            ({"context.path": {"suffix": "in"}}, True),
            ({"context.path": {"contains": "sign", "suffix": "up"}}, False),
            ({"data.attempts": {"prefix": "3"}}, False),
            ({"data.attempts": {"gte": 3, "lte": 3}}, True),
            ({"data.attempts": {"gt": 3}}, False),
            ({"data.new": {"gte": 0}}, False),
            ({"data.method": {"gt": 0}}, False),
            ({"timestamp": {"gte": "2026-11-23T08:15:22+01:00"}}, True),
            ({"timestamp": {"gte": datetime(2026, 11, 23, 7, 16, tzinfo=UTC)}}, False),
            ({"timestamp": {"lt": date(2026, 11, 24)}}, True),
            ({"timestamp": datetime(2026, 11, 23, 7, 15, 22, 104533, tzinfo=UTC).replace(tzinfo=None)}, True),
            ({"data.attempts": {"gt": "2026-01-01"}}, False),
            ({"context.ip": {"cidr": "10.0.0.0/8"}}, True),
            ({"context.ip": {"cidr": ["192.168.0.0/16", "2001:db8::/32"]}}, False),
            ({"data.mapped": {"cidr": "10.0.0.0/8"}}, True),
            ({"data.method": {"cidr": "10.0.0.0/8"}}, False),
            ({"data.attempts": {"cidr": "0.0.0.0/0"}}, False),
        ],
        ids=str,
    )
    def test_examples(self, where, holds):
        """Each operator, lists in the event, fields that are not there, values of another type."""
        assert Conditions(where).hold(EVENT) is holds

    @pytest.mark.parametrize(
        ("where", "key", "sentence"),
        [
            (
                {"tenant": "x"},
                "tenant",
                "an event has no field 'tenant', did you mean 'tenant_id'?; its fields: id, type",
            ),
            ({"sequence": 5}, "sequence", "an event has no field 'sequence'"),
            ({"dat.x": "x"}, "dat.x", "an event has no field 'dat', did you mean 'data'?"),
            ({"user_id.x": "x"}, "user_id.x", "'user_id' is a plain value and has no fields"),
            ({"data": "x"}, "data", "'data' has fields: name one, such as 'data.provider'"),
            ({"data..x": "x"}, "data..x", "a path is names with '.' between them"),
            (
                {"actor.typ": "x"},
                "actor.typ",
                "'actor' has no field 'typ', did you mean 'type'?; its fields: type, user_id",
            ),
            (
                {"actor": {"type": {"prefx": "x"}}},
                "actor.type.prefx",
                "unknown operator, did you mean 'prefix'?; operators:",
            ),
            ({"data": {"a": {"b": "x"}}}, "data.a.b", "unknown operator; operators: equals, not, in, prefix"),
            ({"data": {"a": {"b": "x"}}}, "data.a.b", 'if it is a field, put its whole path in quotes: "data.a.b"'),
            ({"data.x": {}}, "data.x", "expected at least one operator: equals, not"),
            ({"data.x": []}, "data.x", "this one is empty"),
            ({"data.x": [[]]}, "data.x", "expected a text, a number, true, false or a time"),
            ({"data.x": {"not": {}}}, "data.x.not", "expected a text, a number, true, false or a time"),
            ({"data.x": {"equals": ["a"]}}, "data.x.equals", "expected one value; for any of several write 'in'"),
            ({"data.x": {"in": "a"}}, "data.x.in", "expected a list, in square brackets"),
            ({"data.x": {"exists": "yes"}}, "data.x.exists", "expected true or false"),
            ({"data.x": {"prefix": 5}}, "data.x.prefix", "expected a text, or a list of texts"),
            ({"data.x": {"gt": "soon"}}, "data.x.gt", "expected a number, or a time such as '2026-11-23T07:15:00Z'"),
            ({"data.x": {"gt": True}}, "data.x.gt", "expected a number, or a time"),
            ({"context.ip": {"cidr": "10.0.0.1/8"}}, "context.ip.cidr", "expected a network such as '10.0.0.0/8'"),
        ],
        ids=lambda value: value if isinstance(value, str) and " " not in value else "",
    )
    def test_errors(self, where, key, sentence):
        """What is wrong is told by key, with what is expected."""
        with pytest.raises(ConditionError) as raised:
            Conditions(where)

        ((wrong, told),) = raised.value.problems
        assert wrong == key
        assert sentence in told


plain = st.text(max_size=5) | st.integers() | st.floats() | st.booleans() | st.datetimes() | st.dates()
texts = st.text(max_size=3) | st.lists(st.text(max_size=3), min_size=1, max_size=2)
times = st.datetimes(timezones=st.timezones() | st.just(UTC))
networks = st.sampled_from(["10.0.0.0/8", "::/0", "0.0.0.0/0", "fe80::/10"])
operands = {
    "equals": plain,
    "not": plain | st.lists(plain, min_size=1, max_size=2),
    "in": st.lists(plain, min_size=1, max_size=2),
    **dict.fromkeys(["prefix", "suffix", "contains"], texts),
    **dict.fromkeys(["gt", "gte", "lt", "lte"], st.integers() | st.floats() | times | times.map(str)),
    "cidr": networks | st.lists(networks, min_size=1, max_size=2),
    "exists": st.booleans(),
}
names = st.sampled_from(["a", "b", "c"])
fields = st.sampled_from(["tenant_id", "timestamp", "actor.type", "context.ip"]) | st.lists(
    names, min_size=1, max_size=3
).map(lambda path: ".".join(["data", *path]))
tables = st.fixed_dictionaries({}, optional=operands).filter(bool)
conditions = st.dictionaries(fields, plain | st.lists(plain, min_size=1, max_size=3) | tables, max_size=3)
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | times.map(datetime.isoformat)
    | st.ip_addresses().map(str)
    | st.sampled_from(["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "20261123", "fe80::1%eth0"])
)
documents = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3))


@given(
    conditions,
    st.fixed_dictionaries(
        {}, optional=dict.fromkeys(["tenant_id", "timestamp", "actor", "context", "data"], documents)
    ),
)
def test_never_raises(where, document):
    """Whatever an event holds, a valid condition holds or does not, and never raises."""
    assert Conditions(where).hold(document) in {True, False}


@given(st.sampled_from(sorted(OPERATORS)), documents)
def test_any_operand(name, operand):
    """Whatever stands for an operator's value in TOML, it is taken or told."""
    told = []
    try:
        Conditions({"data.x": {name: operand}}).hold({"data": {"x": operand}})
    except ConditionError as error:
        told = error.problems

    assert {key for key, _ in told} <= {f"data.x.{name}"}


def test_every_stored_field():
    """Whatever is stored of an event can be asked for."""
    for name, value in json.loads(sample_event().to_bytes()).items():
        if not isinstance(value, dict):
            assert Conditions({name: {"exists": value is not None}}).hold({name: value})
