"""How long an error budget lasts at the pace at which it is being spent."""

from __future__ import annotations


def exhausted_in_s(remaining: float | None, burn: float | None, window_s: float) -> float | None:
    """Seconds until a budget is spent of which the share `remaining` is left, when it burns at this rate.

    A burn of 1 spends a whole budget in one window. 0: it is spent already. None: nothing burns, or nothing is known.
    """
    if remaining is None:
        return None
    if remaining <= 0.0:
        return 0.0
    return remaining * window_s / burn if burn else None
