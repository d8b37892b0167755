"""Tells people through whatever apprise speaks to: chats, phones, pagers, one URL each."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from urllib.parse import parse_qs, urlsplit

import apprise

from llmops.notifiers.errors import BadChannel, DeliveryFailed
from llmops.notifiers.letter import letter_of
from llmops.notifiers.notification import Notification

TIMEOUT_S = 20.0
"""For each message to one service."""
_SPLIT_FROM = 1000
"""A service with room for so many characters gets a longer letter in parts, because it refuses more than fits. What has
less room is a text message, which its provider splits."""
_REMEMBERED = 256
"""Notifications of which it is known who took them."""
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,19}(?=://)")


class Apprise:
    """Every URL is a service. They hold secrets: a failure names the scheme and the place in the list only.

    What a service took is remembered, so that another try goes to the others alone.
    """

    name = "apprise"

    def __init__(self, urls: Sequence[str], *, timeout_s: float = TIMEOUT_S) -> None:
        logging.getLogger("apprise").disabled = True  # it writes addresses, and what servers answered
        self._services = {_place(number, url): _service(number, url) for number, url in enumerate(urls, start=1)}
        self._timeout_s = timeout_s
        self._taken: dict[str, set[str]] = {}

    def deliver(self, notification: Notification) -> None:
        taken = self._taken.setdefault(notification.id, set())
        taken.update(
            place
            for place, service in self._services.items()
            if place not in taken and self._takes(service, notification)
        )
        left = [place for place in self._services if place not in taken]
        if not left:
            del self._taken[notification.id]
        else:
            while len(self._taken) > _REMEMBERED:
                del self._taken[next(iter(self._taken))]
            raise DeliveryFailed(f"not taken by {', '.join(left)}")

    def _takes(self, service: apprise.Apprise, notification: Notification) -> bool:
        letter = letter_of(notification)
        result = service.notify(
            body=letter,
            title=notification.title,
            notify_type=_kind(notification),
            body_format=apprise.NotifyFormat.TEXT,
            timeout=self._timeout_s * _parts(service, letter),
        )
        return bool(result)


def _parts(service: apprise.Apprise, letter: str) -> int:
    """Messages that a long letter becomes, with room for what a service's format adds; apprise pauses between them."""
    return 1 + 2 * len(letter) // max(_SPLIT_FROM, service[0].body_maxlen)


def _kind(notification: Notification) -> apprise.NotifyType:
    if notification.is_over:
        return apprise.NotifyType.SUCCESS
    is_page = any(each.severity == "page" for each in notification.notices if each.action != "resolved")
    return apprise.NotifyType.FAILURE if is_page else apprise.NotifyType.WARNING


def _service(number: int, url: str) -> apprise.Apprise:
    asset = apprise.AppriseAsset(
        app_id="llmops",
        app_desc="llmops",
        app_url="",
        image_url_mask="",  # else messages show pictures that readers load from another's server
        image_url_logo="",
        http_redirects=False,
        storage_mode="memory",
        async_mode=False,
    )
    service = apprise.Apprise.instantiate(url, asset=asset)
    if service is None:
        raise BadChannel(f"alerts.apprise: {_place(number, url)} is no URL that apprise can use.")
    if service.body_maxlen >= _SPLIT_FROM and "overflow" not in parse_qs(urlsplit(url).query):
        service.overflow_mode = apprise.OverflowMode.SPLIT
    return apprise.Apprise(service, asset=asset)


def _place(number: int, url: str) -> str:
    scheme = _SCHEME.match(url)
    return f"{scheme.group() if scheme else 'URL'} (place {number} in the list)"
