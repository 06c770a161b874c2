"""A sink for supertokens-events: each event is an e-mail with the event attached."""

from __future__ import annotations

from collections.abc import Sequence
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import Any

from aiosmtplib import SMTP, SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPResponseException
from pydantic import Field, SecretStr, field_validator

from supertokens_events import hookimpl
from supertokens_events.retry import Duration
from supertokens_events.sink import Delivered, Delivery, Outcome, Rejected, Retry, Sink, SinkSettings

__all__ = ["SmtpSettings", "SmtpSink", "register_sink_types"]

_TOO_LARGE = 552  # to MAIL, where it is the size of this mail (RFC 1870, 6.1)


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
        try:
            message = self._message(delivery)
        except ValueError as error:
            return Rejected(f"no mail can be made of it: {type(error).__name__}")
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
                refused, _ = await server.send_message(message, sender=settings.sender, recipients=[*settings.to])
        except SMTPRecipientsRefused as error:
            return self._refused([one.code for one in error.recipients])
        except SMTPResponseException as error:
            reason = f"{settings.host} answered {error.code}"
            of_the_mail = isinstance(error, SMTPDataError) or error.code == _TOO_LARGE
            return Rejected(reason) if of_the_mail and _is_final(error.code) else Retry(reason, away=True)
        except (SMTPException, OSError, ValueError) as error:
            return Retry(f"{settings.host} could not be talked to: {type(error).__name__}", away=True)
        return self._refused([code for code, _ in refused.values()]) if refused else Delivered()

    def _refused(self, codes: Sequence[int]) -> Outcome:
        """When some of the recipients do not get it; with a ``Retry`` the others get it again."""
        told = f"{len(codes)} of {len(self.settings.to)} recipients refused: {', '.join(map(str, codes))}"
        return Rejected(told) if all(map(_is_final, codes)) else Retry(told, away=True)

    def _message(self, delivery: Delivery) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.settings.sender
        message["To"] = ", ".join(self.settings.to)
        message["Subject"] = delivery.event_type
        message["Date"] = formatdate(delivery.event.timestamp.timestamp())
        message["Message-ID"] = f"<{delivery.event_id}@{parseaddr(self.settings.sender)[1].rpartition('@')[2]}>"
        message.set_content(f"{delivery.event_type} at {delivery.event.timestamp:%Y-%m-%d %H:%M:%S} UTC.\n")
        message.add_attachment(
            delivery.body, maintype="application", subtype="json", filename=f"{delivery.event_id}.json"
        )
        return message


def _is_final(code: int) -> bool:
    """RFC 5321, 4.2.1: 4xx is for now, 5xx for ever; but 53x is about our password (RFC 4954, 6), which is no mail's fault."""
    return code // 100 == 5 and code // 10 != 53


@hookimpl
def register_sink_types() -> list[type[Sink[Any]]]:
    """The sink type ``smtp``."""
    return [SmtpSink]
