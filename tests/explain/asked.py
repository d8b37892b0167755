"""Requests and cards for the tests of explanations."""

from __future__ import annotations

import itertools
from typing import Any

from llmops.explain.contract import Asked, CardUse, Cause, Explanation

_numbers = itertools.count(1)
GIB = 1 << 30


def asked(times: int = 1, **fields: Any) -> list[Asked]:
    """So many requests of the same kind, a minute apart."""
    made = []
    for number in itertools.islice(_numbers, times):
        values: dict[str, Any] = {"at": 60.0 * number, "request_id": f"r{number}"}
        made.append(Asked(**(values | fields)))
    return made


def card(use: float, **fields: Any) -> CardUse:
    """One GPU."""
    values: dict[str, Any] = {"device_id": "GPU", "name": "card", "samples": 100, "use": use, "memory": 0.5}
    return CardUse(**(values | fields))


def causes(explanation: Explanation) -> dict[str, Cause]:
    """By name."""
    return {each.name: each for each in explanation.causes}


def dials(cause: Cause) -> set[str]:
    """What it says to turn."""
    return {each.dial for each in cause.turns}
