"""FastAPI, Flask and Django on real sockets: one line verifies, refuses, bounds the body, and hands over the typed event."""

import asyncio
import io
import json
import socket
import threading
import time
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Annotated
from wsgiref.simple_server import WSGIRequestHandler, make_server

import django
import httpx
import pytest
import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from django.utils.functional import empty
from fastapi import Depends, FastAPI, Response
from flask import Flask
from flask import request as flask_request
from werkzeug.test import EnvironBuilder

from supertokens_events.event import Event
from supertokens_events.testing import sample_event
from supertokens_events_webhook.receiver import Webhook
from supertokens_events_webhook.receiver.django import verified as verified_django
from supertokens_events_webhook.receiver.fastapi import verified as verified_fastapi
from supertokens_events_webhook.receiver.flask import event_of_request
from supertokens_events_webhook.receiver.flask import verified as verified_flask
from supertokens_events_webhook.signing import key_from, new_secret, signature_header

SECRET = new_secret()
MAX_BODY = 4096
webhook = Webhook(SECRET)


# The apps ---------------------------------------------------------------------------------------------------------------


def fastapi_app(received):
    app = FastAPI()
    verified = verified_fastapi(webhook, max_body=MAX_BODY)

    @app.post("/hooks/{name}", status_code=204)
    async def receive(name: str, event: Annotated[Event, Depends(verified)]) -> Response:
        received.append((name, event))
        return Response(status_code=204)

    return app


def flask_app(received):
    app = Flask("receiver")

    @app.post("/hooks/<name>")
    @verified_flask(webhook, max_body=MAX_BODY)
    def receive(event, name):
        received.append((name, event))
        return "", 204

    return app


def flask_app_that_has_read(received):
    """Something before the view has read the body, as a logger may; and the view calls instead of being decorated."""
    app = Flask("receiver")

    @app.before_request
    def read():
        flask_request.get_data()

    @app.post("/hooks/<name>")
    def receive(name):
        received.append((name, event_of_request(webhook, max_body=MAX_BODY)))
        return "", 204

    return app


@pytest.fixture(autouse=True)
def own_django():
    """Settings of these tests' own: Django has one object of them for all apps of a process."""
    others, settings._wrapped = settings._wrapped, empty
    middleware = ["django.middleware.csrf.CsrfViewMiddleware"]
    settings.configure(
        SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=URLS, MIDDLEWARE=middleware, LOGGING_CONFIG=None
    )
    django.setup()
    yield
    settings._wrapped = others
    django.urls.clear_url_caches()


def django_app(received, get_application, make_view):
    URLS.urlpatterns = [path("hooks/<name>", verified_django(webhook, max_body=MAX_BODY)(make_view(received)))]
    django.urls.clear_url_caches()
    return get_application()


URLS = ModuleType("receiver_urls")


def plain_view(received):
    def receive(request, event, name):
        received.append((name, event))
        return HttpResponse(status=204)

    return receive


def async_view(received):
    async def receive(request, event, name):
        received.append((name, event))
        return HttpResponse(status=204)

    return receive


# The servers ------------------------------------------------------------------------------------------------------------


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


@contextmanager
def wsgi(app):
    with make_server("127.0.0.1", 0, app, handler_class=_Quiet) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@contextmanager
def asgi(app):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield listening.getsockname()[1]
        server.should_exit = True
        thread.join()


APPS = {
    "fastapi": (asgi, fastapi_app),
    "flask": (wsgi, flask_app),
    "flask-read-before": (wsgi, flask_app_that_has_read),
    "django": (wsgi, lambda received: django_app(received, get_wsgi_application, plain_view)),
    "django-async": (asgi, lambda received: django_app(received, get_asgi_application, async_view)),
}


@pytest.fixture(params=APPS)
def app(request):
    """An app that runs, what it received, and a client."""
    serve, make = APPS[request.param]
    received = []
    with serve(make(received)) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        yield SimpleNamespace(name=request.param, client=client, received=received, port=port)


def signed(body, event_id, *, secret=SECRET):
    now = int(time.time())
    signature = signature_header([key_from(secret)], event_id, now, body)
    return {"webhook-id": event_id, "webhook-timestamp": str(now), "webhook-signature": signature}


def test_the_event_is_handed_over(app):
    """Verified and typed, beside what the route itself has."""
    event = sample_event()
    body = event.to_bytes()

    answer = app.client.post("/hooks/crm", content=body, headers=signed(body, event.id))

    assert answer.status_code == 204, answer.text
    assert app.received == [("crm", event)]


def test_what_is_not_signed_is_refused(app, caplog):
    """400 and a sentence that helps no forger; why stands in the log, without a secret."""
    event = sample_event()
    body = event.to_bytes()

    answers = [
        app.client.post("/hooks/crm", content=body, headers=headers)
        for headers in ({}, signed(body, event.id, secret=new_secret()), signed(body + b" ", event.id))
    ]

    assert [answer.status_code for answer in answers] == [400] * 3
    assert {text_of(answer) for answer in answers} == {"The webhook could not be verified."}
    assert app.received == []
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("supertokens_events")]
    assert ["missing_header" in ours[0], "not_signed" in ours[1], "not_signed" in ours[2]] == [True] * 3
    assert SECRET[6:] not in caplog.text


def test_a_body_that_says_it_is_too_large_is_refused(app):
    """413, and nothing of it is believed."""
    event = sample_event(data={"text": "x" * MAX_BODY})
    body = event.to_bytes()

    answer = app.client.post("/hooks/crm", content=body, headers=signed(body, event.id))

    assert (answer.status_code, text_of(answer)) == (413, "The body is too large.")
    assert app.received == []


def test_fastapi_stops_reading_a_body_without_an_end():
    """A body of no announced length ends at the limit: no more is asked of the server, and it does not stay in memory."""
    asked, answers = [], []

    async def receive():
        asked.append(0)
        return {"type": "http.request", "body": b"x" * 1024, "more_body": True}

    async def send(message):
        answers.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/hooks/crm",
        "query_string": b"",
        "headers": [],
        "http_version": "1.1",
    }
    asyncio.run(fastapi_app([])({**scope, "scheme": "http", "server": ("127.0.0.1", 80)}, receive, send))

    assert answers[0]["status"] == 413
    assert len(asked) == MAX_BODY // 1024 + 1


def test_flask_stops_reading_a_body_without_an_end():
    """So it is where the server lets such a body through to a WSGI app."""
    statuses, stream = [], Endless()
    environ = {
        **EnvironBuilder("/hooks/crm", method="POST").get_environ(),
        "wsgi.input": stream,
        "wsgi.input_terminated": True,
    }
    environ.pop("CONTENT_LENGTH", None)

    b"".join(flask_app([]).wsgi_app(environ, lambda status, _headers: statuses.append(status)))

    assert statuses == ["413 REQUEST ENTITY TOO LARGE"]
    assert stream.read_so_far == MAX_BODY + 1


class Endless(io.RawIOBase):
    """A body that never ends."""

    read_so_far = 0

    def read(self, size=-1):
        assert size > 0, "all of it was asked for"
        self.read_so_far += size
        return b"x" * size


def text_of(answer):
    """The sentence, in JSON or not."""
    return json.loads(answer.text)["detail"] if answer.text.startswith("{") else answer.text


def test_django_takes_posts_only():
    """405 with the method that it takes."""
    with wsgi(django_app([], get_wsgi_application, plain_view)) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/hooks/crm", trust_env=False)

    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
