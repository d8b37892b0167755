"""Moments as people type them: `2026-01-31`, `2026-01-31T12:00Z`, `36h`, `7d`."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

from llmops.settings import BadConfiguration

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}


def moment_of(text: str | None, now: float | None = None) -> float:
    """Unix seconds; 0 for None. A date without a zone is UTC. Raises BadConfiguration."""
    if text is None:
        return 0.0
    if ago := re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd])", text):
        return (time.time() if now is None else now) - float(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        sentence = f"--since is {text!r}: give a moment such as 2026-01-31T12:00Z, or how long ago, such as 36h or 7d."
        raise BadConfiguration(sentence) from None
