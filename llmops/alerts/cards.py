"""What goes wrong with a card: it is slowed down, its memory has errors, it falls silent, alone or with all others."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence

from llmops.alerts.gauges import Limits, gauge_finding
from llmops.alerts.phrases import say
from llmops.alerts.rules import Finding

THROTTLED_RULE_ID, ERRORS_RULE_ID = "gpu_throttled", "gpu_errors"
SILENT_RULE_ID, LOST_RULE_ID = "gpu_silent", "gpu_lost"
SLOWDOWNS = ("hw_slowdown", "hw_thermal", "hw_power_brake", "sw_thermal")
"""Reasons of a slower card that somebody must look at. A power cap kept by software is how many cards run all day."""
THROTTLED = Limits(fire=0.5, clear=0.1, for_s=300.0, keep_s=300.0)
"""Share of the samples of the last minute: a card that is slowed down on and off gives one alert."""
ERRORS_KEEP_S = 3600.0
"""So long without a further error, and it is over."""
SILENT_S = 60.0
SILENT_KEEP_S = 30.0


def throttled_finding(reasons: Mapping[str, Sequence[Collection[str]]], *, is_firing: bool) -> Finding:
    """`reasons`: of each card, those that each sample of the last minute had. The card that is slowed down most
    speaks."""
    slow = {name: [set(each) & set(SLOWDOWNS) for each in samples] for name, samples in reasons.items()}
    shares = {name: sum(map(bool, each)) / len(each) for name, each in slow.items() if each}
    found = gauge_finding(THROTTLED_RULE_ID, shares, THROTTLED, is_firing=is_firing)
    if not found.active:
        return found
    device = found.reason.values["device"]
    why = ", ".join(each for each in SLOWDOWNS if any(each in sample for sample in slow[device]))
    return dataclasses.replace(found, reason=say("gpu_throttled.above", device=device, value=found.value, why=why))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ErrorCount:
    """A counter of a card that only grows, until its driver is loaded anew or its sampler starts. `kind`: `ecc` or
    `xid`; each further kind needs the sentence `gpu_errors.<kind>`. `last`: which Xid it was."""

    device_id: str
    device: str
    kind: str
    count: int
    last: int | None = None

    @property
    def key(self) -> str:
        """Under which it is remembered."""
        return f"{self.kind}/{self.device_id}"


def errors_finding(known: Mapping[str, int], counts: Sequence[ErrorCount]) -> Finding:
    """Errors that nothing corrected, since the last look. `known`: the counts then; a card that was never seen has
    no new ones, whatever it counts."""
    new = {count: _increase(known.get(count.key), count.count) for count in counts}
    parts = [
        say(f"gpu_errors.{each.kind}", device=each.device, count=increase, last=each.last)
        for each, increase in new.items()
        if increase
    ]
    return Finding(
        rule_id=ERRORS_RULE_ID,
        name=say("gpu_errors"),
        severity="page",
        active=bool(parts) if counts else None,
        value=float(sum(new.values())) if counts else None,
        reason=say("several", parts=tuple(parts)) if parts else say("gpu_errors.calm"),
        keep_s=ERRORS_KEEP_S,
    )


def _increase(known: int | None, count: int) -> int:
    """A counter that is lower than before began anew."""
    if known is None:
        return 0
    return count - known if count >= known else count


def counted(known: Mapping[str, int], counts: Sequence[ErrorCount]) -> dict[str, int]:
    """The counts after this look. A card that cannot be read now may be read again."""
    return {**known, **{each.key: each.count for each in counts}}


def silent_finding(silent_s: float | None, limit_s: float = SILENT_S, *, is_expected: bool = True) -> Finding:
    """No sample of any card for so long; None: not known. Of a serve that has no card, none is expected.

    A machine that slept wakes with old samples: a sixth of the limit is left for a new one.
    """
    active = None if silent_s is None else is_expected and silent_s >= limit_s
    sentence = "unknown" if silent_s is None else "above" if active else "below"
    return Finding(
        rule_id=SILENT_RULE_ID,
        name=say("gpu_silent"),
        severity="ticket",
        active=active,
        value=silent_s if is_expected else None,
        threshold=limit_s,
        reason=say(f"gpu_silent.{sentence}", value=silent_s),
        for_s=limit_s / 6,
        keep_s=SILENT_KEEP_S,
    )


def lost_finding(lost: Sequence[str] | None, limit_s: float = SILENT_S) -> Finding:
    """Cards that fell silent while others go on, by name; None: not known, as where none of them says anything."""
    calm = say("gpu_lost.unknown" if lost is None else "gpu_lost.below")
    parts = tuple(say("gpu_lost.above", device=name, value=limit_s) for name in lost or ())
    return Finding(
        rule_id=LOST_RULE_ID,
        name=say("gpu_lost"),
        severity="ticket",
        active=None if lost is None else bool(lost),
        value=None if lost is None else float(len(lost)),
        threshold=1.0,
        reason=say("several", parts=parts) if parts else calm,
        keep_s=SILENT_KEEP_S,
    )
