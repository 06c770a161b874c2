"""Who somebody is, by what was stored."""

import pytest

from supertokens_events.operate.linked import Person, find
from supertokens_events.outbox import Change, Entry, Names, Told
from supertokens_events.testing import sample_event


@pytest.fixture
def said(outbox):
    """Store events, each a type, its user and its data."""

    def said(*facts):
        events = [sample_event(event_type, user_id=user, data=data) for event_type, user, data in facts]
        outbox.append([Entry(event, event.to_bytes()) for event in events])
        return events

    return said


@pytest.fixture
def ids(outbox):
    """All ids of somebody, by one of them."""
    return lambda user_id: set(find(outbox, user_id).names.user_ids)


def linked(login, primary, **more):
    return "account.linked", primary, {"recipe_user_id": login, "primary_user_id": primary, **more}


def unlinked(login, primary, **more):
    return "account.unlinked", primary, {"recipe_user_id": login, "primary_user_id": primary, **more}


def mapped(own, external):
    return "user.id_mapping.created", external, {"supertokens_user_id": own, "external_user_id": external}


def test_steps(said, ids):
    """Ids are found however many steps apart, from whichever end one begins."""
    said(linked("b", "a"), linked("c", "a"), mapped("c", "ext-c"), ("session.created", "a", {"recipe_user_id": "d"}))

    assert [ids(user) for user in "abcd"] == [{"a", "b", "c", "d", "ext-c"}] * 4
    assert ids("ext-c") == ids("a")


def test_what_says_so(said, outbox):
    """Each link is shown with the id that it was found through and the first event that says so."""
    first, again, further = said(linked("b", "a"), linked("b", "a"), mapped("b", "ext-b"))

    assert [tuple(link) for link in find(outbox, "a").links] == [
        ("b", "a", f"account.linked {first.id}"),
        ("ext-b", "b", f"user.id_mapping.created {further.id}"),
    ]
    assert again.id not in str(find(outbox, "a"))


@pytest.mark.parametrize("field", ["primary_login_methods", "login_methods"])
def test_login_methods(said, ids, field):
    """Login methods that an event lists are its user's."""
    said(("account.linked", "a", {"primary_user_id": "a", "recipe_user_id": "b", field: [{"recipe_user_id": "c"}]}))

    assert ids("c") == {"a", "b", "c"}


def test_parted(said, ids):
    """Who was unlinked is another user: the last word on a login method counts."""
    said(linked("b", "a"), linked("c", "a"), unlinked("b", "a"))
    assert (ids("a"), ids("b")) == ({"a", "c"}, {"b"})

    said(linked("b", "x"))
    assert (ids("a"), ids("b")) == ({"a", "c"}, {"b", "x"})

    said(unlinked("b", "x"), linked("b", "a"))
    assert (ids("x"), ids("b")) == ({"x"}, {"a", "b", "c"})


def test_two_who_are_not_one(said, ids):
    """A link that was refused links nobody; nor do an actor, an app's own event, or a value elsewhere."""
    said(
        ("account.link.failed", "a", {"reason": "other", "recipe_user_id": "b", "primary_user_id": "a"}),
        ("app.invited", "a", {"recipe_user_id": "c"}),
        ("user.metadata.updated", "a", {"keys": ["d"], "metadata": {"recipe_user_id": "e"}}),
    )

    assert ids("a") == {"a"}


def test_what_the_catalog_makes_up(said, outbox):
    """Test events that `send` has made link nobody, though all of them name the same login method and address."""
    for user in ("a", "b"):
        event = sample_event("user.created", user_id=user)
        outbox.append([Entry(event, event.to_bytes())])

    assert find(outbox, "a") == Person("a")


def test_addresses(said, outbox):
    """A user's addresses are those that events about that user say, old ones too; what looks like none is none."""
    said(
        ("user.created", "a", {"recipe_user_id": "a", "email": "a@b.c"}),
        ("user.email.changed", "a", {"recipe_user_id": "a", "email": "n@b.c", "previous_email": "o@b.c"}),
        ("user.created", "b", {"recipe_user_id": "b", "email": "b@b.c", "note": "a"}),
        (
            "user.phone.changed",
            "a",
            {"recipe_user_id": "a", "phone_number": "+4912345", "previous_phone_number": "public"},
        ),
        (
            "account.linked",
            "a",
            {"linked": {"email": "l@b.c"}, "primary_login_methods": [{"phone_number": "+4954321"}]},
        ),
        ("user.deleted", "a", {"login_methods": [{"email": "m@b.c"}], "metadata": {"email": "boss@b.c"}}),
        ("app.invited", "a", {"email": "guest@b.c"}),
    )

    assert find(outbox, "a").names == Names(
        ("a",), ("+4912345", "+4954321", "a@b.c", "l@b.c", "m@b.c", "n@b.c", "o@b.c")
    )


def test_what_is_kept_to_compare(said, ids, outbox):
    """What was told before its events were pruned is known from what is kept to compare with the core; events say more."""
    outbox.records.keep("mark", "1", None, Change(kept=[Told("b", "a", {}, "own-b"), Told("c", "a", {})]))
    assert ids("own-b") == {"a", "b", "c", "own-b"}

    said(unlinked("c", "a"))
    assert ids("a") == {"a", "b", "own-b"}


def test_many_events(said, ids):
    """A page of events is not the end of them."""
    said(*[("app.seen", "a", {})] * 501, linked("b", "a"))

    assert ids("a") == {"a", "b"}


def test_odd_data(said, ids):
    """Whatever stands where an id or a list of methods should, and numbers of any length, stop nobody."""
    said(
        (
            "account.linked",
            "a",
            {"recipe_user_id": 7, "primary_user_id": None, "primary_login_methods": ["x", None, 3]},
        ),
        ("user.created", "a", {"recipe_user_id": "", "email": ["a@b.c"], "login_methods": {"recipe_user_id": "b"}}),
        ("user.deleted", "a", {"login_methods": 12, "big": 10**30}),
    )

    assert ids("a") == {"a"}
