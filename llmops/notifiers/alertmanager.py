"""Tells Prometheus Alertmanager, which then has its own routes, silences and receivers."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from llmops.events.names import timestamp
from llmops.notifiers.notice import Notice
from llmops.notifiers.notification import Notification
from llmops.notifiers.posting import TIMEOUT_S, as_body, post

REFRESH_S = 60.0
"""Between two times that active alerts are sent, as Prometheus does."""
_INTERVALS = 4
"""An active alert ends there after so many of them without a word."""


class Alertmanager:
    """Its API v2. An alert there is its labels, which are the same while it fires and at its end.

    Active alerts are sent again every `refresh_s` with an `endsAt` a few intervals ahead, also while they are
    acknowledged: an Alertmanager that restarts has them again within one interval, and after the end of watch they
    expire. At its end an alert is sent with `endsAt` now.
    """

    name = "alertmanager"

    def __init__(
        self,
        url: str,
        *,
        instance: str,
        refresh_s: float = REFRESH_S,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.refresh_s = refresh_s
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._instance = instance
        self._timeout_s = timeout_s
        self._clock = clock

    def deliver(self, notification: Notification) -> None:
        self.refresh([notification])

    def refresh(self, active: Sequence[Notification]) -> None:
        alerts = [self._alert(notice, each.group) for each in active for notice in each.notices]
        if alerts:
            post("Alertmanager", self._url, as_body(alerts), {}, self._timeout_s, "alerts.alertmanager_url")

    def _alert(self, notice: Notice, group: str) -> dict[str, Any]:
        is_over = notice.action == "resolved"
        ends = notice.at if is_over else self._clock() + _INTERVALS * self.refresh_s
        return {
            "labels": {
                "alertname": notice.rule_id,
                "severity": notice.severity,
                "group": group,
                "instance": self._instance,
                **_slo(notice.rule_id),
            },
            "annotations": {
                "summary": notice.headline,
                "description": notice.shown_reason,
                "runbook": notice.runbook,
                **({"command": notice.command} if notice.command else {}),
            },
            "startsAt": timestamp(notice.since),
            "endsAt": timestamp(max(notice.since, ends)),
        }


def _slo(rule_id: str) -> dict[str, str]:
    """From the rule: its numbers may be missing after a restart, and a label must not."""
    group, _, rest = rule_id.partition(".")
    return {"slo": rest.rpartition(".")[0] or rest} if group == "slo" and rest else {}
