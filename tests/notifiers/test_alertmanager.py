"""What Alertmanager's API v2 gets, on a real server."""

from __future__ import annotations

from typing import Any

import pytest

from llmops.alerts import say
from llmops.notifiers import Alertmanager, DeliveryFailed, Notification
from tests.alerts.test_lifecycle import SLO
from tests.notifiers.notices import item, notification
from tests.notifiers.servers import Receiver, receiver

NOW = 1_700_000_400.0


def channel(server: Receiver) -> Alertmanager:
    return Alertmanager(f"http://{server.place}/am/", instance="box:8000", refresh_s=60.0, clock=lambda: NOW)


def posted(told: Notification) -> list[dict[str, Any]]:
    with receiver(200) as server:
        channel(server).deliver(told)
    assert server.paths == ["/am/api/v2/alerts"]
    bodies: list[dict[str, Any]] = server.bodies[0]
    return bodies


def test_a_firing_alert_has_labels_annotations_and_an_end_four_intervals_ahead() -> None:
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
        "endsAt": "2023-11-14T22:24:00.000Z",
    }


def test_the_end_has_the_labels_of_the_beginning_also_when_its_numbers_are_gone() -> None:
    (firing,) = posted(notification(item(slo=SLO)))
    (resolved,) = posted(notification(item("resolved", name=say("vram"), slo=None, value=None)))
    assert firing["labels"] == resolved["labels"]
    assert (resolved["startsAt"], resolved["endsAt"]) == ("2023-11-14T22:13:20.000Z", "2023-11-14T22:15:20.000Z")


def test_all_active_alerts_are_sent_in_one_request_and_none_needs_no_request() -> None:
    with receiver(200) as server:
        channel(server).refresh([])
        channel(server).refresh([notification(item(slo=SLO)), notification(item("repeat"))])
    assert [len(body) for body in server.bodies] == [2]


def test_an_alert_of_no_objective_has_no_such_label() -> None:
    (alert,) = posted(notification(item(rule_id="vram")))
    assert sorted(alert["labels"]) == ["alertname", "group", "instance", "severity"]


@pytest.mark.parametrize(("status", "is_final"), [(400, True), (302, True), (503, False), (429, False)])
def test_an_answer_that_is_no_success_says_whether_to_try_again(status: int, is_final: bool) -> None:
    with receiver(status) as server, pytest.raises(DeliveryFailed) as failed:
        channel(server).deliver(notification())
    assert (str(failed.value), failed.value.is_final) == (f"the Alertmanager answered {status}", is_final)
    assert len(server.paths) == 1
