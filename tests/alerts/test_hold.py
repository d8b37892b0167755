"""An alert that ends and returns within the hold is one incident."""

from __future__ import annotations

import dataclasses

from tests.alerts.test_lifecycle import NOW
from tests.alerts.test_telling import PACE, Night, found


def test_three_crashes_within_a_minute_are_one_incident_with_one_end() -> None:
    night = Night(dataclasses.replace(PACE, hold_s=60.0))
    for _ in range(3):
        night.look(found("serve_down"), after_s=10)
        night.look(found("serve_down", False), after_s=10)
    assert night.why("serve_down") == "hold"
    night.restart()
    assert night.look(found("serve_down", False), after_s=59) == []
    assert night.look(found("serve_down", False), after_s=1) == ["resolved serve_down"]
    assert [what for _, what, _ in night.heard] == ["firing", "resolved"]
    assert night.messages[-1].items[0].transition.at == NOW + 60


def test_an_alert_that_returns_after_the_hold_is_told_at_once() -> None:
    night = Night(dataclasses.replace(PACE, hold_s=60.0))
    night.look(found("serve_down"))
    night.look(found("serve_down", False), after_s=1)
    assert night.look(found("serve_down", False), after_s=60) == ["resolved serve_down"]
    assert night.look(found("serve_down"), after_s=1) == ["firing serve_down"]


def test_a_clock_that_is_set_neither_shortens_nor_lengthens_the_hold() -> None:
    night = Night(dataclasses.replace(PACE, hold_s=60.0))
    night.look(found("serve_down"))
    night.look(found("serve_down", False), after_s=1)
    night.memory = night.memory.shifted(3600.0)
    assert night.look(found("serve_down", False), after_s=3659) == []
    assert night.look(found("serve_down", False), after_s=1) == ["resolved serve_down"]
