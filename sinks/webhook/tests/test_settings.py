"""The webhook's table in TOML: what it may say, what is refused, and that no secret is shown."""

import pytest
from pydantic import ValidationError

from supertokens_events_webhook import WebhookSettings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "b" * 44
LINE_BREAK = "a\r\nx-evil: 1"


def settings(**changes):
    return WebhookSettings.model_validate({"url": "https://crm.example.com/hook", "secret": SECRET} | changes)


def problems(**changes):
    """What is wrong with the settings, by key."""
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    return {
        ".".join(str(part) for part in detail["loc"]): detail["msg"].removeprefix("Value error, ")
        for detail in caught.value.errors(include_input=False)
    }


def test_a_url_and_a_secret_are_enough():
    """Everything else has a default: 20 seconds, public addresses, TLS."""
    made = settings()

    assert (made.timeout, made.allow_http, made.allow_networks, made.headers) == (20.0, False, (), {})


def test_secrets_may_be_a_list():
    """One secret or a list of them, which is how they are rotated."""
    assert [entry.key.get_secret_value() for entry in settings(secret=[SECRET, OTHER]).secret] == [SECRET, OTHER]
    assert [entry.key.get_secret_value() for entry in settings(secret=SECRET).secret] == [SECRET]


@pytest.mark.parametrize(
    ("secret", "problem"),
    [
        ("whsec_aHVudGVyMg==", "expected 'whsec_' and the base64 of 24 to 64 bytes, got 7 bytes"),
        (
            [SECRET, "hunter2"],
            "expected 'whsec_' and the base64 of 24 to 64 bytes, got no 'whsec_' and no 'whsk_' in front",
        ),
    ],
)
def test_a_bad_secret_is_named_by_what_is_wrong(secret, problem):
    """The sentence stands at the key ``secret``, and does not repeat the value."""
    assert problems(secret=secret) == {"secret": problem}


def test_no_secret_at_all_is_refused():
    """An empty list of secrets is not an unsigned webhook."""
    assert list(problems(secret=[])) == ["secret"]


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://crm.example.com/hook", "expected 'https://'; allow_http = true permits 'http://'"),
        ("https://user:hunter2@crm.example.com/", "a user name or password in the URL is not sent; use headers"),
        ("https://user@crm.example.com/", "a user name or password in the URL is not sent; use headers"),
        ("ftp://crm.example.com/", "expected a URL such as 'https://example.com/hooks'"),
        ("https:///hook", "expected a URL such as 'https://example.com/hooks'"),
        ("crm.example.com/hook", "expected a URL such as 'https://example.com/hooks'"),
        ("", "expected a URL such as 'https://example.com/hooks'"),
        ("https://crm.example.com:hunter2/", "is not a URL"),
        ("https://[::1/hunter2", "is not a URL"),
    ],
)
def test_a_bad_url_is_refused(url, problem):
    """The sentence stands at the key ``url``, and does not repeat it: it may hold a token."""
    assert problems(url=url) == {"url": problem}


def test_http_can_be_allowed():
    """``allow_http`` permits a URL without TLS."""
    assert settings(url="http://crm.example.com/", allow_http=True).url == "http://crm.example.com/"


@pytest.mark.parametrize("name", ["webhook-id", "Webhook-Signature", "host", "Content-Length", "content-type", "te"])
def test_headers_of_the_sink_cannot_be_set(name):
    """What the sink says itself, and what frames the request, is not for the settings to change."""
    assert problems(headers={name: "1"}) == {"headers": f"{name!r} is set by the sink itself"}


@pytest.mark.parametrize(
    ("headers", "problem"),
    [
        ({"x y": "1"}, "'x y' is not the name of a header"),
        ({"x-a:": "1"}, "'x-a:' is not the name of a header"),
        ({"": "1"}, "'' is not the name of a header"),
        ({LINE_BREAK: "1"}, r"'a\r\nx-evil: 1' is not the name of a header"),
        ({"x-a": LINE_BREAK}, "the value of 'x-a' may hold visible ASCII characters, spaces and tabs only"),
        ({"x-a": "hünter2"}, "the value of 'x-a' may hold visible ASCII characters, spaces and tabs only"),
        ({"x-a": "\0"}, "the value of 'x-a' may hold visible ASCII characters, spaces and tabs only"),
        ({"x-a": "a\n"}, "the value of 'x-a' may hold visible ASCII characters, spaces and tabs only"),
        ({"x-a": "1", "X-A": "2"}, "'X-A' is given twice"),
    ],
)
def test_headers_that_cannot_be_sent_are_refused(headers, problem):
    """A line break in a header is not smuggled into the request; a value is not repeated."""
    assert problems(headers=headers) == {"headers": problem}


@pytest.mark.parametrize("timeout", [0, "0s", 41, "1m", "soon", -1])
def test_a_timeout_is_within_reason(timeout):
    """An attempt may take more than none and up to 40 seconds, which is less than the dispatcher gives a sink."""
    assert list(problems(timeout=timeout)) == ["timeout"]


def test_a_timeout_may_have_a_unit():
    """Durations are written as everywhere."""
    assert settings(timeout="1500ms").timeout == 1.5


def test_networks_are_cidrs():
    """Networks are CIDRs of either family, and a single address is one too."""
    networks = settings(allow_networks=["10.0.0.0/8", "fd00::/8", "127.0.0.1"]).allow_networks

    assert [str(network) for network in networks] == ["10.0.0.0/8", "fd00::/8", "127.0.0.1/32"]


def test_a_bad_network_is_named():
    """The sentence stands at the network that is wrong, and names it: it is no secret."""
    assert problems(allow_networks=["10.0.0.0/8", "10.0.0.1/8"]) == {"allow_networks.1": "10.0.0.1/8 has host bits set"}


def test_nothing_secret_is_shown():
    """No secret, header value or query of the URL is in a repr or a text of the settings."""
    made = settings(url="https://crm.example.com/hook?token=t0ken#x", headers={"authorization": "Bearer hunter2"})

    shown = repr(made) + str(made)

    assert "https://crm.example.com/hook'" in shown
    assert not any(secret in shown for secret in ("t0ken", "hunter2", "MfKQ9r8"))


def test_nothing_secret_is_in_an_error():
    """The text of a refusal holds no value of the table, whichever key is at fault."""
    with pytest.raises(ValidationError) as caught:
        settings(url="http://hunter1@crm", secret="hunter2", headers={"x": "hunter3\n"}, timeout=True)

    assert caught.value.error_count() == 4
    assert "hunter" not in str(caught.value) + repr(caught.value)


def test_the_schema_makes_a_form():
    """The JSON Schema marks secrets as passwords, for the API and for a form."""
    properties = WebhookSettings.model_json_schema()["properties"]

    assert properties["secret"]["anyOf"][0] == {"type": "string", "format": "password"}
    assert properties["headers"]["additionalProperties"]["format"] == "password"
