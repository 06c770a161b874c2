"""What a user would pick instead: an actor of dramatiq's that signs and posts one event with httpx.

``python _dramatiq.py COUNT`` enqueues; ``dramatiq _dramatiq --processes 2 --threads 5`` delivers. ``BROKER`` is the socket
of a Redis, ``RECEIVER`` the URL.
"""

import base64
import hashlib
import hmac
import os
import sys
import threading
import time

import dramatiq
import httpx
import redis
from dramatiq.brokers.redis import RedisBroker

dramatiq.set_broker(RedisBroker(client=redis.Redis(unix_socket_path=os.environ["BROKER"])))
KEY = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
BODY = '{"type":"user.created","data":{"filling":"' + "x" * 950 + '"}}'
here = threading.local()


@dramatiq.actor(max_retries=9, min_backoff=5000)
def deliver(event_id: str, body: str) -> None:
    if not hasattr(here, "client"):
        here.client = httpx.Client()
    timestamp = str(int(time.time()))
    signed = hmac.digest(KEY, f"{event_id}.{timestamp}.{body}".encode(), hashlib.sha256)
    headers = {
        "content-type": "application/json",
        "webhook-id": event_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": "v1," + base64.b64encode(signed).decode(),
    }
    here.client.post(os.environ["RECEIVER"], content=body, headers=headers).raise_for_status()


if __name__ == "__main__":
    for number in range(int(sys.argv[1])):
        deliver.send(f"evt_{number}", BODY)
