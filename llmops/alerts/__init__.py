"""From numbers to a change worth telling: rules find, the lifecycle decides when it is an alert. No I/O."""

from llmops.alerts.lifecycle import AlertState, Transition, advance
from llmops.alerts.rules import Finding, SloNumbers

__all__ = ["AlertState", "Finding", "SloNumbers", "Transition", "advance"]
