"""Burn rates over two windows at once: how many times faster than allowed an error budget is being spent.

Source: Google, The Site Reliability Workbook, chapter 5 "Alerting on SLOs", section "Multiwindow, Multi-Burn-Rate
Alerts": with a 30-day budget, page when 2 % of it goes within 1 h or 5 % within 6 h, open a ticket when 10 % goes
within 1 d or 3 d. The short window, a twelfth of the long one, makes an alert end soon after its cause does.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Literal, TypeAlias

from llmops.slo.objectives import Tally

Severity: TypeAlias = Literal["page", "ticket"]

_MINUTE_S, _HOUR_S, _DAY_S = 60.0, 3600.0, 86400.0


@dataclasses.dataclass(frozen=True, slots=True)
class BurnRow:
    """Alert when the budget burns faster than `threshold` over the long and over the short window."""

    severity: Severity
    long_s: float
    short_s: float
    threshold: float


BURN_ROWS: tuple[BurnRow, ...] = (
    BurnRow("page", _HOUR_S, 5 * _MINUTE_S, 14.4),
    BurnRow("page", 6 * _HOUR_S, 30 * _MINUTE_S, 6.0),
    BurnRow("ticket", _DAY_S, 2 * _HOUR_S, 3.0),
    BurnRow("ticket", 3 * _DAY_S, 6 * _HOUR_S, 1.0),
)


KEEP_S = 300.0
"""As long as the shortest window: what comes back within it is the same trouble."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Guard:
    """Few requests make any failure a fast burn: a page takes `min_bad` bad ones, among at least `min_total` requests
    of the long window or as at least half of those of the short one. And they make a burn jump about its threshold: an
    alert goes on until it was under it for `keep_s`."""

    min_bad: int = 3
    min_total: int = 50
    keep_s: float = KEEP_S

    def allows(self, long: Tally, short: Tally) -> bool:
        """Enough happened to wake somebody up: many requests to judge by, or hardly one that works now."""
        is_enough = long.bad >= self.min_bad and long.total >= self.min_total
        return is_enough or (short.bad >= self.min_bad and 2 * short.bad >= short.total)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Burn:
    """One row judged. `exceeded` is None when the windows hold too little to say."""

    row: BurnRow
    long: float | None
    short: float | None
    exceeded: bool | None
    severity: Severity
    """The row's, or `ticket` for a page row with too little traffic."""


def burn_rate(tally: Tally, target: float) -> float | None:
    """1 spends the budget exactly by the end of the window; None without traffic."""
    return (tally.bad / tally.total) / (1.0 - target) if tally.total else None


def burns(tallies: Mapping[float, Tally], target: float, guard: Guard) -> tuple[Burn, ...]:
    """Every row of the table, in its order; `tallies` by window length in seconds."""
    return tuple(_judge_row(row, tallies, target, guard) for row in BURN_ROWS)


def _judge_row(row: BurnRow, tallies: Mapping[float, Tally], target: float, guard: Guard) -> Burn:
    whole, recent = tallies[row.long_s], tallies[row.short_s]
    long, short = burn_rate(whole, target), burn_rate(recent, target)
    is_page = row.severity == "page" and guard.allows(whole, recent)
    return Burn(
        row=row,
        long=long,
        short=short,
        exceeded=_both_exceed(long, short, row.threshold),
        severity="page" if is_page else "ticket",
    )


def _both_exceed(long: float | None, short: float | None, threshold: float) -> bool | None:
    """One window below the threshold settles it; a window without traffic leaves it open."""
    if (long is not None and long <= threshold) or (short is not None and short <= threshold):
        return False
    return None if long is None or short is None else True


@functools.lru_cache(maxsize=1024)
def window_name(window_s: float) -> str:
    """`5m`, `6h`, `30d`: the largest unit that divides it."""
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "m")):
        if window_s >= unit_s and window_s % unit_s == 0:
            return f"{window_s / unit_s:.0f}{unit}"
    return f"{window_s:g}s"
