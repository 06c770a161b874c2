"""Plugins: found by entry point, loaded one by one, and told apart when one is broken."""

import importlib
import textwrap
from importlib.metadata import version
from types import SimpleNamespace

import pytest

from supertokens_events import hookimpl, hookspecs
from supertokens_events.catalog import EventData
from supertokens_events.plugins import DISABLE_VARIABLE, PluginError, load_plugins
from supertokens_events.sink import Delivered, Sink
from supertokens_events.testing import RecordingSink

SINK = """
    from supertokens_events import hookimpl
    from supertokens_events.sink import Delivered, Sink

    class Pigeon(Sink):
        type = "pigeon"

        async def deliver(self, deliveries):
            return [Delivered()] * len(deliveries)

    @hookimpl
    def register_sink_types():
        return [Pigeon]
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Install a package: a module and the metadata that pip would write beside it."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(distribution, module, source, *, version="1.0", entry_point=None, requires="supertokens-events"):
        folder = tmp_path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        lines = ["Metadata-Version: 2.1", f"Name: {distribution}", f"Version: {version}", f"Requires-Dist: {requires}"]
        (folder / "METADATA").write_text("\n".join(lines) + "\n")
        (folder / "entry_points.txt").write_text(f"[supertokens_events]\n{entry_point or module} = {module}\n")
        (tmp_path / f"{module}.py").write_text(textwrap.dedent(source))
        monkeypatch.delitem(importlib.sys.modules, module, raising=False)
        importlib.invalidate_caches()

    yield install
    for module in [path.stem for path in tmp_path.glob("*.py")]:
        importlib.sys.modules.pop(module, None)


def found(plugins, name):
    return [plugin for plugin in plugins.found if plugin.name == name]


class TestEntryPoints:
    def test_loaded(self, install):
        """A package with an entry point is found, with its version, its hooks and what it brings."""
        install("acme-pigeon", "acme_pigeon", SINK, version="1.2.3")

        plugins = load_plugins()

        (plugin,) = found(plugins, "acme_pigeon")
        assert str(plugin) == "'acme_pigeon' (acme-pigeon 1.2.3)"
        assert (plugin.hooks, plugin.sink_types, plugin.error) == (("register_sink_types",), ("pigeon",), "")
        assert plugins.sink_types["pigeon"].__name__ == "Pigeon"
        assert plugins.failed == []

    @pytest.mark.parametrize(
        ("source", "error"),
        [
            ("import a_module_that_is_missing", "ModuleNotFoundError: No module named 'a_module_that_is_missing'"),
            ("1 / 0", "ZeroDivisionError: division by zero"),
            ("def", "SyntaxError: "),
            ("raise SystemExit(3)", "SystemExit: 3"),
            ("raise BaseException('all over')", "BaseException: all over"),
        ],
        ids=["missing dependency", "raises", "no Python", "exits", "ends everything"],
    )
    def test_one_that_fails(self, install, logged, source, error):
        """A plugin that cannot be imported is named with package, version and error; the others go on."""
        install("acme-broken", "acme_broken", source, version="0.9")
        install("acme-pigeon", "acme_pigeon", SINK)

        plugins = load_plugins()

        (broken,) = plugins.failed
        assert (broken.distribution, broken.version) == ("acme-broken", "0.9")
        assert error in broken.error
        assert "'acme_broken' (acme-broken 0.9)" in logged()
        assert "pigeon" in plugins.sink_types

    def test_one_whose_hook_exits(self, install):
        """A plugin that exits when it is asked what it brings is refused whole, and the others go on."""
        source = SINK + "\n    @hookimpl\n    def register_event_types(): raise SystemExit(3)"
        install("acme-exit", "acme_exit", source)
        install("acme-pigeon", "acme_pigeon", SINK)

        plugins = load_plugins()

        assert [(plugin.name, plugin.hooks) for plugin in plugins.failed] == [("acme_exit", ())]
        assert plugins.sink_types["pigeon"].__module__ == "acme_pigeon"

    def test_an_interrupt_is_heard(self, install):
        """Ctrl-C while a plugin is imported ends the program: it is no failure of the plugin."""
        install("acme-slow", "acme_slow", "raise KeyboardInterrupt")

        with pytest.raises(KeyboardInterrupt):
            load_plugins()

    @pytest.mark.parametrize(
        ("change", "sentence"),
        [
            (('type = "pigeon"', 'type = "Bad Type!"'), "Pigeon cannot be named 'Bad Type!': expected lower-case"),
            (('type = "pigeon"', ""), 'Pigeon has no name: give it type = "…"'),
            (('type = "pigeon"', 'type = "pigeon"; Settings = dict'), "Pigeon has Settings that are no model: <class"),
            (("def deliver(", "def delivr("), "Pigeon is abstract: it has no deliver()"),
        ],
        ids=["odd name", "no name", "no model", "abstract"],
    )
    def test_a_sink_type_that_is_half_made(self, install, change, sentence):
        """A class that no sink can be made of is refused when its plugin is loaded, with what is wrong with it."""
        install("acme-pigeon", "acme_pigeon", SINK.replace(*change))

        plugins = load_plugins()

        (plugin,) = plugins.failed
        assert plugin.error.startswith(f"plugin 'acme_pigeon' (acme-pigeon 1.0): the sink type {sentence}")
        assert plugins.sink_types.keys().isdisjoint({"pigeon", "Bad Type!"})

    def test_one_without_a_hook(self, install, logged):
        """A plugin whose @hookimpl was forgotten is loaded, and never called: that is said."""
        install("acme-idle", "acme_idle", "def filter_event(event): return False")

        plugins = load_plugins()

        assert [plugin.hooks for plugin in found(plugins, "acme_idle")] == [()]
        assert plugins.failed == []
        assert "has no hook: is @hookimpl missing?" in logged()
        assert "'acme_idle' (acme-idle 1.0)" in logged()

    def test_misspelt_hook(self, install):
        """A hook that does not exist is an error which names the plugin and offers the nearest; nothing of it stays."""
        source = SINK + "\n    @hookimpl\n    def enrich_evnt(event): pass"
        install("acme-typo", "acme_typo", source)

        plugins = load_plugins()

        (plugin,) = plugins.failed
        assert plugin.error == (
            "plugin 'acme_typo' (acme-typo 1.0) has a hook 'enrich_evnt' that does not exist; did you mean 'enrich_event'?"
        )
        assert "pigeon" not in plugins.sink_types

    def test_misspelt_once(self, install):
        """A misspelt hook in one plugin is not held against the next."""
        install("acme-a", "acme_a", "from supertokens_events import hookimpl\n@hookimpl\ndef filter_evnt(event): pass")
        install("acme-pigeon", "acme_pigeon", SINK)

        assert [plugin.name for plugin in load_plugins().failed] == ["acme_a"]

    def test_wrong_argument(self, install):
        """A hook with an argument that it is not given is an error which names plugin, hook and argument."""
        install(
            "acme-arg", "acme_arg", "from supertokens_events import hookimpl\n@hookimpl\ndef filter_event(evt): pass"
        )

        plugins = load_plugins()

        (plugin,) = plugins.failed
        assert all(word in plugin.error for word in ("acme_arg", "filter_event", "evt"))
        assert not plugins.has("filter_event")

    def test_two_packages_with_one_sink_type(self, install):
        """A sink type that two packages bring is the first one's; the error of the second names both."""
        install("acme-pigeon", "acme_pigeon", SINK)
        install("other-pigeon", "other_pigeon", SINK, version="2.0")

        plugins = load_plugins()

        (second,) = plugins.failed
        assert second.error.startswith(
            "the sink type 'pigeon' is brought twice, by 'acme_pigeon' (acme-pigeon 1.0) and 'other_pigeon' (other-pigeon 2.0)"
        )
        assert plugins.sink_types["pigeon"].__module__ == "acme_pigeon"

    def test_two_packages_with_one_name(self, install):
        """Two entry points of one name are an error that names both packages; one of them stays."""
        install("acme-pigeon", "acme_pigeon", SINK, entry_point="pigeon")
        install("other-dove", "other_dove", SINK.replace("pigeon", "dove"), entry_point="pigeon")

        plugins = load_plugins()

        (second,) = plugins.failed
        assert second.error.startswith("two plugins have the same name, 'pigeon' (")
        assert "acme-pigeon 1.0" in second.error
        assert "other-dove 1.0" in second.error
        assert len([name for name in plugins.sink_types if name in {"pigeon", "dove"}]) == 1


