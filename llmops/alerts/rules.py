"""What a rule finds at one moment; whether that becomes an alert is for the lifecycle to say."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Severity: TypeAlias = Literal["page", "ticket"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SloNumbers:
    """The objective behind a finding, and the row of burn rates that speaks."""

    name: str
    target: float
    window: str
    total: int
    bad: int
    allowed: int
    budget_remaining: float | None
    burn_long: float | None
    burn_short: float | None
    window_long: str
    window_short: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One rule at one moment. `active` None: not known, and the alert stays as it is."""

    rule_id: str
    name: str
    severity: Severity
    active: bool | None
    value: float | None = None
    threshold: float | None = None
    reason: str = ""
    for_s: float = 0.0
    """It must be active this long before the alert fires."""
    keep_s: float = 0.0
    """It must be clear this long before the alert resolves."""
    exemplars: tuple[str, ...] = ()
    """Ids of requests that show it."""
    slo: SloNumbers | None = None

    @property
    def fingerprint(self) -> str:
        """The identity of the alert over all its lives."""
        return fingerprint_of(self.rule_id)

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, for keeping."""
        return dataclasses.asdict(self) | {"exemplars": list(self.exemplars)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Finding:
        """What `to_json` wrote; raises KeyError, TypeError or ValueError for anything else."""
        slo = value["slo"]
        return cls(
            **{**value, "exemplars": tuple(value["exemplars"]), "slo": SloNumbers(**slo) if slo is not None else None}
        )


def fingerprint_of(rule_id: str) -> str:
    """Sixteen hexadecimal digits, the same for ever."""
    return hashlib.sha256(rule_id.encode()).hexdigest()[:16]
