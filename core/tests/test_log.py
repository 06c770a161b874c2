"""Logging: what a line looks like, and what it never tells."""

import logging

import structlog

from supertokens_events.log import describe_exception, get_logger


def test_sentence_and_fields(caplog):
    """A record's text is the sentence and its fields; both are there for a structured formatter too."""
    get_logger("supertokens_events.tested").warning("A sink hangs.", sink="crm", attempt=3)

    (record,) = caplog.records
    assert record.getMessage() == "A sink hangs. sink='crm' attempt=3"
    assert record.fields == {"sink": "crm", "attempt": 3}
    assert (record.name, record.levelname) == ("supertokens_events.tested", "WARNING")


def test_per_cent(caplog):
    """A '%' in a field is neither doubled nor taken for a placeholder."""
    get_logger("supertokens_events.tested").error("The disk is full.", used="100%", wait="%s %d")

    assert caplog.records[0].getMessage() == "The disk is full. used='100%' wait='%s %d'"


def test_quiet(caplog):
    """What the app's logging does not ask for is not rendered, and does not even import structlog."""
    caplog.set_level(logging.ERROR, logger="supertokens_events")

    class Unprintable:
        def __repr__(self):
            raise AssertionError("rendered")

    logger = get_logger("supertokens_events.tested")
    logger.debug("A delivery was settled.", delivery=Unprintable())

    assert caplog.records == []
    assert logger._wrapped is None  # structlog was not asked for


def test_nothing_global_changes():
    """A logger of ours configures neither structlog nor a handler of the app's logging."""
    before = (
        structlog.is_configured(),
        list(logging.getLogger().handlers),
        logging.getLogger("supertokens_events").level,
    )

    get_logger("supertokens_events.tested").info("Said.")

    assert (
        structlog.is_configured(),
        list(logging.getLogger().handlers),
        logging.getLogger("supertokens_events").level,
    ) == before


def test_description_without_text():
    """An exception is described by class and place, and never by its text: that may hold a password."""
    try:
        raise ValueError("p4ssw0rd")
    except ValueError as error:
        description = describe_exception(error)

    assert description.startswith("ValueError at test_log.py:")
    assert description.endswith("in test_description_without_text")
    assert "p4ssw0rd" not in description


def test_description_without_place():
    """An exception that was never raised is described by its class."""
    assert describe_exception(KeyError("p4ssw0rd")) == "KeyError"
