"""Can an objective be met at all: what requests of the usual length take on a server of this speed."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import NamedTuple

from llmops.events.speed import StreamSpeed
from llmops.slo.objectives import Objective

ROOM = 2.0
"""A limit that can be kept leaves so many times the time that a request takes alone."""


class Length(NamedTuple):
    """Tokens of prompt and answer, and what the request took: alone it would have taken no longer than that."""

    input_tokens: int
    output_tokens: int
    took_s: float = math.inf
    first_token_s: float = math.inf


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Unattainable:
    """Of the last `requests` ones `too_long` take longer than the threshold though nothing is in their way.

    `requests` 0: none is recorded, and an answer as long as it may become without a limit in its request is looked at.
    `typical`: the length that the objective must leave room for; `takes_s`: what it takes alone. `per_s`: the tokens a
    second that decide it, of the answer, or of the prompt for first tokens. `suggested_s`: a threshold that can be
    kept.
    """

    requests: int
    too_long: int
    typical: Length
    takes_s: float
    per_s: float
    suggested_s: float

    @property
    def share(self) -> float:
        """Of the requests, those that cannot be good."""
        return self.too_long / self.requests if self.requests else 1.0


def unattainable(
    objective: Objective, speed: StreamSpeed, lengths: Sequence[Length], longest: int | None = None
) -> Unattainable | None:
    """Why it cannot be met; None where it can, or where too little is known.

    `lengths`: of recent requests. `longest`: tokens of an answer whose request names no limit, for a record that has
    no request yet.
    """
    limit_s = objective.threshold_s
    per_s = speed.input_tokens_per_s if objective.measure == "ttft" else speed.output_tokens_per_s
    looked_at = lengths or ([Length(0, longest)] if longest else [])
    if limit_s is None or per_s is None or not looked_at:
        return None
    ranked = sorted((_alone_s(objective, speed, each), each) for each in looked_at)
    too_long = sum(takes_s > limit_s for takes_s, _ in ranked)
    if too_long / len(ranked) <= 1.0 - objective.target:
        return None
    takes_s, typical = ranked[max(0, math.ceil(objective.target * len(ranked)) - 1)]
    return Unattainable(
        requests=len(lengths),
        too_long=too_long,
        typical=typical,
        takes_s=takes_s,
        per_s=per_s,
        suggested_s=_round_up(max(ROOM * takes_s, limit_s)),
    )


def _alone_s(objective: Objective, speed: StreamSpeed, length: Length) -> float:
    if objective.measure == "ttft":
        return min(speed.prompt_s(length.input_tokens), length.first_token_s)
    return min(speed.duration_s(length.input_tokens, length.output_tokens) or 0.0, length.took_s)


def _round_up(seconds: float) -> float:
    """To two digits: nobody writes 41.37 s."""
    unit = 10.0 ** (math.floor(math.log10(seconds)) - 1)
    return float(f"{math.ceil(seconds / unit - 1e-9) * unit:.2g}")
