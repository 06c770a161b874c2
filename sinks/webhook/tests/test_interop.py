"""The reference libraries of Standard Webhooks and of Svix verify what we sign, and we verify what they sign."""

import json
import shutil
import subprocess
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks
import svix

from supertokens_events.event import with_sequence
from supertokens_events.testing import sample_event
from supertokens_events_webhook.receiver import Webhook, WebhookVerificationError
from supertokens_events_webhook.signing import key_from, new_key_pair, new_secret, signature_header

SECRET = new_secret()
EVENT = sample_event("app.greeted", data={"text": "hällo 🐦"})
BODY = with_sequence(EVENT.to_bytes(), 7)
NPM_PACKAGE = "standardwebhooks@1.0.0"

JAVASCRIPT = """
const { Webhook } = require("standardwebhooks");
const { secret, id, body, headers } = JSON.parse(require("fs").readFileSync(0));
const webhook = new Webhook(secret);
const now = new Date();
const theirs = {
  "webhook-id": id,
  "webhook-timestamp": String(Math.floor(now / 1000)),
  "webhook-signature": webhook.sign(id, now, body),
};
let refused = false;
try { webhook.verify(body + " ", headers); } catch (error) { refused = true; }
console.log(JSON.stringify({ verified: webhook.verify(body, headers), theirs, refused }));
"""


def signed(*keys, prefix="webhook"):
    """Our headers, with these keys."""
    now = int(time.time())
    signature = signature_header([key_from(key) for key in keys], EVENT.id, now, BODY)
    return {f"{prefix}-id": EVENT.id, f"{prefix}-timestamp": str(now), f"{prefix}-signature": signature}


@pytest.mark.parametrize("keys", [[SECRET], [new_secret(), SECRET], [SECRET, new_key_pair().to_text()]])
def test_standardwebhooks_verifies_ours(keys):
    """Also while a secret is rotated, and beside a signature in `v1a`, which it does not know."""
    assert standardwebhooks.Webhook(SECRET).verify(BODY, signed(*keys))["id"] == EVENT.id


def test_we_verify_standardwebhooks():
    """What it signs is an event of ours."""
    now = datetime.now(UTC)
    signature = standardwebhooks.Webhook(SECRET).sign(EVENT.id, now, BODY.decode())
    headers = {"webhook-id": EVENT.id, "webhook-timestamp": str(int(now.timestamp())), "webhook-signature": signature}

    assert Webhook(SECRET).verify(headers, BODY) == EVENT.model_copy(update={"sequence": 7})
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(headers, BODY + b" ")


@pytest.mark.parametrize("prefix", ["webhook", "svix"])
def test_svix_verifies_ours(prefix):
    """Under either name of the headers."""
    svix.Webhook(SECRET).verify(BODY, signed(SECRET, prefix=prefix))

    with pytest.raises(svix.WebhookVerificationError):
        svix.Webhook(SECRET).verify(BODY + b" ", signed(SECRET, prefix=prefix))


def test_we_verify_svix():
    """What it signs, with the headers that Svix sends."""
    now = datetime.now(UTC)
    signature = svix.Webhook(SECRET).sign(EVENT.id, now, BODY.decode())
    headers = {"svix-id": EVENT.id, "svix-timestamp": str(int(now.timestamp())), "svix-signature": signature}

    assert Webhook(SECRET).verify(headers, BODY).id == EVENT.id


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory):
    """A folder in which node finds the reference library of npm; skipped where that cannot be."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not (node and npm):
        pytest.skip("node and npm are not installed")
    folder = tmp_path_factory.mktemp("node")
    install = [
        npm,
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--ignore-scripts",
        "--prefix",
        str(folder),
        NPM_PACKAGE,
    ]
    try:
        done = subprocess.run(install, capture_output=True, text=True, timeout=60, check=False)
    except subprocess.TimeoutExpired:
        pytest.skip(f"npm could not install {NPM_PACKAGE} within a minute")
    if done.returncode != 0:
        pytest.skip(f"npm cannot install {NPM_PACKAGE} here")
    return folder


def test_node_verifies_ours_and_we_verify_node(node_folder):
    """The reference library of npm takes what we sign and nothing else, and we take what it signs."""
    (node_folder / "main.cjs").write_text(JAVASCRIPT)
    question = {"secret": SECRET, "id": EVENT.id, "body": BODY.decode(), "headers": signed(new_secret(), SECRET)}

    done = subprocess.run(
        ["node", "main.cjs"],
        cwd=node_folder,
        input=json.dumps(question),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said["verified"]["data"] == EVENT.data
    assert said["refused"]
    assert Webhook(SECRET).verify(said["theirs"], BODY).id == EVENT.id
