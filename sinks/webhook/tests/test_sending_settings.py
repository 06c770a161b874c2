"""The settings of the sending side beside keys: other headers, a proxy, certificates, transforms, tokens."""

import sys

import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from pydantic import ValidationError
from webhook_receivers import SECRET, SIGNED, Receiver, deliver, webhook

from supertokens_events_webhook import WebhookSettings


@pytest.fixture
def anyio_backend():
    return "asyncio"


def settings(folder="", **changes):
    table = {"url": "https://crm.example.com/hook", "secret": SECRET} | changes
    return WebhookSettings.model_validate(table, context={"folder": folder})


def problems(folder="", **changes):
    """What is wrong with the settings, by key."""
    with pytest.raises(ValidationError) as caught:
        settings(folder, **changes)
    assert "hunter2" not in str(caught.value)
    return {
        ".".join(str(part) for part in detail["loc"]): detail["msg"].removeprefix("Value error, ")
        for detail in caught.value.errors(include_input=False)
    }


# Legacy headers


@pytest.mark.anyio
async def test_a_prefix_repeats_the_three():
    """``["svix"]`` sends ``svix-id``, ``svix-timestamp`` and ``svix-signature`` too, each as ours."""
    async with Receiver() as server:
        await deliver(webhook(server.url, legacy_headers=["svix"]))

    headers = server.requests[0].headers
    assert [headers[f"svix-{name.removeprefix('webhook-')}"] for name in SIGNED] == [headers[name] for name in SIGNED]


@pytest.mark.anyio
async def test_a_table_repeats_what_it_names():
    """A table gives single headers other names."""
    async with Receiver() as server:
        await deliver(webhook(server.url, legacy_headers={"X-Event-ID": "webhook-id"}))

    headers = server.requests[0].headers
    assert headers["x-event-id"] == headers["webhook-id"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (
            {"x-id": "content-type"},
            "'x-id' can repeat webhook-id, webhook-timestamp, webhook-signature, not 'content-type'",
        ),
        ({"host": "webhook-id"}, "'host' is set by the sink itself"),
        ({"Content-Length": "webhook-id"}, "'Content-Length' is set by the sink itself"),
        ({"a b": "webhook-id"}, "'a b' is not the name of a header"),
        (["webhook"], "'webhook-id' is set by the sink itself"),
        (["a\r\nb"], "'a\\r\\nb-id' is not the name of a header"),
        ("svix", 'expected a list of prefixes, such as ["svix"], or a table, such as { x-event-id = "webhook-id" }'),
    ],
)
def test_forbidden_legacy_headers(value, problem):
    """What frames the request, or is the sink's own, is no alias."""
    assert problems(legacy_headers=value) == {"legacy_headers": problem}


def test_a_header_is_given_once():
    """An alias that is one of ``headers`` already is refused."""
    found = problems(headers={"svix-id": "1"}, legacy_headers=["svix"])

    assert found == {"legacy_headers": "'svix-id' is given twice: here and in headers"}


# Proxy


@pytest.mark.parametrize(
    "proxy",
    ["socks5://hunter2@proxy:1080", "proxy:3128", "http://", "http://proxy/hunter2", "http://proxy:hunter2/", ""],
)
def test_a_bad_proxy(proxy):
    """A proxy is a URL of http or https without a path, and is not repeated: it may hold a password."""
    expected = "expected a proxy such as 'http://proxy.example.com:3128' or 'https://user:password@…'"

    assert problems(proxy=proxy) == {"proxy": expected}


def test_a_proxy_is_not_shown():
    """Its credentials are in no repr."""
    assert "hunter2" not in repr(settings(proxy="http://us:hunter2@proxy:3128"))


# Certificates


@pytest.fixture
def authority(tmp_path):
    """A certificate authority, and a client's certificate with its key, as files."""
    ca = trustme.CA()
    client = ca.issue_cert("crm-client")
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    client.private_key_pem.write_to_path(tmp_path / "key.pem")
    client.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    client.private_key_and_cert_chain_pem.write_to_path(tmp_path / "both.pem")
    trustme.CA().issue_cert("other").private_key_pem.write_to_path(tmp_path / "other.pem")
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    locked = serialization.BestAvailableEncryption(b"hunter2")
    (tmp_path / "locked.pem").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    )
    (tmp_path / "text.pem").write_text("no certificate")
    return tmp_path


@pytest.mark.parametrize(
    "files",
    [
        {"ca_file": "ca.pem"},
        {"client_certificate": "both.pem"},
        {"client_certificate": "cert.pem", "client_key": "key.pem"},
        {"client_certificate": "cert.pem", "client_key": "locked.pem", "client_key_password": "hunter2"},
    ],
    ids=" ".join,
)
def test_files_that_fit(authority, files):
    """Certificates are found beside the configuration."""
    assert settings(authority, **files).tls is not None


def test_no_files():
    """Without them TLS is what it is for everybody."""
    assert settings().tls is None


