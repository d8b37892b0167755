"""Do the channels deliver? From the outcome of deliveries to the finding `channel_failed`."""

from __future__ import annotations

from collections.abc import Mapping

from llmops.alerts.phrases import say
from llmops.alerts.rules import Finding

RULE_ID = "channel_failed"


def channels_finding(failing: Mapping[str, str], is_idle: bool) -> Finding:
    """`failing`: why, of each channel that does not deliver; is_idle: False while a delivery may still fail."""
    failed = tuple(say("channel_failed.channel", channel=name, why=why) for name, why in sorted(failing.items()))
    return Finding(
        rule_id=RULE_ID,
        name=say(RULE_ID),
        severity="page",
        active=True if failed else False if is_idle else None,
        value=float(len(failed)),
        reason=say("several", parts=failed) if failed else say("channel_failed.calm"),
    )
