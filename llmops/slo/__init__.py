"""Arithmetic of objectives, error budgets and burn rates; numbers in, verdicts out."""

from llmops.slo.burn import BURN_ROWS, Burn, BurnRow, Guard, burn_rate, burns, window_name
from llmops.slo.objectives import Budget, Objective, Tally, budget, default_objectives
from llmops.slo.verdict import SloState, Verdict, judge, windows_needed

__all__ = [
    "BURN_ROWS",
    "Budget",
    "Burn",
    "BurnRow",
    "Guard",
    "Objective",
    "SloState",
    "Tally",
    "Verdict",
    "budget",
    "burn_rate",
    "burns",
    "default_objectives",
    "judge",
    "window_name",
    "windows_needed",
]
