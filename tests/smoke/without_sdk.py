"""What a host without SuperTokens does: receive an event, deliver one, and be told what attaching would need.

Run by `nox -s wheels` with the Python of an environment that holds the wheels and what they depend on, nothing else.
"""

import sys
import time
from importlib.util import find_spec

from supertokens_events import Event, Events
from supertokens_events_webhook.receiver import Webhook
from supertokens_events_webhook.signing import key_from, new_secret, signature_header


def main() -> None:
    assert find_spec("supertokens_python") is None, "supertokens-python is installed: nothing is shown"
    secret, now = new_secret(), int(time.time())
    event = Event(type="app.greeted")
    body = event.to_bytes()
    signature = signature_header([key_from(secret)], event.id, now, body)
    headers = {"webhook-id": event.id, "webhook-timestamp": str(now), "webhook-signature": signature}

    assert Webhook(secret).verify(headers, body) == event
    try:
        Events.from_dict({}).plugin()
    except ImportError as error:
        refusal = str(error)
    else:
        sys.exit("a plugin for an SDK that is not there was made")
    assert "pip install 'supertokens-events[sdk]'" in refusal, refusal
    print("smoke: an event was verified, and attaching was refused, without supertokens-python")


if __name__ == "__main__":
    main()
