"""The life of an alert, by example and against its laws."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.alerts import AlertState, Finding, SloNumbers, Transition, advance, as_is
from llmops.alerts.lifecycle import shifted

NOW = 1_700_000_000.25
SLO = SloNumbers(
    name="latency",
    target=0.99,
    window="30d",
    total=100,
    bad=3,
    allowed=1,
    budget_remaining=-2.0,
    burn_long=3.0,
    burn_short=4.0,
    window_long="1h",
    window_short="5m",
)


def finding(active: bool | None, **fields: Any) -> Finding:
    values: dict[str, Any] = {"rule_id": "r", "name": as_is("rule"), "severity": "page", "for_s": 10.0, "keep_s": 20.0}
    return Finding(active=active, **(values | fields))


def live(*looks: tuple[float, bool | None], **fields: Any) -> list[tuple[float, str]]:
    """What happened, as (seconds, action), when the rule was looked at like this."""
    states: dict[str, AlertState] = {}
    happened = []
    for after_s, active in looks:
        states, transitions = advance(states, [finding(active, **fields)], NOW + after_s)
        happened += [(after_s, transition.action) for transition in transitions]
    return [(after_s, str(action)) for after_s, action in happened]


def test_a_rule_that_is_never_active_has_no_alert() -> None:
    assert live((0, False), (5, None), (9, False)) == []


def test_an_alert_is_pending_then_firing_then_resolved() -> None:
    looks = [(0.0, True), (9.0, True), (10.0, True), (11.0, True), (12.0, False), (31.0, False), (32.0, False)]
    assert live(*looks) == [(0, "pending"), (10, "firing"), (32, "resolved")]


def test_what_clears_while_pending_never_fires_and_is_never_resolved() -> None:
    assert live((0, True), (5, False), (20, False)) == [(0, "pending"), (5, "inactive")]


def test_without_waiting_time_it_is_pending_and_firing_at_once() -> None:
    assert live((0, True), for_s=0.0) == [(0, "pending"), (0, "firing")]


def test_without_keeping_time_it_resolves_at_once() -> None:
    assert live((0, True), (1, False), for_s=0.0, keep_s=0.0)[-1] == (1, "resolved")


def test_a_relapse_while_it_is_kept_firing_starts_the_clock_again() -> None:
    looks = [(0.0, True), (1.0, False), (15.0, True), (16.0, False), (30.0, False), (36.0, False)]
    assert live(*looks, for_s=0.0) == [(0, "pending"), (0, "firing"), (36, "resolved")]


def test_not_knowing_keeps_a_pending_alert_pending() -> None:
    assert live((0, True), (50, None), (60, False)) == [(0, "pending"), (60, "inactive")]


def test_not_knowing_never_resolves() -> None:
    looks = [(0.0, True), (1.0, False), (2.0, None), (500.0, None), (501.0, False), (521.0, False)]
    assert live(*looks, for_s=0.0)[-1] == (521, "resolved")


def test_a_clock_that_is_set_back_neither_delays_nor_loses_an_alert() -> None:
    assert live((0, True), (-3600, True), (-3590, True)) == [(0, "pending"), (-3590, "firing")]
    assert live((0, True), (1, False), (-3600, False), (-3580, False), for_s=0.0)[-1] == (-3580, "resolved")


def test_an_alert_whose_rule_is_gone_ends() -> None:
    states, _ = advance({}, [finding(True, for_s=0.0, exemplars=("q",))], NOW)
    states, (ended,) = advance(states, [], NOW + 1)
    assert (states, ended.action, ended.finding.exemplars) == ({}, "resolved", ("q",))
    assert "no longer judged" in str(ended.finding.reason)


def test_alerts_of_different_rules_do_not_touch_each_other() -> None:
    both = [finding(True, for_s=0.0), finding(True, rule_id="other")]
    states, transitions = advance({}, both, NOW)
    assert sorted(state.phase for state in states.values()) == ["firing", "pending"]
    assert len({transition.event_id for transition in transitions}) == 3


def test_the_same_transition_has_the_same_id_and_every_other_has_another() -> None:
    def transition(**fields: Any) -> Transition:
        values: dict[str, Any] = {"action": "firing", "at": NOW, "started": NOW, "finding": finding(True)}
        return Transition(**(values | fields))

    same = {transition().event_id, transition(at=NOW + 9).event_id, transition(started=NOW + 0.0001).event_id}
    assert len(same) == 1
    assert uuid.UUID(same.pop()).version == 5
    others = [
        transition(action="resolved"),
        transition(started=NOW + 1),
        transition(finding=finding(True, rule_id="x")),
    ]
    assert len({transition().event_id, *(other.event_id for other in others)}) == 4


def test_states_survive_json() -> None:
    states, _ = advance({}, [finding(True, slo=SLO, exemplars=("a", "b")), finding(True, rule_id="plain")], NOW)
    read = json.loads(json.dumps({name: state.to_json() for name, state in states.items()}))
    assert {name: AlertState.from_json(state) for name, state in read.items()} == states


@pytest.mark.parametrize("broken", [{}, {"phase": "firing", "finding": {}}, {"finding": None}])
def test_a_state_that_is_none_is_refused(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        AlertState.from_json(broken)


looks_strategy = st.lists(
    st.tuples(st.floats(0.001, 30.0), st.sampled_from([True, False, None]), st.booleans()), max_size=60
)


@given(looks_strategy)
def test_every_life_obeys_the_laws(looks: list[tuple[float, bool | None, bool]]) -> None:
    """pending (firing resolved | inactive), in this order; a restart between two looks changes nothing."""
    states: dict[str, AlertState] = {}
    follows = {None: {"pending"}, "pending": {"firing", "inactive"}, "firing": {"resolved"}}
    phase: str | None = None
    seen: set[str] = set()
    now = NOW
    active_for = clear_for = 0.0
    previous: bool | None = False
    for pause_s, active, restarts in looks:
        now += pause_s
        active_for = active_for + pause_s if active and previous is not False and phase else 0.0
        clear_for = clear_for + pause_s if active is False and previous is False else 0.0
        previous = active
        if restarts:
            read = json.loads(json.dumps({name: state.to_json() for name, state in states.items()}))
            states = {name: AlertState.from_json(state) for name, state in read.items()}
        states, transitions = advance(states, [finding(active)], now)
        for transition in transitions:
            assert transition.action in follows[phase]
            assert transition.event_id not in seen
            seen.add(transition.event_id)
            if transition.action == "firing":
                assert active
                assert now - transition.started >= 10.0 - 1e-3
            if transition.action == "resolved":
                assert active is False
                assert clear_for >= 20.0 - 1e-3
            phase = None if transition.action in ("resolved", "inactive") else transition.action
        assert [state.phase for state in states.values()] == ([phase] if phase else [])


def test_what_was_kept_before_it_told_when_a_budget_is_spent_can_be_read() -> None:
    kept = Finding(
        rule_id="slo.a.page", name=as_is("a"), severity="page", active=True, slo=SLO, reason=as_is("r")
    ).to_json()
    del kept["slo"]["exhausted_in_s"]
    back = Finding.from_json(kept)
    assert back.slo is not None
    assert back.slo.exhausted_in_s is None


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_after_the_clock_was_set_an_alert_is_as_far_on_as_before(step_s: float) -> None:
    states, _ = advance({}, [finding(True)], NOW)
    states, moved = advance(shifted(states, step_s), [finding(True)], NOW + step_s + 9.9)
    assert moved == []
    states, (fired,) = advance(states, [finding(True)], NOW + step_s + 10.0)
    assert (fired.action, fired.started) == ("firing", NOW)
    states, _ = advance(states, [finding(False)], NOW + step_s + 11.0)
    states, moved = advance(shifted(states, -step_s), [finding(False)], NOW + 30.9)
    assert moved == []
    states, (over,) = advance(states, [finding(False)], NOW + 31.0)
    assert (over.action, states) == ("resolved", {})
