"""How watch logs a part that failed: one sentence for what disk or record did, a traceback for what nobody expected."""

from __future__ import annotations

import logging

from llmops.store import StoreUnreadable


def log_failure(log: logging.Logger, what: str, error: Exception) -> None:
    """At level error."""
    if isinstance(error, StoreUnreadable | OSError):
        log.error("%s: %s", what, error)
    else:
        log.error("%s", what, exc_info=error)
