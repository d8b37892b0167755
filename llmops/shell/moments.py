"""Moments as people type them behind `--since`: `2026-01-31`, `2026-01-31T12:00Z`, `36h`, `7d`; and lengths of time."""

from __future__ import annotations

import time

from llmops.settings import BadConfiguration
from llmops.store.filtering import moment


def moment_of(text: str | None, now: float | None = None) -> float:
    """Unix seconds; 0 for None. Without a zone it is UTC. Raises BadConfiguration."""
    if text is None:
        return 0.0
    found = moment(text, time.time() if now is None else now)
    if found is None:
        sentence = f"--since is {text!r}: give a moment such as 2026-01-31T12:00Z, or how long ago, such as 36h or 7d."
        raise BadConfiguration(sentence)
    return found


def how_long(seconds: float) -> str:
    """In its two largest units: `3 d 4 h`, `5 min 2 s`."""
    whole = max(0, round(seconds))
    for size_s, unit, lower_s, lower in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size_s:
            rest = whole % size_s // lower_s
            return f"{whole // size_s} {unit} {rest} {lower}" if rest else f"{whole // size_s} {unit}"
    return f"{whole} s"
