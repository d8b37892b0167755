"""What a past would have told: in order, with its end, held while serve was down."""

from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from llmops.alerts import AlertState, Finding, Transition, advance, as_is
from llmops.alerts.backtest import Outage, fired, outages_of, replay
from llmops.alerts.evaluate import inhibit, slo_findings
from llmops.alerts.serving import Serving, serve_finding
from llmops.slo import BURN_ROWS, Guard, Objective, Tally, judge
from llmops.slo.windows import Ended, History
from tests.store.events import alert

NOW = 1_700_000_000.0
HOUR_S = 3600.0
AVAILABILITY = Objective(id="availability", measure="success", target=0.999, window_s=30 * 86400.0)
LATENCY = Objective(id="latency", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=3.0)
OBJECTIVES = (AVAILABILITY, LATENCY)


def steady(hours: float, *, failing: tuple[float, float]) -> list[Ended]:
    """One request every ten seconds; between the two hours every other one fails."""
    return [
        (NOW + n * 10.0, 1.0, None, n % 2 == 0 and failing[0] <= n / 360 < failing[1], None)
        for n in range(int(hours * 360))
    ]


def told(transitions: list[Transition]) -> list[tuple[str, str, float]]:
    return [(each.action, each.finding.rule_id, (each.at - NOW) / 60) for each in transitions]


def test_an_hour_of_failures_pages_until_its_short_windows_are_good_again() -> None:
    history = History(steady(6, failing=(2, 3)), OBJECTIVES)
    found = list(replay(history, Guard(), since=NOW, until=NOW + 6 * HOUR_S, step_s=60.0))
    pages = [each for each in told(found) if each[1] == "slo.availability.page"]
    assert [action for action, *_ in pages] == ["pending", "firing", "resolved"]
    assert 120 <= pages[1][2] < 125
    assert pages[2][2] > 180
    (page,) = [line for line in fired(found, history) if line.severity == "page"]
    assert page.objective is AVAILABILITY
    assert (page.since, page.until) == (NOW + pages[1][2] * 60, NOW + pages[2][2] * 60)
    assert page.row in BURN_ROWS[:2]
    assert page.requests == history.tally(AVAILABILITY, page.row.long_s, page.since)
    assert page.burn_long is not None
    assert page.burn_short is not None
    assert min(page.burn_long, page.burn_short) > page.row.threshold


def test_what_has_not_ended_goes_on() -> None:
    history = History(steady(3, failing=(2, 3)), OBJECTIVES)
    lines = fired(replay(history, Guard(), since=NOW, until=NOW + 3 * HOUR_S, step_s=60.0), history)
    assert [(line.severity, line.until) for line in lines] == [("ticket", None), ("page", None)]


def test_without_requests_nothing_begins_and_nothing_ends() -> None:
    assert list(replay(History([], OBJECTIVES), Guard(), since=NOW, until=NOW + 3600, step_s=60.0)) == []
    assert list(replay(History([], OBJECTIVES), Guard(), since=NOW, until=NOW - 3600, step_s=60.0)) == []
    history = History(steady(3, failing=(2, 3)), OBJECTIVES)
    found = list(replay(history, Guard(), since=NOW, until=NOW + 9 * 86400.0, step_s=3600.0))
    assert [each.action for each in found] == ["pending", "firing"] * 2


def test_objectives_are_held_while_serve_was_down() -> None:
    history = History(steady(6, failing=(2, 3)), OBJECTIVES)
    down = [Outage(NOW, NOW + 60.0), Outage(NOW + 1.9 * HOUR_S, NOW + 2.5 * HOUR_S)]
    found = replay(history, Guard(), since=NOW, until=NOW + 6 * HOUR_S, step_s=60.0, outages=down)
    assert told(list(found))[0] == ("pending", "slo.availability.page", 151.0)


def test_outages_are_read_from_alert_events() -> None:
    events = [
        alert(NOW, action="pending", rule_id="serve_down", start=NOW),
        alert(NOW + 3, action="inactive", rule_id="serve_down", start=NOW),
        alert(NOW + 10, action="pending", rule_id="serve_down", start=NOW + 10),
        alert(NOW + 15, action="firing", rule_id="serve_down", start=NOW + 10),
        alert(NOW + 16, action="notified", rule_id="serve_down", start=NOW + 10, channel="console"),
        alert(NOW + 20, action="resolved", rule_id="serve_down", start=NOW + 10),
        alert(NOW + 25, action="firing", rule_id="vram", start=NOW + 25),
        alert(NOW + 26, action="firing", rule_id="serve_down"),
        alert(NOW + 30, action="firing", rule_id="serve_down", start=NOW + 30),
    ]
    assert outages_of(reversed(events)) == [
        Outage(NOW, math.nextafter(NOW + 3, 0.0)),
        Outage(NOW + 10, NOW + 20),
        Outage(NOW + 30, math.inf),
    ]


def test_alerts_of_other_rules_are_no_lines() -> None:
    finding = Finding(rule_id="vram", name=as_is("m"), severity="ticket", active=True)
    transition = Transition(action="firing", at=NOW, started=NOW, finding=finding)
    assert fired([transition], History([], OBJECTIVES)) == []


@st.composite
def pasts(draw: st.DrawFn) -> list[Ended]:
    """Runs of requests of which a share fails or is slow, with silence between."""
    requests: list[Ended] = []
    at = NOW
    for _ in range(draw(st.integers(0, 4))):
        at += draw(st.sampled_from([0.0, 120.0, 1800.0, 20_000.0, 100_000.0]))
        gap_s = draw(st.sampled_from([5.0, 60.0, 600.0]))
        every, slow_every = draw(st.sampled_from([1, 2, 7, 1000])), draw(st.sampled_from([2, 7, 1000]))
        for number in range(draw(st.integers(1, 30))):
            at += gap_s
            requests.append((at, 5.0 if number % slow_every == 1 else 1.0, None, number % every == 0, None))
    return requests


@settings(deadline=None, max_examples=30)
@given(pasts(), st.lists(st.tuples(st.floats(0, 1e5), st.floats(0, 2e4)), max_size=3))
def test_it_is_what_judging_everything_at_every_step_would_find(
    requests: list[Ended], spans: list[tuple[float, float]]
) -> None:
    outages = [Outage(NOW + begin, NOW + begin + length) for begin, length in spans]
    until, step_s = (requests[-1][0] if requests else NOW) + 7200.0, 900.0
    states: dict[str, AlertState] = {}
    plain: list[Transition] = []
    now, number = NOW, 0
    while now < until:
        down = any(begin <= now <= end for begin, end in outages)
        findings = [serve_finding(Serving("unreachable" if down else "up"), down_for_s=1e9, is_firing=False)]
        for objective in OBJECTIVES:
            inside = {
                window: [each for each in requests if now - window <= each[0] <= now]
                for window in (300.0, 1800.0, 3600.0, 7200.0, 6 * 3600.0, 86400.0, 3 * 86400.0, 30 * 86400.0)
            }
            bad = 3 if objective is AVAILABILITY else 1
            tallies = {
                window: Tally(len(there), sum(bool(each[3]) if bad == 3 else each[1] > 3.0 for each in there))
                for window, there in inside.items()
            }
            findings += slo_findings(judge(objective, tallies, Guard()))
        states, changes = advance(states, inhibit(findings, states, behind=False), now)
        plain += [each for each in changes if each.finding.slo is not None]
        number += 1
        now = NOW + number * step_s
    history = History(requests, OBJECTIVES)
    assert list(replay(history, Guard(), since=NOW, until=until, step_s=step_s, outages=outages)) == plain
