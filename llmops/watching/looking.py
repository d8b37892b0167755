"""The loop of `watch`: follow the journals, look at serve, judge the objectives, tell what changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeAlias

from llmops.alerts import AlertState, advance
from llmops.alerts.evaluate import held_objectives, inhibit, is_firing, slo_findings
from llmops.alerts.lifecycle import shifted
from llmops.alerts.record import states_from, to_event
from llmops.alerts.rules import Finding
from llmops.alerts.serving import RULE_ID, observe, serve_finding
from llmops.client import RequestRefused, ServeUnreachable
from llmops.events import Bus
from llmops.events.snapshot import ServeSnapshot
from llmops.store import JournalFollower, Store, StoreUnavailable
from llmops.watching.clock import ClockSteps
from llmops.watching.failures import log_failure
from llmops.watching.gauges import Gauges, Look
from llmops.watching.judging import Judge
from llmops.watching.keeping import Keeper
from llmops.watching.recording import RecordKeeper
from llmops.watching.telling import Teller

Probe: TypeAlias = Callable[[], ServeSnapshot]
"""What serve says of itself; raises ServeUnreachable or RequestRefused."""

STATES, _INSTANCE = "alerts", "serve.instance"
_COMPLAIN_EVERY_S = 30.0
_log = logging.getLogger(__name__)


class Watch:
    """One look is `tick`; it never raises. A part that fails leaves the alerts that hang on it as they are."""

    def __init__(
        self,
        *,
        store: Store,
        follower: JournalFollower,
        bus: Bus,
        probe: Probe,
        judge: Judge,
        record: RecordKeeper,
        teller: Teller,
        gauges: Gauges,
        serve_down_for_s: float,
        serve_start_for_s: float = 0.0,
        keeper: Keeper | None = None,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._follower = follower
        self._bus = bus
        self._probe = probe
        self._judge = judge
        self._record = record
        self._teller = teller
        self._gauges = gauges
        self._serve_down_for_s = serve_down_for_s
        self._start_for_s = serve_start_for_s
        self._has_answered = False
        self._keeper = keeper
        self._clock = clock
        self._steps = ClockSteps(stopwatch)
        self._states: dict[str, AlertState] = {}
        self._is_restored = False
        self._saved: tuple[int, dict[str, AlertState], str | None] | None = None
        self._instance_id: str | None = None
        self._complained: dict[str, float] = {}

    def run(self, stop: threading.Event, interval_s: float) -> None:
        """Look every `interval_s` until told to stop; without a pause while the journal is still being read."""
        while not stop.is_set():
            began = time.monotonic()
            behind = self.tick()
            stop.wait(0.0 if behind else max(0.05, interval_s - (time.monotonic() - began)))

    def catch_up(self) -> None:
        """Take in what is written and not yet recorded, our own last events included; judges nothing."""
        while self._follow()[0]:
            pass

    def close(self) -> None:
        """Tell what can be told now; call it before the last `catch_up`."""
        self._teller.close(self._clock())

    def tick(self) -> bool:
        """One look. True when there is more of the journal to read at once."""
        behind, is_current = self._follow()
        try:
            if self._restore(is_current):
                self._judge_all(is_current)
        except Exception as error:
            self._complain("this look failed, the next one follows", error)
        self._keep(is_current)
        return behind

    def _keep(self, is_current: bool) -> None:
        """Let go of what is old, once everything that was written has been counted."""
        if self._keeper is None or not is_current:
            return
        try:
            self._keeper.keep(self._clock())
        except Exception as error:
            self._complain("what is old was not deleted from the record", error)

    def _follow(self) -> tuple[bool, bool]:
        """Whether there is more to read, and whether the store has everything up to now."""
        try:
            behind = self._follower.follow().behind
        except Exception as error:
            self._complain("the journal was not read into the store", error)
            return False, False
        return behind, not behind

    def _restore(self, is_current: bool) -> bool:
        """Alerts as they were before a restart: as saved, or as the record implies when that was lost.

        False: not known yet, so nothing is judged. A record that the disk keeps from us is not waited for: what must be
        told of that disk is told now, and the alerts from before are taken up later.
        """
        if self._is_restored:
            return True
        try:
            states = self._saved_states(is_current)
            instance_id = self._store.load_state(_INSTANCE)
            if states is None:
                return False
            self._teller.restore(states)
        except StoreUnavailable as error:
            self._complain("the alerts from before cannot be read, and are judged anew until they can", error)
            return True
        self._instance_id = self._instance_id or (instance_id if isinstance(instance_id, str) else None)
        begun = {name: state for name, state in self._states.items() if state.phase == "firing"}
        firing = {name: state for name, state in states.items() if state.phase == "firing"}
        self._states = {**self._states, **states, **begun, **firing}
        self._is_restored = True
        return True

    def _saved_states(self, is_current: bool) -> dict[str, AlertState] | None:
        """None while the journal, which implies them, is still being read."""
        saved = self._store.load_state(STATES)
        try:
            if saved is not None:
                return {name: AlertState.from_json(state) for name, state in saved.items()}
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            _log.warning("the saved alerts cannot be used (%r); the record tells which were active", error)
        return states_from(self._store.alerts(limit=1000)) if is_current else None

    def _judge_all(self, is_current: bool) -> None:
        answer = self._ask_serve()
        now = self._clock()
        monotonic_s = self._notice_step(now)
        states = self._states
        serving = observe(self._instance_id, answer)
        look = Look(answer=answer, states=states, now=now, monotonic_s=monotonic_s, behind=not is_current)
        findings = [
            serve_finding(serving, down_for_s=self._down_for_s(answer), is_firing=is_firing(states, RULE_ID)),
            *self._record.findings(answer, now),
            *self._gauges.findings(look),
            *self._objectives(states, now),
        ]
        behind = not is_current or not self._follower.is_current
        after, transitions = advance(states, inhibit(findings, states, behind=behind), now)
        self._states, self._instance_id = after, serving.instance_id
        for transition in transitions:
            self._bus.emit(to_event(transition))
        self._save()
        self._teller.tell(after, [each for each in transitions if each.action == "resolved"], now)

    def _down_for_s(self, answer: ServeSnapshot | str) -> float:
        """A serve that starts beside this watch loads its libraries first, on a slow machine for half a minute."""
        self._has_answered = self._has_answered or not isinstance(answer, str)
        return self._serve_down_for_s if self._has_answered else max(self._serve_down_for_s, self._start_for_s)

    def _notice_step(self, now: float) -> float:
        """Seconds of the stopwatch; a clock that was set neither hurries nor silences an alert that is under way."""
        monotonic_s, step_s = self._steps.look(now)
        if step_s:
            _log.warning("the clock was set by %+.0f s: alerts go on counting from where they were", step_s)
            self._states = shifted(self._states, step_s)
            self._teller.shift(step_s)
        return monotonic_s

    def _save(self) -> None:
        """What a restart must know: when it changes, and once more into a store that began anew. A store that fails
        must not keep people in the dark."""
        if not self._is_restored:
            return
        states = self._states
        try:
            known = (self._store.generation(), states, self._instance_id)
            if known != self._saved:
                self._store.save_state(STATES, {name: state.to_json() for name, state in states.items()})
                self._store.save_state(_INSTANCE, self._instance_id)
                self._saved = known
        except Exception as error:
            self._complain("the alerts were not kept", error)

    def _objectives(self, states: dict[str, AlertState], now: float) -> list[Finding]:
        try:
            findings = self._slo_findings(now)
            if any(finding.active and finding.fingerprint not in states for finding in findings):
                self._judge.forget()  # an alert begins: what people are told is counted now
                findings = self._slo_findings(now)
        except Exception as error:
            self._complain("the objectives could not be judged", error)
            return held_objectives(states)
        return findings

    def _slo_findings(self, now: float) -> list[Finding]:
        return [
            finding
            for verdict in self._judge.verdicts(now)
            for finding in slo_findings(verdict, self._judge.exemplars(verdict, now), keep_s=self._judge.guard.keep_s)
        ]

    def _ask_serve(self) -> ServeSnapshot | str:
        try:
            return self._probe()
        except ServeUnreachable as error:
            return error.reason
        except RequestRefused as error:
            return f"{error.status} {error.code}"
        except Exception as error:
            self._complain("looking at serve failed", error)
            return type(error).__name__

    def _complain(self, what: str, error: Exception) -> None:
        """Loudly, but of each thing at most every 30 s."""
        now = time.monotonic()
        if now - self._complained.get(what, -_COMPLAIN_EVERY_S) >= _COMPLAIN_EVERY_S:
            self._complained[what] = now
            log_failure(_log, what, error)
