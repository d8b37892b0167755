"""Dials of alerts: who is told, how soon, how often, through what, and in which language."""

from __future__ import annotations

import base64
import binascii
import os
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from llmops.settings.section import PositiveSeconds, Section
from llmops.settings.serving import Port

Address = Annotated[str, Field(pattern=r"^[A-Za-z0-9.!#$%&'*+/=^_{|}~-]+@[A-Za-z0-9.-]+$")]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/,@?#]+(/[^\s@?#]*)?$")]
_ENCODED = "whsec_"
"""How Standard Webhooks marks a key that is written in base64."""


class AlertSettings(Section):
    """How people are told. A page leaves at once; tickets gather."""

    language: Literal["auto", "en", "zh"] = Field("auto", description="of messages; auto: from LANG")
    group_wait_s: float = Field(30.0, ge=0, description="the first ticket of a group waits so long for others")
    group_interval_s: float = Field(300.0, ge=0, description="after a message of a group, tickets wait so long")
    repeat_interval_s: float = Field(4 * 3600.0, ge=0, description="what still fires is told again; 0: never")
    resolve_hold_s: float = Field(
        60.0, ge=0, description="an alert that fires again within this long after its end goes on as one; 0: no hold"
    )
    webhook_secret: SecretStr | None = Field(
        None, description="signs what goes to watch.webhook_url: whsec_ and base64, or any text"
    )
    email_host: Annotated[str, Field(pattern=r"^[^\s/@]+$")] | None = Field(
        None, description="mail server; empty: no mail", examples=["mail.example.org"]
    )
    email_port: Port | None = Field(None, description="empty: 587 with starttls, 465 with ssl, 25 with none")
    email_security: Literal["none", "starttls", "ssl"] = Field("starttls", description="none sends all in clear")
    email_user: str | None = Field(None, description="with email_password, where the server asks who sends")
    email_password: SecretStr | None = Field(None, description="of that user")
    email_from: Address | None = Field(
        None, validate_default=True, description="sender of the mails", examples=["llmops@example.org"]
    )
    email_to: tuple[Address, ...] = Field(
        (),
        validate_default=True,
        description='who gets them, as in ["ops@example.org"]',
        examples=["ops@example.org, without a name"],
    )
    apprise: tuple[SecretStr, ...] = Field(
        (), description='services that apprise knows, as in ["tgram://token/chat"]; their URLs are never shown'
    )
    alertmanager_url: Url | None = Field(
        None,
        description="Prometheus Alertmanager, without /api/v2; empty: none",
        examples=["http://127.0.0.1:9093, without a user"],
    )
    alertmanager_interval_s: PositiveSeconds = Field(
        60.0, description="active alerts are sent there again this often; they expire there after four of these"
    )
    desktop: bool = Field(False, description="true: notify-send on this machine")

    @field_validator("webhook_secret")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        try:
            key = None if value is None else _key_of(value.get_secret_value())
        except binascii.Error:
            raise PydanticCustomError("secret", "what follows whsec_ must be base64") from None
        if key == b"":
            raise PydanticCustomError("secret", "it is empty")
        return value

    @field_validator("email_from", "email_to")
    @classmethod
    def _is_there_for_mail(cls, value: Any, info: ValidationInfo) -> Any:
        if info.data.get("email_host") and not value:
            raise PydanticCustomError("mail", "set it, or leave alerts.email_host empty")
        return value

    @property
    def webhook_key(self) -> bytes | None:
        """The key in clear, for signing and nothing else."""
        return None if self.webhook_secret is None else _key_of(self.webhook_secret.get_secret_value())

    @property
    def email_login(self) -> tuple[str, str] | None:
        """User and password in clear; None where not both are set."""
        if self.email_user is None or self.email_password is None:
            return None
        return self.email_user, self.email_password.get_secret_value()

    @property
    def apprise_urls(self) -> list[str]:
        """In clear, for apprise and nothing else."""
        return [url.get_secret_value() for url in self.apprise]

    @property
    def spoken(self) -> Literal["en", "zh"]:
        """The language that `auto` comes to."""
        if self.language != "auto":
            return self.language
        return "zh" if (os.environ.get("LC_ALL") or os.environ.get("LANG") or "").lower().startswith("zh") else "en"


def _key_of(secret: str) -> bytes:
    """Raises binascii.Error for what only looks like base64."""
    if not secret.startswith(_ENCODED):
        return secret.encode()
    return base64.b64decode(secret.removeprefix(_ENCODED), validate=True)
