"""What Alertmanager's API v2 gets, on a real server."""

from __future__ import annotations

from typing import Any

import pytest

from llmops.alerts import say
from llmops.notifiers import Alertmanager, DeliveryFailed, Notification
from tests.alerts.test_lifecycle import SLO
from tests.notifiers.notices import item, notification
from tests.notifiers.servers import Receiver, receiver


def channel(server: Receiver, repeat_s: float = 3600.0) -> Alertmanager:
    return Alertmanager(f"http://{server.place}/am/", instance="box:8000", repeat_s=repeat_s, group_interval_s=300.0)


def posted(told: Notification, repeat_s: float = 3600.0) -> list[dict[str, Any]]:
    with receiver(200) as server:
        channel(server, repeat_s).deliver(told)
    assert server.paths == ["/am/api/v2/alerts"]
    bodies: list[dict[str, Any]] = server.bodies[0]
    return bodies


def test_a_firing_alert_has_labels_annotations_and_an_end_beyond_its_next_repetition() -> None:
    (alert,) = posted(notification(item(slo=SLO, exemplars=("q1",), reason="显存")))
    assert alert == {
        "labels": {
            "alertname": "slo.latency.page",
            "severity": "page",
            "group": "slo",
            "slo": "latency",
            "instance": "box:8000",
        },
        "annotations": {
            "summary": "PAGE firing: Fast",
            "description": "显存",
            "runbook": "docs/runbooks/slo.md",
            "command": "llmops requests show --state /var/lib/llmops -- q1",
        },
        "startsAt": "2023-11-14T22:13:20.000Z",
        "endsAt": "2023-11-14T23:30:20.000Z",
    }


def test_the_end_has_the_labels_of_the_beginning_also_when_its_numbers_are_gone() -> None:
    (firing,) = posted(notification(item(slo=SLO)))
    (resolved,) = posted(notification(item("resolved", name=say("vram"), slo=None, value=None)))
    assert firing["labels"] == resolved["labels"]
    assert (resolved["startsAt"], resolved["endsAt"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:15:20.000Z")


def test_what_is_never_repeated_lasts_until_its_end_is_told() -> None:
    (alert,) = posted(notification(), repeat_s=0.0)
    assert alert["endsAt"] == "2024-11-13T22:15:20.000Z"


def test_an_alert_of_no_objective_has_no_such_label() -> None:
    (alert,) = posted(notification(item(rule_id="vram")))
    assert sorted(alert["labels"]) == ["alertname", "group", "instance", "severity"]


@pytest.mark.parametrize(("status", "is_final"), [(400, True), (302, True), (503, False), (429, False)])
def test_an_answer_that_is_no_success_says_whether_to_try_again(status: int, is_final: bool) -> None:
    with receiver(status) as server, pytest.raises(DeliveryFailed) as failed:
        channel(server).deliver(notification())
    assert (str(failed.value), failed.value.is_final) == (f"the Alertmanager answered {status}", is_final)
    assert len(server.paths) == 1
