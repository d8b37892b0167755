"""Who is told what: by example, and against its laws at any order of events, restarts and clock steps."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.alerts import AlertState, Finding, Item, Memory, Message, Pace, Transition, advance, as_is, decide
from llmops.alerts.quiet import Acknowledgement, Orders, Silence, matcher_of
from llmops.alerts.rules import Severity, fingerprint_of
from llmops.alerts.telling import Told
from tests.alerts.test_lifecycle import NOW, SLO

PACE = Pace(group_wait_s=30.0, group_interval_s=300.0, repeat_s=4 * 3600.0)
QUIET_FOR_ONE_HOUR = Silence(
    id="s", matchers=(matcher_of("rule=*"),), starts=NOW, ends=NOW + 3600, author="ann", comment="moving house"
)


def found(rule_id: str, active: bool | None = True, **fields: Any) -> Finding:
    severity: Severity = "page" if rule_id in ("serve_down", "journal_full") or rule_id.endswith("page") else "ticket"
    slo = dataclasses.replace(SLO, name=rule_id.split(".")[1]) if rule_id.startswith("slo.") else None
    return Finding(rule_id=rule_id, name=as_is(rule_id), severity=severity, active=active, slo=slo, **fields)


class Night:
    """Looks, one after the other, and what people heard."""

    def __init__(self, pace: Pace = PACE) -> None:
        self.states: dict[str, AlertState] = {}
        self.memory = Memory()
        self.orders = Orders()
        self.now = NOW
        self.pace = pace
        self.heard: list[tuple[float, str, str]] = []
        self.messages: list[Message] = []
        self.reasons: dict[str, str] = {}

    def look(self, *findings: Finding, after_s: float = 0.0) -> list[str]:
        """What is told now, as `action rule`."""
        self.now += after_s
        self.states, transitions = advance(self.states, findings, self.now)
        ended = [each for each in transitions if each.action == "resolved"]
        self.memory, messages, reasons = decide(self.memory, self.states, ended, self.orders, self.pace, self.now)
        self.reasons = {name: str(reason) for name, reason in reasons.items()}
        self.messages += messages
        told = [item for message in messages for item in message.items]
        self.heard += [(self.now, item.action, item.transition.finding.rule_id) for item in told]
        return [f"{item.action} {item.transition.finding.rule_id}" for item in told]

    def why(self, rule_id: str) -> str:
        return self.reasons[fingerprint_of(rule_id)]

    def restart(self) -> None:
        """Everything through what is kept."""
        written = json.dumps([self.memory.to_json(), {name: each.to_json() for name, each in self.states.items()}])
        memory, states = json.loads(written)
        self.memory = Memory.from_json(memory)
        self.states = {name: AlertState.from_json(each) for name, each in states.items()}


def test_a_page_is_told_at_once_and_so_is_its_end() -> None:
    night = Night()
    assert night.look(found("serve_down")) == ["firing serve_down"]
    assert night.look(found("serve_down"), after_s=60) == []
    assert night.why("serve_down") == "told"
    assert night.look(found("serve_down", False), after_s=60) == ["resolved serve_down"]
    assert night.look(found("serve_down", False), after_s=60) == []


def test_tickets_of_a_group_wait_for_each_other_and_share_a_message() -> None:
    night = Night()
    assert night.look(found("vram")) == []
    assert night.why("vram") == "group_wait"
    assert night.look(found("vram"), found("gpu.hot"), after_s=29) == []
    assert night.look(found("vram"), found("gpu.hot"), after_s=1) == ["firing vram", "firing gpu.hot"]
    assert len(night.messages) == 1


def test_what_comes_after_a_message_of_its_group_waits_for_the_interval() -> None:
    night = Night()
    night.look(found("vram"))
    assert night.look(found("vram"), after_s=30) == ["firing vram"]
    assert night.look(found("vram"), found("gpu.hot"), after_s=10) == []
    assert night.why("gpu.hot") == "group_interval"
    assert night.look(found("vram"), found("gpu.hot"), after_s=289) == []
    assert night.look(found("vram", False), found("gpu.hot"), after_s=1) == ["firing gpu.hot", "resolved vram"]


def test_a_page_takes_along_what_waits_in_its_group() -> None:
    night = Night()
    assert night.look(found("record_lost")) == []
    assert night.look(found("record_lost"), found("journal_full"), after_s=1) == [
        "firing journal_full",
        "firing record_lost",
    ]


def test_what_was_never_told_is_never_resolved() -> None:
    night = Night()
    assert night.look(found("vram")) == []
    assert night.look(found("vram", False), after_s=10) == []
    assert night.look(after_s=1000) == []
    assert night.memory.told == {}


def test_what_ends_and_begins_again_before_its_end_was_told_goes_on() -> None:
    night = Night()
    night.look(found("vram"))
    night.look(found("vram"), after_s=30)
    assert night.look(found("vram", False), after_s=10) == []
    assert night.look(found("vram"), after_s=10) == []
    assert night.look(found("vram"), after_s=1000) == []
    assert night.look(found("vram", False), after_s=10) == ["resolved vram"]


def test_after_hours_it_is_told_again_unless_that_is_not_wanted() -> None:
    night = Night()
    night.look(found("serve_down"))
    assert night.look(found("serve_down"), after_s=4 * 3600 - 1) == []
    assert night.look(found("serve_down"), after_s=1) == ["repeat serve_down"]
    assert night.look(found("serve_down"), after_s=3600) == []
    first, again = night.messages
    assert (first.items[0].times, again.items[0].times, first.id != again.id) == (1, 2, True)
    once = Night(dataclasses.replace(PACE, repeat_s=0.0))
    once.look(found("serve_down"))
    assert once.look(found("serve_down"), after_s=1e6) == []


def test_a_page_speaks_for_the_ticket_of_its_objective_and_of_no_other() -> None:
    night = Night()
    page, ticket, other = found("slo.latency.page"), found("slo.latency.ticket"), found("slo.availability.ticket")
    assert night.look(page, ticket, other) == ["firing slo.latency.page", "firing slo.availability.ticket"]
    assert night.why("slo.latency.ticket") == "inhibited"
    calm = found("slo.latency.page", False)
    assert night.look(calm, ticket, other, after_s=600) == ["firing slo.latency.ticket", "resolved slo.latency.page"]


def test_a_serve_that_is_down_speaks_for_what_follows_from_it() -> None:
    night = Night()
    down = [found("serve_down"), found("slo.latency.page"), found("vram")]
    assert night.look(*down) == ["firing serve_down"]
    assert night.why("slo.latency.page") == "inhibited"
    assert night.look(*down, after_s=30) == ["firing vram"]


def test_a_silence_keeps_quiet_until_it_ends_and_then_what_still_fires_is_told() -> None:
    night = Night()
    night.orders = Orders((QUIET_FOR_ONE_HOUR,))
    assert night.look(found("serve_down")) == []
    assert night.why("serve_down") == "silenced"
    assert night.look(found("serve_down"), after_s=3599) == []
    assert night.look(found("serve_down"), after_s=1) == ["firing serve_down"]


def test_what_ends_under_a_silence_is_not_told_then_or_later() -> None:
    night = Night()
    night.look(found("serve_down"))
    night.orders = Orders((QUIET_FOR_ONE_HOUR,))
    assert night.look(found("serve_down", False), after_s=10) == []
    assert night.look(found("serve_down", False), after_s=7200) == []
    assert night.look(found("serve_down"), after_s=1) == ["firing serve_down"]


def test_what_somebody_took_on_is_not_told_again_but_its_end_is() -> None:
    night = Night()
    night.look(found("serve_down"))
    (state,) = night.states.values()
    taken = Acknowledgement(
        fingerprint=state.finding.fingerprint, started=state.started, at=night.now, author="ann", comment=""
    )
    night.orders = night.orders.with_acknowledgement(taken)
    assert night.look(found("serve_down"), after_s=5 * 3600) == []
    assert night.why("serve_down") == "acknowledged"
    assert night.look(found("serve_down", False), after_s=1) == ["resolved serve_down"]
    assert night.look(found("serve_down"), after_s=1) == ["firing serve_down"]  # another life, not taken on
    assert night.look(found("serve_down"), after_s=5 * 3600) == ["repeat serve_down"]


def test_a_restart_between_any_two_looks_changes_nothing() -> None:
    def walk(*, restarts: bool) -> list[tuple[float, str, str]]:
        night = Night()
        for second in range(0, 6 * 3600, 60):
            night.look(found("serve_down", second % 7200 > 600), found("vram", second % 5000 > 100), after_s=60)
            if restarts:
                night.restart()
        return night.heard

    assert walk(restarts=True) == walk(restarts=False) != []


def test_an_end_that_was_missed_is_told_from_memory() -> None:
    night = Night()
    night.look(found("serve_down", exemplars=("q1",)))
    night.states = {}  # kept before the crash, and the message was not
    assert night.look(found("serve_down", False), after_s=10) == ["resolved serve_down"]
    assert night.messages[-1].items[0].transition.finding.exemplars == ("q1",)


def test_where_nothing_is_remembered_what_fires_counts_as_told() -> None:
    night = Night()
    night.look(found("serve_down"), found("vram", for_s=60.0))
    night.memory = Memory.of_firing(night.states)
    assert night.look(found("serve_down"), found("vram"), after_s=10) == []
    assert night.look(found("serve_down", False), found("vram"), after_s=10) == ["resolved serve_down"]


def test_a_clock_set_back_puts_nothing_off() -> None:
    night = Night()
    night.look(found("vram"))
    night.look(found("vram"), after_s=30)
    night.look(found("vram"), found("gpu.hot"), after_s=-86400)
    assert night.look(found("vram"), found("gpu.hot"), after_s=300) == ["firing gpu.hot"]
    told = night.look(found("vram"), found("gpu.hot"), after_s=4 * 3600)
    assert sorted(told) == ["repeat gpu.hot", "repeat vram"]


def test_a_message_goes_through_json_and_back_as_it_is() -> None:
    night = Night()
    night.look(found("slo.latency.page", exemplars=("a", "b")), found("serve_down"))
    for message in night.messages:
        assert Message.from_json(json.loads(json.dumps(message.to_json()))) == message


RULES = ("serve_down", "slo.latency.page", "slo.latency.ticket", "vram", "gpu.hot")
_look = st.fixed_dictionaries({rule: st.sampled_from([True, True, False, None]) for rule in RULES})
_step = st.tuples(
    _look, st.sampled_from([1.0, 30.0, 301.0, 5000.0, 20000.0, -3600.0]), st.booleans(), st.integers(0, 3)
)


@given(st.lists(_step, min_size=1, max_size=40))
def test_nothing_is_told_twice_and_no_end_is_told_of_what_was_not(
    steps: list[tuple[dict[str, bool | None], float, bool, int]],
) -> None:
    """Of each alert people hear a firing, repetitions at least `repeat_s` apart, and one end; no id comes twice."""
    night, believed, seen = Night(), {}, set()
    quiet = [Orders(), Orders(), Orders((dataclasses.replace(QUIET_FOR_ONE_HOUR, starts=0.0, ends=1e12),)), None]
    waited: dict[str, float] = {}
    for looks, after_s, restarts, order in steps:
        night.orders = quiet[order] or Orders(
            (dataclasses.replace(QUIET_FOR_ONE_HOUR, matchers=(matcher_of("rule=vram"),)),)
        )
        before = len(night.messages)
        night.look(*(found(rule, active, keep_s=20.0) for rule, active in looks.items()), after_s=after_s)
        for rule in waited:
            waited[rule] += max(0.0, after_s)
        for message in night.messages[before:]:
            assert message.id not in seen
            seen.add(message.id)
            for item in message.items:
                rule = item.transition.finding.rule_id
                assert orders_allow(night.orders, item, night.now)
                if item.action == "firing":
                    assert rule not in believed
                    believed[rule], waited[rule] = item, 0.0
                elif item.action == "repeat":
                    assert rule in believed
                    assert waited[rule] >= PACE.repeat_s
                    waited[rule] = 0.0
                else:
                    assert believed.pop(rule).transition.finding.rule_id == rule
        for rule in set(believed) - {each.finding.rule_id for each in night.memory.told.values()}:
            del believed[rule]  # it ended under a silence
        if restarts:
            night.restart()


def orders_allow(orders: Orders, item: Item, now: float) -> bool:
    return orders.silence_of(item.transition.finding, now) is None


@pytest.mark.parametrize("broken", [{}, {"told": {}, "waiting": {}}, {"told": {"a": {}}, "waiting": {}, "groups": {}}])
def test_a_memory_of_another_kind_is_no_memory(broken: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError)):
        Memory.from_json(broken)


def test_a_transition_goes_through_json_and_back() -> None:
    transition = Transition(action="resolved", at=NOW, started=NOW - 5, finding=found("slo.latency.page"))
    assert Transition.from_json(json.loads(json.dumps(transition.to_json()))) == transition


@pytest.mark.parametrize("step_s", [-3600.0, 3600.0])
def test_after_the_clock_was_set_what_waits_has_waited_as_long_as_before(step_s: float) -> None:
    told = Told(started=NOW, at=NOW + 5, times=1, finding=found("r"))
    memory = Memory({"r": told}, {"waits": NOW + 1}, {"group": NOW + 2}).shifted(step_s)
    assert memory.told["r"] == dataclasses.replace(told, at=NOW + 5 + step_s)
    assert (memory.waiting, memory.groups) == ({"waits": NOW + 1 + step_s}, {"group": NOW + 2 + step_s})
