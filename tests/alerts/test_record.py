"""Alerts on paper, and back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from llmops.alerts import AlertState, Finding, Item, Message, advance
from llmops.alerts.record import delivery_event, states_from, to_event
from llmops.events import Document, Origin
from llmops.events.names import seconds_of
from tests.alerts.test_lifecycle import SLO, finding

ORIGIN = Origin(service_name="watch", service_version="0", instance_id="i", host_name="h", host_id="h", process_id=1)
NOW = 1_700_000_000.1239


def life(*looks: tuple[float, Finding]) -> tuple[list[Document], dict[str, AlertState]]:
    states: dict[str, AlertState] = {}
    written: list[Document] = []
    for after_s, found in looks:
        states, transitions = advance(states, [found], NOW + after_s)
        written += [json.loads(json.dumps(ORIGIN.document(to_event(transition)))) for transition in transitions]
    return written, states


def test_a_transition_is_written_with_everything_that_is_known() -> None:
    (pending, firing), _ = life((0, finding(True, for_s=0.0, slo=SLO, value=3.0, threshold=1.0, exemplars=("q",))))
    assert (pending["event.action"], firing["event.action"]) == ("pending", "firing")
    assert firing["llmops.alert.state"] == "firing"
    assert firing["event.severity"] == 2
    assert (firing["llmops.slo.good"], firing["llmops.slo.bad"], firing["llmops.slo.window_short"]) == (97, 3, "5m")
    assert firing["llmops.alert.exemplars"] == ["q"]
    assert "event.end" not in firing


def test_an_end_is_written_with_its_duration() -> None:
    *_, resolved = life((0, finding(True, for_s=0.0)), (1.5, finding(False, keep_s=0.0)))[0]
    assert (resolved["event.action"], resolved["llmops.alert.state"]) == ("resolved", "inactive")
    assert seconds_of(resolved["event.end"]) - seconds_of(resolved["event.start"]) == 1.5
    assert abs(resolved["event.duration"] - 1.5e9) < 2e6


def test_the_record_alone_tells_which_alerts_are_active() -> None:
    firing, states = life((0, finding(True, for_s=0.0, exemplars=("q",))))
    read = states_from(reversed(firing))
    (fingerprint,) = states
    assert read[fingerprint].phase == "firing"
    assert read[fingerprint].finding.exemplars == ("q",)
    _, ended_live = advance(states, [finding(False, keep_s=0.0)], NOW + 9)
    _, ended_read = advance(read, [finding(False, keep_s=0.0)], NOW + 9)
    assert ended_live[0].event_id == ended_read[0].event_id


def test_ended_alerts_delivery_reports_and_nonsense_leave_no_state() -> None:
    ended, _ = life((0, finding(True, for_s=0.0)), (1, finding(False, keep_s=0.0)))
    assert states_from(reversed(ended)) == {}
    (pending, firing), _ = life((0, finding(True, for_s=0.0)))
    report: dict[str, Any] = firing | {"llmops.notification.channel": "webhook", "llmops.alert.state": "inactive"}
    assert len(states_from([report, firing, pending])) == 1
    assert states_from([firing | {"event.start": 7}]) == {}
    assert states_from([firing | {"llmops.alert.severity": "loud"}]) == {}


@pytest.mark.parametrize(
    ("why", "action", "outcome"), [(None, "notified", "success"), ("no answer", "not_notified", "failure")]
)
def test_a_delivery_is_written_under_the_alert_that_it_tells_first(why: str | None, action: str, outcome: str) -> None:
    _, transitions = advance({}, [finding(True, for_s=0.0)], NOW)
    message = Message(group="serve", at=NOW, items=(Item(action="firing", times=1, transition=transitions[-1]),))
    written = ORIGIN.document(delivery_event(message, "webhook", attempts=3, why=why, at=NOW))
    assert (written["event.action"], written["llmops.notification.outcome"]) == (action, outcome)
    assert (written["llmops.notification.channel"], written["llmops.notification.attempts"]) == ("webhook", 3)
    assert states_from([written]) == {}
