"""From numbers to findings."""

from __future__ import annotations

import pytest

from llmops.alerts import Finding, advance
from llmops.alerts.evaluate import held_objectives, inhibit, is_firing, slo_findings, slo_rule_id
from llmops.alerts.serving import Serving, serve_finding
from llmops.slo import Guard, Objective, Tally, Verdict, judge, windows_needed

OBJECTIVE = Objective(
    id="latency", name="Fast", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=3.0
)
NOW = 1_700_000_000.0


def verdict(total: int, bad: int) -> Verdict:
    return judge(OBJECTIVE, {window: Tally(total, bad) for window in windows_needed(OBJECTIVE)}, Guard())


def test_a_fast_burn_is_a_page_and_holds_the_ticket() -> None:
    page, ticket = slo_findings(verdict(1000, 500), ["q1"])
    assert (page.active, page.severity, page.rule_id) == (True, "page", "slo.latency.page")
    assert page.exemplars == ("q1",)
    assert page.slo is not None
    assert (page.slo.total, page.slo.bad, page.slo.allowed) == (1000, 500, 10)
    assert str(page.reason).startswith(
        "500 of 10 failures of the last 30d used; the budget burns 50.0 times too fast over 6h"
    )
    assert str(page.reason).endswith("; the budget is spent")
    assert page.slo.exhausted_in_s == 0.0
    assert (ticket.active, ticket.exemplars) == (None, ())
    assert "a page for this objective is active" in str(ticket.reason)


def test_a_slow_burn_is_a_ticket() -> None:
    page, ticket = slo_findings(verdict(1000, 20), ["q1"])
    assert (page.active, page.exemplars, ticket.active) == (False, (), True)


@pytest.mark.parametrize(
    ("month", "said", "in_chinese"),
    [
        (10_000_000, "at this pace the budget is spent in 14 h", "照此速度，预算将在 14 小时后用尽"),
        (105_000, "at this pace the budget is spent in 41 min", "照此速度，预算将在 41 分钟后用尽"),
    ],
)
def test_a_burning_budget_is_told_with_the_time_that_is_left(month: int, said: str, in_chinese: str) -> None:
    windows = windows_needed(OBJECTIVE)
    tallies = {window: Tally(1000, 500) for window in windows} | {OBJECTIVE.window_s: Tally(month, 1000)}
    page = slo_findings(judge(OBJECTIVE, tallies, Guard()))[0]
    assert (str(page.reason).rpartition("; ")[2], page.reason.text("zh").rpartition("；")[2]) == (said, in_chinese)


def test_a_budget_that_lasts_for_days_is_told_in_days() -> None:
    tallies = {window: Tally(1000, 20) for window in windows_needed(OBJECTIVE)}
    ticket = slo_findings(judge(OBJECTIVE, tallies | {OBJECTIVE.window_s: Tally(1_000_000, 20)}, Guard()))[1]
    assert str(ticket.reason).endswith("; at this pace the budget is spent in 14 d")
    assert ticket.slo is not None
    assert ticket.slo.exhausted_in_s == pytest.approx(0.998 * 15 * 86400.0)


def test_without_requests_in_its_whole_window_nothing_is_said_of_the_time_that_is_left() -> None:
    tallies = {window: Tally(1000, 500) for window in windows_needed(OBJECTIVE)} | {OBJECTIVE.window_s: Tally(0, 0)}
    verdict = judge(OBJECTIVE, tallies, Guard())
    assert (verdict.exhausted_in_s, str(slo_findings(verdict)[0].reason)) == (None, "no requests to judge")


def test_calm_and_silence_say_so() -> None:
    assert str(slo_findings(verdict(1400, 3))[0].reason) == "3 of 14 failures of the last 30d used"
    silent = slo_findings(verdict(0, 0))[0]
    assert (silent.active, str(silent.reason)) == (None, "no requests to judge")


def down(active: bool) -> Finding:
    return serve_finding(Serving("unreachable" if active else "up"), down_for_s=5.0, is_firing=False)


def test_while_serve_is_down_objectives_stay_as_they_are() -> None:
    held = inhibit([down(True), *slo_findings(verdict(1000, 500))], {}, behind=False)
    assert [finding.active for finding in held] == [True, None, None]
    assert "serve is down" in str(held[1].reason)


def test_a_firing_serve_down_that_is_clearing_still_holds_the_objectives() -> None:
    states, _ = advance({}, [serve_finding(Serving("crashed"), down_for_s=5.0, is_firing=False)], NOW)
    assert is_firing(states, "serve_down")
    held = inhibit([down(False), *slo_findings(verdict(1000, 500))], states, behind=False)
    assert [finding.active for finding in held] == [False, None, None]


def test_while_the_journal_is_being_read_objectives_stay_as_they_are() -> None:
    findings = [down(False), *slo_findings(verdict(1000, 500))]
    assert [finding.active for finding in inhibit(findings, {}, behind=True)] == [False, None, None]
    assert inhibit(findings, {}, behind=False) == findings


def test_a_ticket_waits_until_the_page_of_its_objective_is_over() -> None:
    states, _ = advance({}, slo_findings(verdict(1000, 500)), NOW)
    calming = slo_findings(verdict(1000, 20))
    assert [finding.active for finding in calming] == [False, True]
    page, ticket = inhibit(calming, states, behind=False)
    assert (page.active, ticket.active) == (False, None)
    assert "a page for this objective is active" in str(ticket.reason)
    assert inhibit(calming, {}, behind=False) == calming


def test_a_look_that_could_not_count_holds_the_alerts_of_objectives_only() -> None:
    states, _ = advance({}, [down(True), *slo_findings(verdict(1000, 500))], NOW)
    assert slo_rule_id("latency", "page") == "slo.latency.page"
    (held,) = held_objectives(states)
    assert (held.rule_id, held.active) == ("slo.latency.page", None)
