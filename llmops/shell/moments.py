"""Moments as people type them behind `--since`: `2026-01-31`, `2026-01-31T12:00Z`, `36h`, `7d`."""

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
