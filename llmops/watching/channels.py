"""Every channel that the dials ask for."""

from __future__ import annotations

from llmops.notifiers import Console, Notifier, Webhook
from llmops.settings import Settings


def notifiers(settings: Settings) -> list[Notifier]:
    """The terminal is always there."""
    webhook_url = settings.watch.webhook_url
    return [Console(), *([Webhook(webhook_url)] if webhook_url else [])]