class TestApi:
    """A plugin says which version of the contract it was made for."""

    @pytest.mark.parametrize(("said", "api"), [("supertokens_events_api = 1", 1), ("", 1)], ids=["said", "not said"])
    def test_this_version(self, install, said, api):
        """One that was made for this version is loaded; one that says nothing was made for the first."""
        install("acme-pigeon", "acme_pigeon", textwrap.dedent(SINK) + said)

        (plugin,) = found(load_plugins(), "acme_pigeon")

        assert (plugin.api, plugin.error) == (api, "")

    def test_a_later_version(self, install):
        """One that was made for a later version is refused: supertokens-events is to be upgraded. Nothing of it stays."""
        install("acme-pigeon", "acme_pigeon", textwrap.dedent(SINK) + "supertokens_events_api = 2")

        plugins = load_plugins()

        (plugin,) = plugins.failed
        assert plugin.error == (
            "plugin 'acme_pigeon' (acme-pigeon 1.0) was made for version 2 of the plugin contract, supertokens-events "
            f"{version('supertokens-events')} has version 1: upgrade supertokens-events"
        )
        assert "pigeon" not in plugins.sink_types

    def test_an_earlier_version(self, install, monkeypatch):
        """When the contract has a new version, what was made for the one before, and what says nothing, is to be upgraded."""
        monkeypatch.setattr(hookspecs, "API", 2)
        install("acme-pigeon", "acme_pigeon", SINK)

        error = found(load_plugins(), "acme_pigeon")[0].error

        assert "'acme_pigeon' (acme-pigeon 1.0) was made for version 1 of the plugin contract" in error
        assert error.endswith("has version 2: upgrade the plugin")

    @pytest.mark.parametrize("said", ["'1'", "1.0", "True", "None"])
    def test_something_else(self, install, said):
        """A version is a whole number; anything else is named."""
        install("acme-pigeon", "acme_pigeon", textwrap.dedent(SINK) + f"supertokens_events_api = {said}")

        (plugin,) = load_plugins().failed

        assert f"says supertokens_events_api = {said}, expected a whole number such as 1" in plugin.error

    def test_the_apps_own(self, make_plugins):
        """An object says it by an attribute."""

        class Own:
            supertokens_events_api = 7

        with pytest.raises(PluginError, match="plugin 'Own#1' was made for version 7 of the plugin contract"):
            make_plugins(Own())

    @pytest.mark.parametrize(
        ("line", "requires"),
        [
            ("supertokens-events>=0.1,<0.2", ">=0.1,<0.2"),
            ("Supertokens_Events[postgres] (>=0.1) ; python_version > '3'", ">=0.1"),
            ("supertokens-events", ""),
            ("supertokens-events-file>=3", ""),
        ],
    )
    def test_what_it_asks_for(self, install, line, requires):
        """The range of supertokens-events that its package asks for is known."""
        install("acme-pigeon", "acme_pigeon", SINK, requires=line)

        (plugin,) = found(load_plugins(), "acme_pigeon")

        assert plugin.requires == requires

    def test_what_is_gone(self, install):
        """Where a plugin misses what is not there any more, its package's range and what is installed are named with it."""
        source = "from supertokens_events.sink import Destination"
        install("acme-old", "acme_old", source, requires="supertokens-events<0.0.1")

        (plugin,) = load_plugins().failed

        assert plugin.error.startswith("ImportError: cannot import name 'Destination'")
        installed = version("supertokens-events")
        assert plugin.error.endswith(f"; it asks for supertokens-events<0.0.1, and {installed} is installed")


