"""From numbers to a change worth telling: rules find, the lifecycle makes alerts of it, `telling` decides who hears.
No I/O."""

from llmops.alerts.lifecycle import AlertState, Transition, advance
from llmops.alerts.phrases import Phrase, as_is, say
from llmops.alerts.rules import Finding, SloNumbers
from llmops.alerts.telling import Item, Memory, Message, Pace, decide

__all__ = [
    "AlertState",
    "Finding",
    "Item",
    "Memory",
    "Message",
    "Pace",
    "Phrase",
    "SloNumbers",
    "Transition",
    "advance",
    "as_is",
    "decide",
    "say",
]
