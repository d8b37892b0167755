"""A real mail server that takes, refuses and keeps mails as a test wants."""

from __future__ import annotations

import asyncio
import email
import email.message
import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

LOGIN = ("llmops", "pass word")


class MailServer:
    """`answers`: what it says to a recipient or, under `DATA`, to a mail; 250 to everything else."""

    def __init__(self, answers: dict[str, str]) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.was_encrypted: list[bool] = []
        self.port = 0
        self._answers = answers

    async def handle_RCPT(  # noqa: N802 -- as aiosmtpd calls it
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        answer = self._answers.get(address, "250 OK")
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        answer = self._answers.get("DATA", "250 OK")
        if answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            found = email.message_from_bytes(envelope.content, policy=email.policy.SMTP)
            assert isinstance(found, email.message.EmailMessage)
            self.mails.append(found)
            self.recipients.append(envelope.rcpt_tos)
            self.was_encrypted.append(session.ssl is not None)
        return answer


def _knows(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, login: Any) -> AuthResult:
    assert isinstance(login, LoginPassword)
    known = (login.login.decode(), login.password.decode()) == LOGIN
    return AuthResult(success=known, handled=False)


class _OnAFreePort(Controller):
    def _trigger_server(self) -> None:
        """It connects to itself once, and must know where by then."""
        assert isinstance(self.server, asyncio.Server)
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()  # type: ignore[no-untyped-call]  # its author gave it no types


@contextmanager
def mail_server(
    answers: dict[str, str] | None = None, *, tls: Path | None = None, login: bool = False
) -> Iterator[MailServer]:
    """tls: file of a key and its certificate, for STARTTLS; it then takes no mail in clear. login: nor one without."""
    server = MailServer(answers or {})
    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls)
    controller = _OnAFreePort(
        server,
        hostname="127.0.0.1",
        port=0,
        tls_context=context,
        require_starttls=tls is not None,
        authenticator=_knows if login else None,
        auth_required=login,
        auth_require_tls=tls is not None,
    )
    controller.start()
    try:
        server.port = controller.port
        yield server
    finally:
        controller.stop()
