"""What people said about alerts: silences, which keep them quiet for a while, and acknowledgements of single ones."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from llmops.alerts.errors import BadMatcher, BadOrders
from llmops.alerts.rules import Finding

FIELDS = ("rule", "severity", "group", "slo")
"""What a matcher may look at."""
_LAST_MOMENT = 253_402_300_800.0
"""The end of the year 9999."""
KEPT_S = 7 * 86400.0
"""An expired silence stays in the file so long, for whoever asks why nothing was told."""


@dataclasses.dataclass(frozen=True, slots=True)
class Matcher:
    """`field=pattern`; `*` in the pattern stands for anything."""

    field: str
    pattern: str

    def __str__(self) -> str:
        return f"{self.field}={self.pattern}"

    def matches(self, finding: Finding) -> bool:
        """Case counts."""
        found = {"rule": finding.rule_id, "severity": finding.severity, "group": finding.group}
        found["slo"] = finding.slo.name if finding.slo else ""
        return fnmatch.fnmatchcase(found[self.field], self.pattern)


def matcher_of(text: str) -> Matcher:
    """`rule=vram`, `slo=latency`, `severity=ticket`, `group=gpu`. Raises BadMatcher with one sentence."""
    field, equals, pattern = (part.strip() for part in text.partition("="))
    if not equals or not pattern:
        raise BadMatcher(f"{text!r} is no matcher: write field=pattern, as in rule=vram or rule=slo.latency.*.")
    if field not in FIELDS:
        raise BadMatcher(f"{field!r} is nothing that alerts have: use {', '.join(FIELDS[:-1])} or {FIELDS[-1]}.")
    return Matcher(field, pattern)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """From `starts` until `ends` (Unix seconds) nothing is told of alerts that all `matchers` match."""

    id: str
    matchers: tuple[Matcher, ...]
    starts: float
    ends: float
    author: str
    comment: str

    def is_active(self, now: float) -> bool:
        """It counts now."""
        return self.starts <= now < self.ends

    def matches(self, finding: Finding) -> bool:
        """All matchers do."""
        return all(matcher.matches(finding) for matcher in self.matchers)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody is on it: this life of this alert is not told again, only its end."""

    fingerprint: str
    started: float
    at: float
    author: str
    comment: str


@dataclasses.dataclass(frozen=True, slots=True)
class Orders:
    """All of them."""

    silences: tuple[Silence, ...] = ()
    acknowledgements: tuple[Acknowledgement, ...] = ()

    def silence_of(self, finding: Finding, now: float) -> Silence | None:
        """The one that lasts longest of those that keep it quiet now."""
        active = [each for each in self.silences if each.is_active(now) and each.matches(finding)]
        return max(active, key=lambda each: each.ends, default=None)

    def acknowledgement_of(self, finding: Finding, started: float) -> Acknowledgement | None:
        """Of this life of this alert."""
        known = (each for each in self.acknowledgements if each.fingerprint == finding.fingerprint)
        return next((each for each in known if each.started == started), None)

    def with_silence(self, silence: Silence) -> tuple[Orders, Silence, bool]:
        """The orders with it, and what they hold now: one with the same matchers that overlaps is made longer instead
        (True)."""
        same = [each for each in self.silences if set(each.matchers) == set(silence.matchers)]
        for each in same:
            if each.starts <= silence.ends and silence.starts <= each.ends:
                longer = dataclasses.replace(
                    each,
                    starts=min(each.starts, silence.starts),
                    ends=max(each.ends, silence.ends),
                    author=silence.author,
                    comment=silence.comment or each.comment,
                )
                others = tuple(other for other in self.silences if other is not each)
                return dataclasses.replace(self, silences=(*others, longer)), longer, True
        return dataclasses.replace(self, silences=(*self.silences, silence)), silence, False

    def ended(self, silence_id: str, now: float) -> Orders:
        """The silence of this id ends now; one that has not begun is gone."""
        kept = (
            dataclasses.replace(each, ends=min(each.ends, now)) if each.id == silence_id else each
            for each in self.silences
        )
        return dataclasses.replace(self, silences=tuple(each for each in kept if each.starts < each.ends))

    def with_acknowledgement(self, acknowledgement: Acknowledgement) -> Orders:
        """The latest word on an alert is the one that counts."""
        others = (each for each in self.acknowledgements if each.fingerprint != acknowledgement.fingerprint)
        return dataclasses.replace(self, acknowledgements=(*others, acknowledgement))

    def without_old(self, now: float, firing: Iterable[str]) -> Orders:
        """What still says something: `firing` are the fingerprints of alerts that have not ended."""
        living = set(firing)
        return Orders(
            tuple(each for each in self.silences if now - each.ends < KEPT_S),
            tuple(each for each in self.acknowledgements if each.fingerprint in living),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        silences = [dataclasses.asdict(each) | {"matchers": list(map(str, each.matchers))} for each in self.silences]
        return {"silences": silences, "acknowledgements": list(map(dataclasses.asdict, self.acknowledgements))}

    @classmethod
    def from_json(cls, value: Any) -> Orders:
        """What `to_json` wrote. Raises BadOrders with a few words for anything else."""
        try:
            return cls(
                tuple(_silence(each) for each in value["silences"]),
                tuple(_acknowledgement(each) for each in value["acknowledgements"]),
            )
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError, BadMatcher) as error:
            raise BadOrders(f"it is not what llmops writes ({error})") from None


def _silence(value: Mapping[str, Any]) -> Silence:
    matchers: Sequence[str] = value["matchers"]
    if not matchers:
        raise ValueError("a silence without matchers")
    texts = {name: str(value[name]) for name in ("id", "author", "comment")}
    times = {name: _moment(value[name]) for name in ("starts", "ends")}
    return Silence(matchers=tuple(map(matcher_of, matchers)), **texts, **times)  # type: ignore[arg-type]


def _acknowledgement(value: Mapping[str, Any]) -> Acknowledgement:
    texts = {name: str(value[name]) for name in ("fingerprint", "author", "comment")}
    times = {name: _moment(value[name]) for name in ("started", "at")}
    return Acknowledgement(**texts, **times)  # type: ignore[arg-type]


def _moment(value: Any) -> float:
    """Unix seconds that a calendar has."""
    moment = float(value)
    if not 0 <= moment < _LAST_MOMENT:
        raise ValueError(f"{moment:g} is no time")
    return moment
