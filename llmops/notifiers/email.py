"""Tells people by mail, over SMTP."""

from __future__ import annotations

import contextlib
import email.message
import email.policy
import email.utils
import logging
import smtplib
import ssl
from collections.abc import Sequence
from typing import Literal, TypeAlias

from llmops.notifiers.certificates import tls_sentence
from llmops.notifiers.errors import DeliveryFailed
from llmops.notifiers.letter import letter_of
from llmops.notifiers.notification import Notification
from llmops.untrusted import safe_line

TIMEOUT_S = 10.0
"""For each answer of the mail server."""
SUBJECT_CHARACTERS = 200
PORTS = {"none": 25, "starttls": 587, "ssl": 465}

Security: TypeAlias = Literal["none", "starttls", "ssl"]
_log = logging.getLogger(__name__)


class Email:
    """One mail to all recipients. A 4xx answer or a silence is worth another try, a 5xx answer is final.

    Failures are told by number: what servers write may quote an address or a password. `port` None: the usual one.
    """

    name = "email"

    def __init__(
        self,
        host: str,
        *,
        sender: str,
        recipients: Sequence[str],
        port: int | None = None,
        security: Security = "starttls",
        login: tuple[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._host = host
        self._port = PORTS[security] if port is None else port
        self._sender = sender
        self._recipients = tuple(recipients)
        self._security = security
        self._login = login
        self._timeout_s = timeout_s

    def deliver(self, notification: Notification) -> None:
        mail = mail_of(notification, self._sender, self._recipients)
        try:
            refused = self._send(mail)
        except smtplib.SMTPRecipientsRefused as error:
            code = min(code for code, _ in error.recipients.values())
            raise DeliveryFailed(f"the mail server refused every recipient ({code})", is_final=code >= 500) from None
        except smtplib.SMTPResponseException as error:
            why = f"the mail server answered {error.smtp_code}"
            raise DeliveryFailed(why, is_final=error.smtp_code >= 500) from None
        except smtplib.SMTPServerDisconnected:
            raise DeliveryFailed("the mail server broke off") from None
        except (smtplib.SMTPException, UnicodeError) as error:  # it can't do what the dials ask for
            raise DeliveryFailed(f"the mail server cannot do that ({type(error).__name__})", is_final=True) from None
        except OSError as error:
            if sentence := tls_sentence(error, "alerts.email_host"):
                raise DeliveryFailed(f"the mail server was not reached: {sentence}") from None
            raise DeliveryFailed(f"no mail server answered ({type(error).__name__})") from None
        if refused:
            _log.warning("the mail server refused %d of %d recipients", refused, len(self._recipients))

    def _send(self, mail: email.message.EmailMessage) -> int:
        """How many recipients were refused, of several."""
        with contextlib.closing(self._connect()) as smtp:
            if self._security == "starttls":
                smtp.starttls(context=ssl.create_default_context())
            if self._login is not None:
                smtp.login(*self._login)
            refused = smtp.send_message(mail)
            with contextlib.suppress(smtplib.SMTPException, OSError):  # the mail is taken: no reason to send it again
                smtp.quit()
        return len(refused)

    def _connect(self) -> smtplib.SMTP:
        if self._security != "ssl":
            return smtplib.SMTP(self._host, self._port, timeout=self._timeout_s)
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(self._host, self._port, timeout=self._timeout_s, context=context)


def mail_of(notification: Notification, sender: str, recipients: Sequence[str]) -> email.message.EmailMessage:
    """The mail; the same notification has the same `Message-ID`, so that a repeated delivery can be told."""
    mail = email.message.EmailMessage(policy=email.policy.SMTP)
    mail["Subject"] = safe_line(notification.title, SUBJECT_CHARACTERS).replace("=?", "= ?")  # else it is decoded
    mail["From"] = sender
    mail["To"] = ", ".join(recipients)
    mail["Date"] = email.utils.formatdate(notification.first.at)
    mail["Message-ID"] = f"<{notification.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"  # nobody's absence note is sent back
    mail.set_content(letter_of(notification), cte="quoted-printable")
    return mail
