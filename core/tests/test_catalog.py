"""The catalog: every event type says what it is, by example."""

from importlib import import_module
from pkgutil import iter_modules

import pytest

from supertokens_events import catalog
from supertokens_events.catalog import Catalog, EventData, builtin_catalog, builtin_types
from supertokens_events.catalog.base import Unloaded, event_types_of
from supertokens_events.catalog.names import HIGH_VOLUME, TYPES
from supertokens_events.catalog.user import UserCreated
from supertokens_events.event import event_type
from supertokens_events.testing import sample_event

every_type = pytest.mark.parametrize("data_model", Catalog(builtin_types()), ids=lambda model: model.event_type)
SECRETS = {"password", "token", "access_token", "refresh_token", "code", "otp", "link", "secret", "device_id"}


@every_type
def test_example(data_model):
    """A type's example is valid for it, in the form in which it is stored."""
    data = data_model.model_validate(data_model.example).model_dump(mode="json", exclude_unset=True)

    assert data == dict(data_model.example)


@every_type
def test_sentence(data_model):
    """A type's docstring begins with one sentence, and its name is a type."""
    assert data_model.summary().endswith(".")
    assert event_type(data_model.event_type) == data_model.event_type


@every_type
def test_no_field_for_a_secret(data_model):
    """No type has a field that could hold a secret, and a field it does not name is refused."""
    assert not SECRETS & set(data_model.model_fields)
    assert data_model.model_config["extra"] == "forbid"
    assert data_model.model_config["frozen"]


@every_type
def test_sample(data_model):
    """The testing kit has a sample of every type."""
    event = sample_event(data_model.event_type)

    assert event.data == dict(data_model.example)


def test_order():
    """A catalog iterates by name, however it was filled."""
    names = [data_model.event_type for data_model in Catalog(reversed(builtin_types()))]

    assert names == sorted(names)
    assert len(names) == len(set(names)) == len(builtin_types())


def test_high_volume():
    """What happens on every request is not captured unless somebody asks for it."""
    assert Catalog(builtin_types()).get("session.refreshed").high_volume


def test_known_and_unknown():
    """A type is found by its exact name; for another the nearest one is offered."""
    known = Catalog(builtin_types())

    assert "user.created" in known
    assert known.get("user.craeted") is None
    assert known.nearest("user.craeted") == "user.created"
    assert known.nearest("zzz") is None


def test_a_name_for_two_types():
    """A name for two different types is refused, and both are named; the same type twice is no harm."""

    class Ours(EventData):
        """Ours."""

        event_type = "app.said"

    class Theirs(EventData):
        """Theirs."""

        event_type = "app.said"

    known = Catalog([Ours, Ours])

    with pytest.raises(ValueError, match=r"'app.said' is defined by both .*Ours and .*Theirs"):
        known.add(Theirs)
    assert list(known) == [Ours]


def test_a_bad_name():
    """A type whose name is not an event type does not come into a catalog."""

    class Bad(EventData):
        """Bad."""

        event_type = "Said"

    with pytest.raises(ValueError, match="'Said' is not an event type"):
        Catalog([Bad])


def test_names():
    """The names that are known without the models are those of the models."""
    for domain, names in TYPES.items():
        module = import_module(f"supertokens_events.catalog.{domain}")
        assert names.split() == sorted(data_model.event_type for data_model in event_types_of(module))
    assert {data_model.event_type for data_model in builtin_types() if data_model.high_volume} == HIGH_VOLUME


def test_every_domain():
    """A module of the catalog that defines event types is known as one."""
    modules = [module.name for module in iter_modules(catalog.__path__)]

    with_types = [name for name in modules if event_types_of(import_module(f"supertokens_events.catalog.{name}"))]

    assert sorted(with_types) == sorted(TYPES)


def test_loaded_when_asked_for():
    """The built-in catalog is the same as one of all models."""
    builtin = builtin_catalog()

    assert builtin.high_volume == sorted(HIGH_VOLUME)
    assert builtin.get("user.created") is UserCreated
    assert list(builtin) == list(Catalog(builtin_types()))
    assert len(builtin) == len(builtin_types())


def test_extended():
    """More types make another catalog; one that takes a built-in name is refused."""

    class Said(EventData):
        """Said."""

        event_type = "app.said"

    class Theirs(EventData):
        """Theirs."""

        event_type = "user.created"

    builtin = builtin_catalog()

    assert "app.said" in builtin.extended([Said])
    assert "app.said" not in builtin
    assert "user.created" in builtin.extended([UserCreated])
    with pytest.raises(ValueError, match=r"'user.created' is defined by both .*user.UserCreated and .*Theirs"):
        builtin.extended([Theirs])


def test_a_name_without_a_model():
    """A name that its module does not define is a mistake of ours, and says so."""
    with pytest.raises(LookupError, match=r"no event type 'user.sang' in supertokens_events.catalog.user"):
        Catalog([Unloaded("user.sang", "supertokens_events.catalog.user")]).get("user.sang")
