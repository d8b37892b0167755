"""The burn table against the SRE workbook's own examples, at each threshold, and with little traffic."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from llmops.slo import BURN_ROWS, BurnRow, Guard, Objective, Tally, Verdict, judge, windows_needed

AVAILABILITY = Objective(id="availability", measure="success", target=0.999, window_s=30 * 86400.0)
LATENCY = Objective(id="latency", measure="duration", target=0.99, window_s=30 * 86400.0, threshold_s=3.0)
MINUTE_S, HOUR_S, DAY_S = 60.0, 3600.0, 86400.0
IDS = [f"{row.severity}-{row.threshold:g}" for row in BURN_ROWS]


def verdict(steady: tuple[int, int], special: Mapping[float, tuple[int, int]], objective: Objective) -> Verdict:
    """`steady` in every window but the `special` ones."""
    tallies = {window: Tally(*special.get(window, steady)) for window in windows_needed(objective)}
    return judge(objective, tallies, Guard())


def outcome(found: Verdict) -> tuple[bool | None, bool | None]:
    return found.exceeded("page"), found.exceeded("ticket")


@pytest.mark.parametrize(
    ("bad_of_100_000", "long_s", "page", "ticket"),
    [
        (10_000, HOUR_S, True, False),  # 10 % errors: 100 times too fast
        (1_440, HOUR_S, False, False),  # 2 % of the budget in an hour is where a page begins
        (1_441, HOUR_S, True, False),
        (600, 6 * HOUR_S, False, False),  # 5 % in six hours
        (601, 6 * HOUR_S, True, False),
        (300, DAY_S, False, False),  # 10 % in a day
        (301, DAY_S, False, True),
        (100, 3 * DAY_S, False, False),  # 10 % in three days: as fast as the budget allows, and no faster
        (101, 3 * DAY_S, False, True),
    ],
)
def test_the_examples_of_the_workbook(bad_of_100_000: int, long_s: float, page: bool, ticket: bool) -> None:
    row = next(row for row in BURN_ROWS if row.long_s == long_s)
    burning = (100_000, bad_of_100_000)
    found = verdict((100_000, 0), {row.long_s: burning, row.short_s: burning}, AVAILABILITY)
    assert outcome(found) == (page, ticket)


@pytest.mark.parametrize("row", BURN_ROWS, ids=IDS)
@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["99.9", "99"])
def test_a_row_alerts_just_over_its_threshold_in_both_windows_and_not_at_it(row: BurnRow, objective: Objective) -> None:
    total = 1_000_000
    at = round(row.threshold * (1 - objective.target) * total)
    for long, short, expected in (
        (at - 1, at - 1, False),
        (at, at, False),
        (at + 1, at, False),
        (at, at + 1, False),
        (at + 1, at + 1, True),
        (total, 0, False),
        (total, total, True),
    ):
        found = verdict((total, 0), {row.long_s: (total, long), row.short_s: (total, short)}, objective)
        burn = next(each for each in found.burns if each.row is row)
        assert burn.exceeded is expected, (long, short)
        assert found.exceeded(row.severity) is expected


@pytest.mark.parametrize("row", BURN_ROWS, ids=IDS)
def test_a_short_window_that_is_good_again_ends_it_and_one_without_traffic_does_not(row: BurnRow) -> None:
    burning = {row.long_s: (1000, 900)}
    assert verdict((1000, 0), burning | {row.short_s: (10, 0)}, AVAILABILITY).exceeded(row.severity) is False
    assert verdict((1000, 0), burning | {row.short_s: (0, 0)}, AVAILABILITY).exceeded(row.severity) is None


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["99.9", "99"])
def test_one_failure_among_twenty_an_hour_is_a_ticket_at_most(objective: Objective) -> None:
    for failed_in_the_last_five_minutes in (0, 1):
        windows = {
            5 * MINUTE_S: (2, failed_in_the_last_five_minutes),
            30 * MINUTE_S: (10, 1),
            HOUR_S: (20, 1),
            2 * HOUR_S: (40, 1),
            6 * HOUR_S: (120, 1),
            DAY_S: (480, 1),
            3 * DAY_S: (1440, 1),
        }
        found = verdict((14_400, 1), windows, objective)
        assert found.exceeded("page") is False


@pytest.mark.parametrize("objective", [AVAILABILITY, LATENCY], ids=["99.9", "99"])
@pytest.mark.parametrize("bad", [3, 4])
def test_three_of_four_failing_in_five_minutes_is_a_page(objective: Objective, bad: int) -> None:
    quiet_day = {DAY_S: (40, bad), 3 * DAY_S: (120, bad)}
    found = verdict((4, bad), quiet_day | {objective.window_s: (1200, bad)}, objective)
    assert found.exceeded("page") is True
    busier_hour = {HOUR_S: (20, bad), 2 * HOUR_S: (40, bad), 6 * HOUR_S: (120, bad), 30 * MINUTE_S: (10, bad)}
    found = verdict((4, bad), busier_hour | quiet_day | {objective.window_s: (1200, bad)}, objective)
    assert found.exceeded("page") is True


@pytest.mark.parametrize(
    ("long", "short", "wakes"),
    [
        ((50, 3), (10, 1), True),
        ((49, 3), (10, 1), False),
        ((50, 2), (10, 1), False),
        ((49, 3), (6, 3), True),
        ((49, 3), (7, 3), False),
        ((49, 3), (1, 1), False),  # three in an hour, one of them just now and alone
        ((2, 2), (2, 2), False),
    ],
)
def test_a_page_takes_enough_requests_or_hardly_one_that_works(
    long: tuple[int, int], short: tuple[int, int], wakes: bool
) -> None:
    assert Guard().allows(Tally(*long), Tally(*short)) is wakes
    found = verdict((0, 0), {HOUR_S: long, 5 * MINUTE_S: short}, AVAILABILITY)
    burn = found.burns[0]
    assert (burn.exceeded, burn.severity) == (True, "page" if wakes else "ticket")
