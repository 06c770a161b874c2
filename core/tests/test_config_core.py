"""``[core]`` and ``[reconcile]``: where the core is, and how often it is compared with."""

from __future__ import annotations

import pytest

from supertokens_events.config import ConfigurationError, load_settings

CORE = {"connection_uri": "http://localhost:3567"}


@pytest.fixture
def read(make_plugins):
    return lambda **tables: load_settings(tables, make_plugins())


def test_nothing_by_default(read):
    """An app that never compares names no core."""
    settings = read()

    assert settings.core.hosts == []
    assert settings.reconcile.every is None


@pytest.mark.parametrize(
    ("uri", "hosts"),
    [
        ("http://localhost:3567", ["http://localhost:3567"]),
        ("https://core.example.com/appid-a1/", ["https://core.example.com/appid-a1"]),
        ("http://a:3567 ; http://b:3567", ["http://a:3567", "http://b:3567"]),
    ],
)
def test_where_the_core_is(read, uri, hosts):
    """As the app's ``init`` names it."""
    assert read(core={"connection_uri": uri}).core.hosts == hosts


@pytest.mark.parametrize("uri", ["localhost:3567", "ftp://core", "", ";", "http://", "http://[::1"])
def test_what_is_no_url(read, uri):
    """Is an error that shows one."""
    with pytest.raises(
        ConfigurationError, match=r"core\.connection_uri: expected a URL such as 'http://localhost:3567'"
    ):
        read(core={"connection_uri": uri})


@pytest.mark.parametrize("key", ["", " s3cr3t", "s3cr3t\n", "s3cr3t-schlüssel"])
def test_a_key_that_cannot_be_sent(read, key, monkeypatch):
    """Is an error that does not repeat it."""
    monkeypatch.setenv("CORE_KEY", key or "x")
    with pytest.raises(ConfigurationError, match=r"core\.api_key: expected ASCII characters") as raised:
        read(core={**CORE, "api_key": {"env": "CORE_KEY"} if key else ""})

    assert not key or "s3cr3t" not in str(raised.value)


def test_the_key_is_not_shown(read, monkeypatch):
    """No ``repr`` of the settings has it, nor a URL's password."""
    monkeypatch.setenv("CORE_KEY", "s3cr3t-key")
    settings = read(core={"connection_uri": "http://user:hunter2@core", "api_key": {"env": "CORE_KEY"}})

    assert settings.core.api_key.get_secret_value() == "s3cr3t-key"
    assert "s3cr3t-key" not in repr(settings)
    assert "hunter2" not in repr(settings)


def test_how_often(read):
    """A duration; what is said, and what is compared beside users, is off unless it is turned on."""
    reconcile = read(core=CORE, reconcile={"every": "1h"}).reconcile

    assert (reconcile.every, reconcile.fix, reconcile.tenants, reconcile.roles) == (3600.0, False, False, False)


@pytest.mark.parametrize(
    ("tables", "problem"),
    [
        (
            {"reconcile": {"every": "1h"}},
            r"reconcile\.every: there is no core to compare with: set core\.connection_uri",
        ),
        ({"core": CORE, "reconcile": {"every": "1s"}}, r"reconcile\.every: .*greater than or equal to 60"),
        ({"core": CORE, "reconcile": {"every": "often"}}, r"reconcile\.every: expected a duration such as"),
        ({"core": {"connection_url": "x"}}, r"core\.connection_url: unknown key, did you mean 'connection_uri'\?"),
        ({"reconcil": {}}, r"reconcil: unknown key, did you mean 'reconcile'\?"),
    ],
)
def test_mistakes(read, tables, problem):
    """Are sentences with the key."""
    with pytest.raises(ConfigurationError, match=problem):
        read(**tables)
