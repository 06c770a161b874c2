"""The contract of sinks finds out what is wrong with a sink, and nothing that is not."""

from pathlib import Path

import pytest

from mutants import sink_mutants


class Failures:
    """A pytest plugin that keeps the names of the tests that failed, and how many passed."""

    def __init__(self):
        self.failed = {}
        self.passed = 0

    def pytest_runtest_logreport(self, report):
        if report.failed:
            name = report.nodeid.rpartition("::")[2]
            self.failed[name] = report.longreprtext
        self.passed += report.passed and report.when == "call"


def run_contract(name):
    """The contract as a sink's author runs it, in this process."""
    failures = Failures()
    file = Path(sink_mutants.__file__)
    alone = f"-c /dev/null --rootdir={file.parent} --confcutdir={file.parent} --noconftest --import-mode=importlib"
    quiet = "-p no:cacheprovider -p no:terminal -p no:unraisableexception -p no:threadexception"
    pytest.main([f"{file}::{name}", *alone.split(), *quiet.split()], plugins=[failures])
    return failures


@pytest.mark.parametrize("name", sorted(sink_mutants.WRONG))
def test_exactly_what_is_wrong_is_found(name, monkeypatch):
    """For each sink with one thing wrong with it, the tests that are about it fail, and no others; for a good one none does."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # the contract needs none

    found = run_contract(name)

    assert set(found.failed) == sink_mutants.WRONG[name], "\n\n".join(found.failed.values())
    assert found.passed > 10


@pytest.mark.parametrize(
    ("test", "told"),
    [
        ("TestBlocksTheLoop::test_the_event_loop_goes_on", "time.sleep(0.2)"),
        (
            "TestSaysNothing::test_it_says_what_its_place_can_do",
            "sends_body: what the place gets holds `delivery.body` as it is",
        ),
        (
            "TestOverrides::test_it_deviates_with_a_reason",
            "TestOverrides overrides test_it_delivers, test_it_sends_the_body: say why",
        ),
        (
            "TestReadsWhatIsNotThere::test_garbage_is_no_exception",
            "half of some JSON: deliver() raised JSONDecodeError",
        ),
        (
            "TestTakesWhatItDoesNotKnowForSuccess::test_garbage_is_no_exception",
            "a redirect: the place did not take it (it is not in `received`), and the sink says Delivered(",
        ),
        ("TestSendsTwice::test_it_delivers", "the place has these more than once, of one call of deliver(): {'evt_"),
        ("TestOpensSlowly::test_the_event_loop_goes_on", "open() blocked the event loop here:"),
        ("TestHidesOnlyTheText::test_secrets_are_not_told", "is in an error with what it was sent in base64"),
        ("TestTellsWhoItIs::test_secrets_are_not_shown", "secrets[0] is in repr(sink)"),
    ],
)
def test_a_failure_says_what_to_look_at(test, told, monkeypatch):
    """Its text has the line that blocks, the statement that is missing, the answer that was too much; and never the secret."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")

    (text,) = run_contract(test).failed.values()

    assert told in text
    assert sink_mutants.KEY not in text