class TestDisable:
    @pytest.mark.parametrize("names", ["acme_pigeon", " acme_pigeon , nobody", "*"])
    def test_by_name(self, install, monkeypatch, names):
        """SUPERTOKENS_EVENTS_DISABLE turns off the plugins that it names, or all with '*'; they are not even imported."""
        install("acme-pigeon", "acme_pigeon", "raise SystemExit")
        monkeypatch.setenv(DISABLE_VARIABLE, names)

        plugins = load_plugins()

        (plugin,) = found(plugins, "acme_pigeon")
        assert plugin.disabled
        assert plugins.failed == []
        assert "pigeon" not in plugins.sink_types

    def test_the_apps_own_stay(self, install, monkeypatch):
        """'*' turns off what is installed, not what the app itself gives."""
        install("acme-pigeon", "acme_pigeon", SINK)
        monkeypatch.setenv(DISABLE_VARIABLE, "*")

        class Own:
            @hookimpl
            def register_sink_types(self):
                return [RecordingSink]

        assert list(load_plugins([Own()]).sink_types) == ["recording"]


class TestObjects:
    """Plugins that the app gives: a fault in one is the app's own, and is raised."""

    def test_event_types(self, make_plugins):
        """Event types that a plugin brings stand in the catalog beside the built-in ones."""

        class InvitationAccepted(EventData):
            """Somebody accepted an invitation."""

            event_type = "app.invitation.accepted"
            example = {}

        class App:
            @hookimpl
            def register_event_types(self):
                yield InvitationAccepted

        catalog = make_plugins(App()).catalog

        assert catalog.get("app.invitation.accepted") is InvitationAccepted
        assert "user.created" in catalog

    def test_a_type_that_is_taken(self, make_plugins):
        """A plugin cannot redefine a built-in type, and is told whose it is."""

        class UserCreated(EventData):
            """Not ours."""

            event_type = "user.created"
            example = {}

        class App:
            @hookimpl
            def register_event_types(self):
                return [UserCreated]

        with pytest.raises(PluginError, match=r"'App#1': ValueError: .*'user.created' is defined by both .*catalog"):
            make_plugins(App())

    @pytest.mark.parametrize(
        ("missing", "sentence"),
        [
            ("example", "the event type 'app.invitation.accepted' has no example: give it example = "),
            ("event_type", "the event type of InvitationAccepted has no name: give it event_type = "),
        ],
    )
    def test_a_type_that_is_half_made(self, install, missing, sentence):
        """A type without an example or a name is refused when its plugin is loaded, which is named, and the others go on."""
        lines = {
            "event_type": 'event_type = "app.invitation.accepted"',
            "example": 'example = {"team": "core"}',
        }
        del lines[missing]
        source = (
            SINK
            + f"""
    from supertokens_events.catalog import EventData

    class InvitationAccepted(EventData):
        {"".join(lines.values())}
        team: str

    @hookimpl
    def register_event_types():
        return [InvitationAccepted]
"""
        )
        install("acme-app", "acme_app", source)

        plugins = load_plugins()

        (plugin,) = plugins.failed
        assert plugin.error.startswith(f"plugin 'acme_app' (acme-app 1.0): {sentence}")
        assert "app.invitation.accepted" not in plugins.catalog
        assert "pigeon" not in plugins.sink_types

    def test_an_example_that_is_none(self, make_plugins):
        """An example that does not fit its own type is refused, and what is wrong with it is said without its values."""

        class InvitationAccepted(EventData):
            """Somebody accepted an invitation."""

            event_type = "app.invitation.accepted"
            example = {"team": ["not a text"]}

            team: str

        plugin = SimpleNamespace(register_event_types=hookimpl(lambda: [InvitationAccepted]))

        with pytest.raises(PluginError, match="accepted' has an example that is none: team: ") as caught:
            make_plugins(plugin)
        assert "not a text" not in str(caught.value)

    @pytest.mark.parametrize(
        ("hook", "brought"),
        [
            ("register_sink_types", [object]),
            ("register_sink_types", [EventData]),
            ("register_event_types", ["user.created"]),
            ("register_event_types", [Sink]),
        ],
        ids=str,
    )
    def test_brings_something_else(self, make_plugins, hook, brought):
        """What a plugin brings must be of the kind that the hook asks for."""
        plugin = SimpleNamespace(**{hook: hookimpl(lambda: brought)})

        with pytest.raises(PluginError, match=rf"'SimpleNamespace#1': {hook} returned .*, expected subclasses of"):
            make_plugins(plugin)

    def test_brings_nothing(self, make_plugins):
        """A hook that forgets to return is named."""
        plugin = SimpleNamespace(register_sink_types=hookimpl(lambda: None))

        with pytest.raises(PluginError, match="'SimpleNamespace#1': TypeError"):
            make_plugins(plugin)

    def test_async_hook(self, make_plugins):
        """An async hook is refused: called but never run, a filter would let everything through."""

        class Careless:
            @hookimpl
            async def filter_event(self, event):
                return False

        with pytest.raises(PluginError, match="'Careless#1': the hook 'filter_event' must be a plain function"):
            make_plugins(Careless())

    def test_wrapper(self, make_plugins):
        """A hook wrapper is refused for the same reason."""

        class Clever:
            @hookimpl(wrapper=True)
            def filter_event(self, event):
                return (yield)

        with pytest.raises(PluginError, match="'Clever#1': the hook 'filter_event' must be a plain function"):
            make_plugins(Clever())

    def test_whole_or_not_at_all(self, make_plugins, install):
        """A plugin that is refused leaves no hook, no sink type and no event type behind."""
        types = "\n    @hookimpl\n    def register_event_types(): return [1]"
        drops = "\n    @hookimpl\n    def filter_event(event): return False"
        install("acme-half", "acme_half", SINK + types + drops)

        plugins = load_plugins()

        assert [plugin.name for plugin in plugins.failed] == ["acme_half"]
        assert "pigeon" not in plugins.sink_types
        assert list(plugins.call("filter_event", event=None)) == []

    def test_twice(self, make_plugins):
        """The same object given twice is an error that names it."""
        plugin = SimpleNamespace(filter_event=hookimpl(lambda event: None))

        with pytest.raises(PluginError, match="'SimpleNamespace#2' is there already, as 'SimpleNamespace#1'"):
            make_plugins(plugin, plugin)

    def test_fewer_arguments(self, make_plugins):
        """A hook may leave out the arguments that it does not need."""
        told = []

        class Counter:
            @hookimpl
            def event_emitted(self):
                told.append(1)

        plugins = make_plugins(Counter())

        assert [result.error for result in plugins.call("event_emitted", event=None)] == [None]
        assert told == [1]


def test_one_that_raises_stops_no_other(make_plugins):
    """Every plugin's hook is called, the last registered first, and each answer or exception stands for itself."""

    class First:
        @hookimpl
        def filter_event(self, event):
            return True

    class Second:
        @hookimpl
        def filter_event(self, event):
            raise KeyError(event)

    class Third:
        @hookimpl
        def filter_event(self, event):
            return False

    results = list(make_plugins(First(), Second(), Third()).call("filter_event", event="e"))

    assert [result.plugin for result in results] == ["Third#3", "Second#2", "First#1"]
    assert [result.value for result in results] == [False, None, True]
    assert [type(result.error) for result in results] == [type(None), KeyError, type(None)]


def test_a_class_for_a_sink():
    """A sink needs a type and deliver(): the rest has good defaults."""

    class Least(Sink):
        type = "least"

        async def deliver(self, deliveries):
            return [Delivered() for _ in deliveries]

    sink = Least("crm", Least.Settings())

    assert repr(sink) == "<Least 'crm'>"
    assert (sink.retry.attempts, sink.batch) == (10, None)
