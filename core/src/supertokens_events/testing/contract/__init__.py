"""The contract of sinks as tests that a sink author inherits. This needs pytest: ``supertokens-events[testing]``."""

from __future__ import annotations

from supertokens_events.testing.contract.about import AboutItself
from supertokens_events.testing.contract.base import Base, deviates
from supertokens_events.testing.contract.classifying import Classifying
from supertokens_events.testing.contract.delivering import Delivering
from supertokens_events.testing.contract.ending import Ending
from supertokens_events.testing.contract.secrets import Secrets
from supertokens_events.testing.contract.settings import SettingsOfIt

__all__ = ["SinkContract", "deviates"]


class SinkContract(AboutItself, SettingsOfIt, Delivering, Classifying, Ending, Secrets, Base):
    """What every sink is asked for, as tests. Inherit it in a class ``Test…``, set :attr:`sink_type`, say what the place can
    do, and give two fixtures::

        class TestPagerSink(SinkContract):
            sink_type = PagerSink
            is_remote = True
            can_be_away = True
            can_be_busy = True
            can_refuse = True
            sends_body = True
            secrets = ("pager-key-1234",)

            @pytest.fixture
            def place(self):
                with HttpPlace() as place:
                    yield place

            @pytest.fixture
            def sink_settings(self, place):
                return {"url": place.url, "key": "pager-key-1234", "timeout": "1s"}

    A test of yours beside these is welcome. One that overrides one of these says why: with :func:`deviates`, or with
    ``pytest.mark.xfail`` or ``pytest.mark.skip`` and a ``reason``.
    """
