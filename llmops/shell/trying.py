"""`llmops alerts test CHANNEL`: one message that says it is a test, so that nobody learns at night what fails."""

from __future__ import annotations

import sys
import time

from llmops.alerts import Finding, Item, Message, Transition, say
from llmops.notifiers import DeliveryFailed, Notifier, notification_of
from llmops.settings import Settings
from llmops.shell.tabular import print_json
from llmops.untrusted import spelled_out
from llmops.watching.channels import notifiers

RULE_ID = "test"


def run(settings: Settings, channel: str, *, as_json: bool) -> int:
    """Once, without another try; 0 delivered, 1 not, 2 when there is no such channel."""
    channels = {each.name: each for each in notifiers(settings)}
    if channel not in channels:
        known = ", ".join(channels)
        print(
            f"llmops alerts: no channel {spelled_out(channel)!r} is set up. There is {known}; docs/alerts.md has more.",
            file=sys.stderr,
        )
        return 2
    why = _deliver(settings, channels[channel])
    if as_json:
        print_json({"channel": channel, "delivered": why is None, "why": why})
    else:
        said = (
            f"{channel} did not take it: {spelled_out(why)}." if why else f"{channel} took it: look whether it arrived."
        )
        print(said, file=sys.stderr)
    return 1 if why else 0


def _deliver(settings: Settings, channel: Notifier) -> str | None:
    """What went wrong; None for nothing."""
    now = time.time()
    finding = Finding(rule_id=RULE_ID, name=say("test"), severity="ticket", active=True, reason=say("test.reason"))
    transition = Transition(action="firing", at=now, started=now, finding=finding)
    item = Item(action="firing", times=1, transition=transition)
    message = Message(group=RULE_ID, at=now, items=(item,))
    words = notification_of(message, state=str(settings.state.directory), language=settings.alerts.spoken)
    try:
        channel.deliver(words)
    except DeliveryFailed as error:
        return str(error)
    except Exception as error:  # whatever a channel's library raises
        return f"{type(error).__name__}: {error}"
    return None
