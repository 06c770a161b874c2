"""The SMTP sink keeps the contract of sinks, against a real SMTP server."""

import email
import socket
from email.policy import default

import pytest
import supertokens_events_smtp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from supertokens_events_smtp import SmtpSink

from supertokens_events.testing import ProxyPlace, SinkContract

PASSWORD = "canary-of-the-mail"

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")  # on loopback, and of nobody


class Handler:
    """Keeps the mails that it takes."""

    def __init__(self):
        self.taken = []
        self.answer = lambda _mail: "250 OK"

    async def handle_DATA(self, server, session, envelope):  # noqa: N802 - aiosmtpd's name
        mail = email.message_from_bytes(envelope.content, policy=default)
        answer = self.answer(mail)
        if answer.startswith("250"):
            self.taken.append(mail)
        return answer


def event_in(mail):
    """The attached event's JSON."""
    return next(mail.iter_attachments()).get_content().decode()


class Mailbox(ProxyPlace):
    """A mail server that wants a password, with somebody on the line."""

    garbage = ("nothing", "another protocol", "half an answer", "bytes that are no text", "a number that is no status")
    says = {
        "nothing": b"",
        "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
        "half an answer": b"220-mail.exam",
        "bytes that are no text": b"\xff\xfe\x00\r\n",
        "a number that is no status": b"999 hello\r\n",
    }

    def __init__(self, port, handler):
        super().__init__(("127.0.0.1", port))
        self.handler = handler

    def take(self):
        self.handler.answer = lambda _mail: "250 OK"
        super().take()

    def refuse(self, *texts):
        def answer(mail):
            return "554 never" if not texts or any(text in event_in(mail) for text in texts) else "250 OK"

        self.handler.answer = answer

    def be_busy(self, after):
        self.handler.answer = lambda _mail: "451 try later"

    def answer(self, garbage):
        self.answer_bytes(self.says[garbage])

    def received(self):
        return [event_in(mail) for mail in self.handler.taken]


def authenticate(server, session, envelope, mechanism, data):
    return AuthResult(success=data.password == PASSWORD.encode())


@pytest.fixture(scope="module")
def server():
    """A server that wants a password: its port, and what it keeps."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    handler = Handler()
    rules = {"authenticator": authenticate, "auth_required": True, "auth_require_tls": False}
    controller = Controller(handler, hostname="127.0.0.1", port=port, data_size_limit=10_000_000, **rules)
    controller.start()
    yield port, handler
    controller.stop()


class TestSmtpSink(SinkContract):
    """A mail for each event."""

    sink_type = SmtpSink
    plugins = (supertokens_events_smtp,)  # as it is not installed here
    is_remote = True
    can_be_away = True
    can_be_busy = True
    says_when = False
    can_refuse = True
    sends_body = True
    secrets = (PASSWORD,)

    @pytest.fixture
    def place(self, server):
        port, handler = server
        handler.taken.clear()
        with Mailbox(port, handler) as place:
            yield place
            place.take()

    @pytest.fixture
    def sink_settings(self, place):
        return {
            "host": place.host,
            "port": place.port,
            "username": "events",
            "password": PASSWORD,
            "sender": "events@example.com",
            "to": ["security@example.com"],
            "timeout": "1s",
        }

    def test_a_mail_can_be_read(self, sink, place):
        """A person sees what happened; the same event's mail has the same id."""
        delivery = self.delivery()
        self.run_once(sink, [delivery, delivery])

        first, second = place.handler.taken
        assert first["subject"] == "user.created"
        assert first["message-id"] == second["message-id"]
        assert delivery.event_id in first["message-id"]
        assert first.get_body().get_content().startswith("user.created at ")
