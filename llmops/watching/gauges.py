"""The rules beside the objectives: looks at serve, cards, disk and shipper, each as often as it can change."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from llmops.alerts.channels import RULE_ID as CHANNEL_RULE_ID
from llmops.alerts.channels import channels_finding
from llmops.alerts.evaluate import is_firing
from llmops.alerts.gauges import (
    LAG,
    LAG_RULE_ID,
    QUEUE,
    QUEUE_RULE_ID,
    SKEW,
    SKEW_RULE_ID,
    Limits,
    gauge_finding,
    one,
)
from llmops.alerts.lifecycle import States
from llmops.alerts.rules import Finding, fingerprint_of
from llmops.alerts.threads import RULE_ID as THREAD_RULE_ID
from llmops.alerts.threads import threads_finding
from llmops.events.snapshot import ServeSnapshot
from llmops.store import StoreUnavailable
from llmops.watching.failures import log_failure

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one look of watch knows. `behind`: the record does not have all that was written; `monotonic_s`: seconds for
    what is measured from look to look, whatever becomes of the clock."""

    answer: ServeSnapshot | str
    states: States
    now: float
    monotonic_s: float | None = None
    behind: bool = False

    @property
    def snapshot(self) -> ServeSnapshot | None:
        """What serve said; None without an answer."""
        return None if isinstance(self.answer, str) else self.answer

    @property
    def steady_s(self) -> float:
        """Those seconds; where nobody counts them, the clock."""
        return self.now if self.monotonic_s is None else self.monotonic_s

    def is_firing(self, rule_id: str) -> bool:
        """The alert of this rule is firing."""
        return is_firing(self.states, rule_id)

    def gauge(self, rule_id: str, values: Mapping[str, float], limits: Limits) -> Finding:
        """The finding of a gauge, whose limit depends on whether it fires."""
        return gauge_finding(rule_id, values, limits, is_firing=self.is_firing(rule_id))


Rules: TypeAlias = Mapping[str, Callable[[Look], Finding]]
"""By rule id."""


class Seldom:
    """True at the first look, and then every so many seconds; a clock that was set back waits for nothing."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._at: float | None = None

    def is_due(self, now: float) -> bool:
        """It is time again; asking makes it the last time."""
        if self._at is not None and 0 <= now - self._at < self._every_s:
            return False
        self._at = now
        return True


class Gauges:
    """All of them at each look. Never raises: a rule that fails holds its own alert, and is told once until it
    works again."""

    def __init__(self, *parts: Rules) -> None:
        self._rules = {rule_id: rule for part in (serve_rules(), lag_rules(), *parts) for rule_id, rule in part.items()}
        self._failing: set[str] = set()

    def findings(self, look: Look) -> list[Finding]:
        """Of every rule that could be judged, and of the alerts of those that could not."""
        return [finding for rule_id in self._rules for finding in self._judge(rule_id, look)]

    def _judge(self, rule_id: str, look: Look) -> Iterable[Finding]:
        try:
            found = [self._rules[rule_id](look)]
        except StoreUnavailable:  # watch logs once that the record cannot be used
            return _held(rule_id, look.states)
        except Exception as error:
            if rule_id not in self._failing:
                self._failing.add(rule_id)
                log_failure(_log, f"the rule {rule_id} cannot be judged; its alert stays as it is", error)
            return _held(rule_id, look.states)
        self._failing.discard(rule_id)
        return found


def _held(rule_id: str, states: States) -> Sequence[Finding]:
    state = states.get(fingerprint_of(rule_id))
    return [] if state is None else [dataclasses.replace(state.finding, active=None)]


def serve_rules() -> Rules:
    """What its snapshot tells: the queue, and the time that it has."""

    def queue(look: Look) -> Finding:
        serve = look.snapshot
        share = serve.waiting / serve.waiting_capacity if serve is not None and serve.waiting_capacity else None
        return look.gauge(QUEUE_RULE_ID, one(share), QUEUE)

    def skew(look: Look) -> Finding:
        serve = look.snapshot
        return look.gauge(SKEW_RULE_ID, one(None if serve is None else abs(serve.at - look.now)), SKEW)

    return {QUEUE_RULE_ID: queue, SKEW_RULE_ID: skew}


def thread_rules(ended: Callable[[], Sequence[str]]) -> Rules:
    """Whether the background threads live; `ended`: the names of our own that do not."""
    return {THREAD_RULE_ID: lambda look: threads_finding(look.snapshot, ended())}


def channel_rules(channels: Callable[[], tuple[Mapping[str, str], bool]]) -> Rules:
    """Whether the channels deliver; `channels`: why those that fail do, and whether no delivery is under way."""
    return {CHANNEL_RULE_ID: lambda look: channels_finding(*channels())}


def lag_rules() -> Rules:
    """Seconds since all that was written had been read: nothing that is unread is older, but for what was there when
    watch began."""
    current_at: float | None = None

    def lag(look: Look) -> Finding:
        nonlocal current_at
        if not look.behind or current_at is None:
            current_at = look.steady_s
        current_at = min(current_at, look.steady_s)
        return look.gauge(LAG_RULE_ID, one(look.steady_s - current_at), LAG)

    return {LAG_RULE_ID: lag}