LOCKED = (
    "{}/cert.pem with {}/locked.pem is no certificate with its private key in PEM, "
    "or the key's password is wrong or missing"
)


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"ca_file": "none.pem"}, "ca_file: {}/none.pem cannot be read: No such file or directory"),
        ({"ca_file": "text.pem"}, "ca_file: {}/text.pem holds no certificates in PEM"),
        ({"client_certificate": "none.pem"}, "{}/none.pem cannot be read: No such file or directory"),
        ({"client_key": "key.pem"}, "is required beside client_key and client_key_password"),
        (
            {"client_certificate": "cert.pem", "client_key": "other.pem"},
            "the private key in {}/other.pem is not that of the certificate in {}/cert.pem",
        ),
        (
            {"client_certificate": "cert.pem", "client_key": "locked.pem"},
            LOCKED,
        ),
        (
            {"client_certificate": "cert.pem", "client_key": "locked.pem", "client_key_password": "hunter22"},
            LOCKED,
        ),
    ],
    ids=str,
)
def test_files_that_do_not(authority, files, problem):
    """What is wrong with a file is said when the configuration is read, without the password, and nobody is asked for one."""
    assert problems(authority, **files) == {"client_certificate": problem.replace("{}", str(authority))}


# Transforms


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("json.dumps", "expected 'package.module:function', got 'json.dumps'"),
        ("json:", "expected 'package.module:function', got 'json:'"),
        (
            "no_such_module:f",
            "the module 'no_such_module' cannot be imported: there is no 'no_such_module'; is it on PYTHONPATH?",
        ),
        ("json:no_such", "the module 'json' has no 'no_such'"),
        ("json:__name__", "'json:__name__' is no function"),
    ],
)
def test_a_bad_transform(name, problem):
    """It is looked up when the configuration is read."""
    assert problems(transform=name) == {"transform": problem}


def test_a_module_that_fails_is_no_traceback(tmp_path, monkeypatch):
    """A module that raises is named with the place, not with what it says."""
    (tmp_path / "failing_shapes.py").write_text("raise RuntimeError('hunter2')")
    monkeypatch.syspath_prepend(tmp_path)

    (problem,) = problems(transform="failing_shapes:shape").values()

    assert problem == (
        "the module 'failing_shapes' cannot be imported: it raised RuntimeError at failing_shapes.py:1 in <module>"
    )


def test_a_module_that_is_being_imported(tmp_path, monkeypatch):
    """An app may name a function of the very module that reads the configuration."""
    (tmp_path / "own_shapes.py").write_text(
        "from supertokens_events_webhook import WebhookSettings\n"
        f"TABLE = {{'url': 'https://crm.example.com', 'secret': {SECRET!r}, 'transform': 'own_shapes:shape'}}\n"
        "settings = WebhookSettings.model_validate(TABLE)\n"
        "def shape(event): return {}\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import own_shapes

    monkeypatch.delitem(sys.modules, "own_shapes")
    assert own_shapes.settings.transform == "own_shapes:shape"


@pytest.mark.parametrize("shape", ["thin", "set"])
def test_a_transform_needs_a_format_that_takes_it(shape):
    """A format that says for itself what is sent takes no transform."""
    table = {"token": {"issuer": "i", "audience": "a", "key": PEM}} if shape == "set" else {}
    found = problems(format=shape, transform="json:dumps", **table)

    assert found == {
        "transform": f"the format {shape!r} says for itself what is sent; a transform goes with the others"
    }


# Tokens


def pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


A_KEY = "expected 'whsk_…', or a private key in PEM: ed25519, or an elliptic curve key on P-256"
PEM = pem(ed25519.Ed25519PrivateKey.generate())


@pytest.mark.parametrize(
    ("changes", "place", "problem"),
    [
        ({"format": "set"}, "token", 'the format \'set\' needs a table, such as { issuer = "…", audience = "…" }'),
        ({"token": {"issuer": "i", "audience": "a", "key": PEM}}, "token", "goes with the format 'set' only"),
        (
            {"format": "set", "token": {"issuer": "i", "audience": "a"}},
            "token",
            "needs a key to sign tokens with: token.key, or a 'whsk_…' among the keys of secret",
        ),
        (
            {"format": "set", "token": {"issuer": "i", "audience": "a", "key": "hunter2"}},
            "token.key",
            f"{A_KEY}, got what cannot be read as one",
        ),
        (
            {
                "format": "set",
                "token": {"issuer": "i", "audience": "a", "key": pem(rsa.generate_private_key(65537, 2048))},
            },
            "token.key",
            f"{A_KEY}, got another kind of key",
        ),
        (
            {
                "format": "set",
                "token": {"issuer": "i", "audience": "a", "key": pem(ec.generate_private_key(ec.SECP384R1()))},
            },
            "token.key",
            f"{A_KEY}, got another kind of key",
        ),
    ],
)
def test_what_tokens_need(changes, place, problem):
    """An issuer, an audience, and a key of a kind that receivers take."""
    assert problems(**changes) == {place: problem}


def test_a_size_is_written_as_everywhere():
    """``max_size`` takes a size with a unit."""
    assert settings(max_size="2MiB").max_size == 2 * 1024 * 1024
    assert list(problems(max_size="much")) == ["max_size"]
