"""The channels that the dials open: through what people are told."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from llmops.notifiers import Alertmanager, Console, Desktop, Email, Notifier, Webhook
from llmops.settings import AlertSettings, Settings

_HERE = ("127.0.0.1", "::1", "localhost")


def notifiers(settings: Settings) -> list[Notifier]:
    """Every channel that is configured; the terminal is always there. Raises BadChannel with one sentence."""
    dials, url = settings.alerts, settings.watch.webhook_url
    channels: list[Notifier] = [Console()]
    if url:
        channels.append(Webhook(url, dials.webhook_key))
    if dials.email_host and dials.email_from:
        channels.append(_email(dials, dials.email_host, dials.email_from))
    if dials.apprise:
        from llmops.notifiers.apprise import Apprise

        channels.append(Apprise(dials.apprise_urls))
    if dials.alertmanager_url:
        channels.append(_alertmanager(dials, dials.alertmanager_url, settings.watch.serve_url or settings.serve.url))
    if dials.desktop:
        channels.append(Desktop())
    return channels


def _email(dials: AlertSettings, host: str, sender: str) -> Email:
    return Email(
        host,
        sender=sender,
        recipients=dials.email_to,
        port=dials.email_port,
        security=dials.email_security,
        login=dials.email_login,
    )


def _alertmanager(dials: AlertSettings, url: str, watched: str) -> Alertmanager:
    return Alertmanager(
        url,
        instance=instance_of(watched),
        refresh_s=dials.alertmanager_interval_s,
    )


def instance_of(url: str) -> str:
    """`host:port` of the serve that is watched, as Prometheus names a target; of this machine by the machine's name."""
    parts = urlsplit(url)
    host = socket.gethostname() if parts.hostname in _HERE else parts.hostname
    return f"{host}:{parts.port}" if parts.port else f"{host}"
