"""A sink for supertokens-events: each event is an e-mail with the event attached."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any

from aiosmtplib import SMTP, SMTPException, SMTPResponseException
from pydantic import Field, SecretStr, field_validator

from supertokens_events import hookimpl
from supertokens_events.retry import Duration
from supertokens_events.sink import Delivered, Delivery, Outcome, Rejected, Retry, Sink, SinkSettings

__all__ = ["SmtpSettings", "SmtpSink", "register_sink_types"]


class SmtpSettings(SinkSettings):
    """``to`` gets a mail for each event. ``start_tls``: ``None`` where the server offers it. ``timeout`` is in seconds."""

    host: str = Field(min_length=1)
    port: int = Field(default=587, ge=1, le=65535)
    username: str | None = None
    password: SecretStr | None = None
    start_tls: bool | None = None
    sender: str
    to: tuple[str, ...] = Field(min_length=1)
    timeout: Duration = 20.0

    @field_validator("sender", "to")
    @classmethod
    def _addresses(cls, value: Any) -> Any:
        for address in (value,) if isinstance(value, str) else value:
            if "@" not in address or not address.isprintable():
                raise ValueError("expected an address such as 'events@example.com'")
        return value


class SmtpSink(Sink[SmtpSettings]):
    """A connection for each mail: mails are few, and servers close what is idle."""

    type = "smtp"
    Settings = SmtpSettings
    concurrency = 2
    rate = 5.0

    async def deliver(self, deliveries: Sequence[Delivery]) -> Sequence[Outcome]:
        return [await self._mail(delivery) for delivery in deliveries]

    async def _mail(self, delivery: Delivery) -> Outcome:
        settings = self.settings
        server = SMTP(
            hostname=settings.host,
            port=settings.port,
            username=settings.username,
            password=settings.password.get_secret_value() if settings.password else None,
            start_tls=settings.start_tls,
            timeout=settings.timeout,
        )
        try:
            async with server:
                await server.send_message(self._message(delivery), sender=settings.sender, recipients=[*settings.to])
        except SMTPResponseException as error:
            return _refusal(error.code, f"{settings.host} answered {error.code}")
        except (SMTPException, OSError, ValueError) as error:
            return Retry(f"{settings.host} could not be talked to: {type(error).__name__}", away=True)
        return Delivered()

    def _message(self, delivery: Delivery) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.settings.sender
        message["To"] = ", ".join(self.settings.to)
        message["Subject"] = delivery.event_type
        message["Date"] = formatdate(delivery.event.timestamp.timestamp())
        message["Message-ID"] = f"<{delivery.event_id}@{make_msgid().rpartition('@')[2]}"
        message.set_content(f"{delivery.event_type} at {delivery.event.timestamp:%Y-%m-%d %H:%M:%S} UTC.\n")
        message.add_attachment(
            delivery.body, maintype="application", subtype="json", filename=f"{delivery.event_id}.json"
        )
        return message


def _refusal(code: int, reason: str) -> Outcome:
    """RFC 5321, 4.2.1: 4xx is for now, 5xx for ever; but a wrong password is no event's fault."""
    if code in (530, 534, 535, 538):
        return Retry(f"{reason}: it does not let us in", away=True)
    return Rejected(reason) if 500 <= code < 600 else Retry(reason, away=True)


@hookimpl
def register_sink_types() -> list[type[Sink[Any]]]:
    """The sink type ``smtp``."""
    return [SmtpSink]
