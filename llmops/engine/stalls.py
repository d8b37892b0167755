"""How long a step that reads a prompt may take before it counts as a stall."""

from __future__ import annotations

MARGIN = 3.0
"""A shared machine reads a prompt so many times slower than the one before, and nothing is wrong."""

LEAST_TOKENS = 32
"""A step of fewer tokens tells of the work around them."""


def patience_s(tokens: int, token_s: float) -> float:
    """Seconds beyond the setting, for so many tokens of a prompt; `token_s`: what each takes, 0 while not known."""
    return MARGIN * tokens * token_s
