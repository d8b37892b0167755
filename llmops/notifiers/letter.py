"""A notification at length, for channels that have room: all that a person asks first, a line for each."""

from __future__ import annotations

from collections.abc import Iterator

from llmops.alerts import Phrase, SloNumbers, say
from llmops.events.names import timestamp
from llmops.notifiers.notice import Notice
from llmops.notifiers.notification import Notification
from llmops.untrusted import safe_line, without_markup


def letter_of(notification: Notification) -> str:
    """Plain text; an empty line between two alerts."""
    return "\n\n".join(paragraph_of(notice) for notice in notification.notices) + "\n"


def paragraph_of(notice: Notice) -> str:
    """One alert. What is not known has no line."""
    lines = [notice.headline, notice.shown_reason, *(phrase.text(notice.language) for phrase in _facts(notice))]
    return "\n".join(safe_line(line) for line in lines if line)


def _facts(notice: Notice) -> Iterator[Phrase]:
    yield say("letter.since", since=timestamp(notice.since), duration_s=max(0.0, notice.at - notice.since))
    if notice.value is not None and notice.threshold is not None:
        yield say("letter.value", value=notice.value, threshold=notice.threshold)
    elif notice.value is not None:
        yield say("letter.value_alone", value=notice.value)
    if notice.slo is not None:
        yield from _budget(notice.slo)
    if notice.exemplars:
        yield say("letter.requests", requests=", ".join(notice.shown_exemplars))
    if notice.command:
        yield say("letter.command", command=notice.command)
    yield say("letter.runbook", runbook=notice.runbook)


def _budget(slo: SloNumbers) -> Iterator[Phrase]:
    yield say("letter.objective", name=without_markup(slo.name), percent=100 * slo.target, window=slo.window)
    if slo.budget_remaining is not None:
        yield say("letter.budget", remaining=slo.budget_remaining, bad=slo.bad, allowed=slo.allowed, total=slo.total)
    if slo.burn_long is not None and slo.burn_short is not None:
        yield say(
            "letter.burn",
            long=slo.burn_long,
            short=slo.burn_short,
            window_long=slo.window_long,
            window_short=slo.window_short,
        )
