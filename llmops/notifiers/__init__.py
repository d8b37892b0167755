"""How people hear of alerts: one file per channel, all fed from one place that never blocks."""

from llmops.notifiers.alertmanager import Alertmanager
from llmops.notifiers.console import Console
from llmops.notifiers.contract import Notifier
from llmops.notifiers.delivery import Delivered, Delivery
from llmops.notifiers.desktop import Desktop
from llmops.notifiers.email import Email
from llmops.notifiers.errors import BadChannel, DeliveryFailed
from llmops.notifiers.notice import Notice, compose
from llmops.notifiers.notification import Notification, notification_of
from llmops.notifiers.webhook import Webhook

__all__ = [
    "Alertmanager",
    "BadChannel",
    "Console",
    "Delivered",
    "Delivery",
    "DeliveryFailed",
    "Desktop",
    "Email",
    "Notice",
    "Notification",
    "Notifier",
    "Webhook",
    "compose",
    "notification_of",
]
