"""Tells Prometheus Alertmanager, which then has its own routes, silences and receivers."""

from __future__ import annotations

from typing import Any

from llmops.events.names import timestamp
from llmops.notifiers.notice import Notice
from llmops.notifiers.notification import Notification
from llmops.notifiers.posting import TIMEOUT_S, as_body, post

MARGIN_S = 600.0
"""Beyond the next repetition, which may be tried several times."""
UNREPEATED_S = 365 * 86400.0
"""Where nothing is repeated, a firing alert lasts so long there if its end never comes."""


class Alertmanager:
    """Its API v2. An alert there is its labels, which are the same while it fires and at its end.

    Alertmanager takes a firing alert that is not sent again within its `resolve_timeout` (5 min) for resolved, unless
    the alert brings an `endsAt` of its own. Ours are sent again every `repeat_s` only, or when it is their group's turn
    after that, so `endsAt` is that far ahead and a margin more; should watch die, the alert ends then. One that is
    acknowledged or silenced with llmops is not repeated, and ends there too: silence in one place.
    """

    name = "alertmanager"

    def __init__(
        self, url: str, *, instance: str, repeat_s: float, group_interval_s: float, timeout_s: float = TIMEOUT_S
    ) -> None:
        self._url = f"{url.rstrip('/')}/api/v2/alerts"
        self._instance = instance
        self._lasts_s = repeat_s + group_interval_s + MARGIN_S if repeat_s else UNREPEATED_S
        self._timeout_s = timeout_s

    def deliver(self, notification: Notification) -> None:
        alerts = [self._alert(notice, notification.group) for notice in notification.notices]
        post("Alertmanager", self._url, as_body(alerts), {}, self._timeout_s)

    def _alert(self, notice: Notice, group: str) -> dict[str, Any]:
        is_over = notice.action == "resolved"
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
            "endsAt": timestamp(max(notice.since, notice.at if is_over else notice.at + self._lasts_s)),
        }


def _slo(rule_id: str) -> dict[str, str]:
    """From the rule: its numbers may be missing after a restart, and a label must not."""
    group, _, rest = rule_id.partition(".")
    return {"slo": rest.rpartition(".")[0] or rest} if group == "slo" and rest else {}
