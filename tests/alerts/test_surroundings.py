"""Disk, shipper, self-benchmark."""

from __future__ import annotations

import pytest

from llmops.alerts import AlertState, advance
from llmops.alerts.evaluate import is_firing
from llmops.alerts.inhibition import inhibitor
from llmops.alerts.rules import Severity
from llmops.alerts.surroundings import (
    DiskLimits,
    Run,
    Shipping,
    disk_finding,
    regression_finding,
    shipping_finding,
)

NOW = 1_700_000_000.0
GIB = 1 << 30
LIMITS = DiskLimits()


@pytest.mark.parametrize(
    ("free", "total", "severity", "is_firing", "active"),
    [
        (50 * GIB, 1000 * GIB, "ticket", False, False),
        (49 * GIB, 1000 * GIB, "ticket", False, True),
        (GIB - 1, 10 * GIB, "ticket", False, True),
        (GIB, 10 * GIB, "ticket", False, False),
        (79 * GIB, 1000 * GIB, "ticket", True, True),
        (80 * GIB, 1000 * GIB, "ticket", True, False),
        (2 * GIB - 1, 10 * GIB, "ticket", True, True),
        (2 * GIB, 10 * GIB, "ticket", True, False),
        (10 * GIB, 1000 * GIB, "page", False, False),
        (9 * GIB, 1000 * GIB, "page", False, True),
        (19 * GIB, 1000 * GIB, "page", True, True),
        (20 * GIB, 1000 * GIB, "page", True, False),
        (0, 0, "ticket", True, None),
        (0, 0, "page", False, None),
    ],
)
def test_a_disk_is_short_by_share_or_by_bytes_and_clears_later(
    free: int, total: int, severity: Severity, is_firing: bool, active: bool | None
) -> None:
    found = disk_finding(free, total, LIMITS, severity, is_firing=is_firing)
    assert (found.active, found.severity) == (active, severity)
    assert str(found.reason) != found.reason.text("zh")


def test_a_disk_that_fills_up_is_a_ticket_then_a_page_that_speaks_for_it() -> None:
    states: dict[str, AlertState] = {}
    happened = []
    for second in range(0, 2000, 10):
        free = (100 if second < 100 else 30 if second < 500 else 5 if second < 1000 else 300) * GIB
        severities: tuple[Severity, Severity] = ("page", "ticket")
        found = [
            disk_finding(free, 1000 * GIB, LIMITS, severity, is_firing=is_firing(states, rule_id))
            for severity, rule_id in zip(severities, ("disk_space.page", "disk_space"), strict=True)
        ]
        states, transitions = advance(states, found, NOW + second)
        happened += [(second, each.action, each.finding.rule_id) for each in transitions]
        if second == 900:
            (ticket,) = (each.finding for each in states.values() if each.finding.severity == "ticket")
            assert inhibitor(ticket, states) == "disk_space.page"
    assert happened == [
        (100, "pending", "disk_space"),
        (130, "firing", "disk_space"),
        (500, "pending", "disk_space.page"),
        (530, "firing", "disk_space.page"),
        (1300, "resolved", "disk_space.page"),
        (1300, "resolved", "disk_space"),
    ]


def shipping(state: str, problem: str | None = None, *, age_s: float = 1.0, has_shipped: bool = True) -> Shipping:
    return Shipping(at=NOW - age_s, state=state, problem=problem, has_shipped=has_shipped)


@pytest.mark.parametrize(
    "calm",
    [
        None,
        shipping("up to date"),
        shipping("shipping", age_s=299.0),
        shipping("stopped", age_s=1e7),
        shipping("stopped", "wrong password", has_shipped=False),
    ],
)
def test_a_shipper_that_works_ended_or_never_was_is_no_trouble(calm: Shipping | None) -> None:
    assert shipping_finding(calm, NOW).active is False


@pytest.mark.parametrize(
    ("bad", "reason", "for_s"),
    [
        (shipping("waiting", "no answer"), "events wait in the journal: no answer", 120.0),
        (shipping("waiting", has_shipped=False), "events wait in the journal: ", 120.0),
        (shipping("stopped", "wrong password", age_s=1e7), "llmops ship ended: wrong password", 120.0),
        (
            shipping("up to date", age_s=600.0),
            "llmops ship was running, and has told nothing for 10 minutes",
            30.0,
        ),
        (
            shipping("waiting", "x", age_s=300.0),
            "llmops ship was running, and has told nothing for 5 minutes",
            30.0,
        ),
    ],
)
def test_a_shipper_in_trouble_is_told_with_the_reason(bad: Shipping, reason: str, for_s: float) -> None:
    found = shipping_finding(bad, NOW)
    assert (found.active, str(found.reason), found.for_s) == (True, reason, for_s)


def test_a_server_that_is_busy_for_a_minute_is_no_news() -> None:
    states: dict[str, AlertState] = {}
    actions = []
    for second in range(200):
        state = "waiting" if second < 60 else "up to date"
        found = shipping_finding(Shipping(at=NOW + second, state=state, problem=None), NOW + second)
        states, transitions = advance(states, [found], NOW + second)
        actions += [each.action for each in transitions]
    assert actions == ["pending", "inactive"]


@pytest.mark.parametrize(
    ("run", "active", "reason"),
    [
        (None, None, "there was no self-benchmark yet"),
        (Run(is_regression=False), False, "the last run has nothing to compare with"),
        (Run(is_regression=False, throughput_pct=4.4), False, "output tokens per second +4 %"),
        (
            Run(is_regression=True, throughput_pct=-31.2, ttft_pct=70.0),
            True,
            "output tokens per second -31 %; time to first token +70 %",
        ),
        (Run(is_regression=True, ttft_pct=55.0), True, "time to first token +55 %"),
    ],
)
def test_a_regression_is_told_with_what_changed(run: Run | None, active: bool | None, reason: str) -> None:
    found = regression_finding(run)
    assert (found.active, str(found.reason), found.severity) == (active, reason, "ticket")
    assert found.reason.text("zh") != reason
