"""The SMTP sink keeps the contract of sinks, against a real SMTP server."""

import email
import socket
from dataclasses import replace
from email.policy import default

import pytest
import supertokens_events_smtp
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from supertokens_events_smtp import SmtpSink

from supertokens_events.sink import Rejected, Retry
from supertokens_events.testing import ProxyPlace, SinkContract

PASSWORD = "canary-of-the-mail"

pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH:UserWarning")  # on loopback, and of nobody


class Handler:
    """Keeps the mails that it takes."""

    def __init__(self):
        self.taken = []
        self.answer = lambda _mail: "250 OK"
        self.refused = {}

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        envelope.mail_from = address
        return self.refused.get(address, "250 OK")

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        if address not in self.refused:
            envelope.rcpt_tos.append(address)
        return self.refused.get(address, "250 OK")

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
        handler.refused.clear()
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
        assert first["message-id"] == f"<{delivery.event_id}@example.com>"  # of the sender, on whatever host
        assert first.get_body().get_content().startswith("user.created at ")

    @pytest.mark.parametrize(
        ("answers", "outcome"),
        [
            (
                {"bad@example.com": "550 5.1.1 no such mailbox"},
                Rejected("1 of 2 recipients refused: 550"),
            ),
            (
                {"bad@example.com": "450 4.2.1 not now"},
                Retry("1 of 2 recipients refused: 450", away=True),
            ),
            (
                {"bad@example.com": "550 5.1.1 no such mailbox", "security@example.com": "550 5.7.1 no"},
                Rejected("2 of 2 recipients refused: 550, 550"),
            ),
            (
                {"bad@example.com": "550 5.1.1 no such mailbox", "security@example.com": "451 4.3.0 later"},
                Retry("2 of 2 recipients refused: 451, 550", away=True),
            ),
            ({"bad@example.com": "530 5.7.0 who are you?"}, Retry("1 of 2 recipients refused: 530", away=True)),
            ({"events@example.com": "550 5.7.1 not you"}, Retry("127.0.0.1 answered 550", away=True)),
            ({"events@example.com": "552 5.3.4 too large"}, Rejected("127.0.0.1 answered 552")),
        ],
        ids=["one of two", "one of two for now", "both", "both, one for now", "our password", "the sender", "the size"],
    )
    def test_what_a_refusal_is_about(self, sink_settings, place, tmp_path, answers, outcome):
        """A mail that not all recipients get is not delivered; one that nobody gets for the sender's sake waits."""
        place.handler.refused.update(answers)
        sink = self.build({**sink_settings, "to": ["security@example.com", "bad@example.com"]}, tmp_path)

        assert self.run_once(sink, [self.delivery()]) == [outcome]
        assert len(place.handler.taken) == (1 if len(answers) == 1 and "bad@example.com" in answers else 0)

    def test_a_server_that_lets_nobody_in(self, sink, place):
        """554 for a greeting is no mail's fault: what waits is kept."""
        place.answer_bytes(b"554 5.7.1 client host blocked\r\n")

        assert self.run_once(sink, [self.delivery()]) == [Retry(f"{place.host} answered 554", away=True)]

    def test_a_body_that_is_no_event(self, sink, place):
        """No mail can be made of what is no event, however often it is tried."""
        (outcome,) = self.run_once(sink, [replace(self.delivery(), body=b"[]")])

        assert outcome == Rejected("no mail can be made of it: ValidationError")
        assert place.received() == []
