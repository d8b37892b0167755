"""Arithmetic of objectives, error budgets and burn rates; numbers in, verdicts out."""

from llmops.slo.attainability import Length, Unattainable, unattainable
from llmops.slo.burn import BURN_ROWS, KEEP_S, Burn, BurnRow, Guard, burn_rate, burns, window_name
from llmops.slo.errors import BadObjectives
from llmops.slo.exhaustion import exhausted_in_s
from llmops.slo.objectives import Budget, Measure, Objective, Tally, budget, default_objectives
from llmops.slo.openslo import objectives_of_openslo, to_openslo
from llmops.slo.toml import objectives_of_toml, to_toml
from llmops.slo.verdict import SloState, Verdict, judge, windows_needed

__all__ = [
    "BURN_ROWS",
    "KEEP_S",
    "BadObjectives",
    "Budget",
    "Burn",
    "BurnRow",
    "Guard",
    "Length",
    "Measure",
    "Objective",
    "SloState",
    "Tally",
    "Unattainable",
    "Verdict",
    "budget",
    "burn_rate",
    "burns",
    "default_objectives",
    "exhausted_in_s",
    "judge",
    "objectives_of_openslo",
    "objectives_of_toml",
    "to_openslo",
    "to_toml",
    "unattainable",
    "window_name",
    "windows_needed",
]
