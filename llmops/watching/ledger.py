"""The ledger of the memory: whether a card holds more and more than its requests need."""

from __future__ import annotations

import contextlib

from llmops.alerts.gauges import LEAK, LEAK_RULE_ID, Limits, one
from llmops.alerts.rules import Finding
from llmops.store import Store
from llmops.watching.gauges import Look, Rules, Seldom
from llmops.watching.kept import KeptState

KEY = "alerts.ledger"
"""Of the kept state: the serve that was looked at, and the least that its card ever held beyond the prediction."""
EVERY_S = 15.0
AMONG = 200
"""So many of the newest requests are looked at."""
FEWEST = 20
"""Of fewer, the least is one of chance."""


class Ledger:
    """What torch held at most, less what arithmetic says, is the residual of a request. Memory that nobody gives back
    raises the least residual of the newest requests. What arithmetic gets wrong is in all of them alike."""

    def __init__(self, store: Store, limits: Limits = LEAK) -> None:
        self._store = store
        self._kept = KeptState(store, KEY)
        self._limits = limits
        self._when = Seldom(EVERY_S)
        self._growth: float | None = None
        self._floor: tuple[str, int] | None = None
        self._is_remembered = False

    @property
    def rules(self) -> Rules:
        """The one rule."""
        return {LEAK_RULE_ID: self._leak}

    def _leak(self, look: Look) -> Finding:
        serve = look.snapshot
        if serve is not None and self._when.is_due(look.now):
            self._growth = self._grown(serve.instance_id)
        return look.gauge(LEAK_RULE_ID, one(None if serve is None else self._growth), self._limits)

    def _grown(self, instance: str) -> float | None:
        """By which share of the predicted peak the least residual has grown: 0 until a new serve can be judged, and
        the last that was known while refusals leave too few requests to judge it by."""
        self._remember()
        if self._floor is not None and self._floor[0] != instance:
            self._floor = None
        peaks = [peak for peak in self._store.peaks(among=AMONG) if peak.instance == instance]
        if len(peaks) < FEWEST:
            return 0.0 if self._floor is None else self._growth
        now = min(peak.residual_bytes for peak in peaks)
        known = now if self._floor is None else min(now, self._floor[1])
        self._keep(instance, known)
        return (now - known) / max(1, peaks[0].predicted_bytes)

    def _remember(self) -> None:
        """What was known before a restart; what cannot be read back begins anew."""
        if not self._is_remembered:
            self._is_remembered = True
            with contextlib.suppress(Exception):  # a store that fails is told elsewhere
                kept = self._kept.load() or {}
                self._floor = str(kept["instance"]), int(kept["residual_bytes"])

    def _keep(self, instance: str, residual_bytes: int) -> None:
        self._floor = instance, residual_bytes
        with contextlib.suppress(Exception):  # a store that fails is told elsewhere, and this is tried at the next look
            self._kept.save({"instance": instance, "residual_bytes": residual_bytes})
