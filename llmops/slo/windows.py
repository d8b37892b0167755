"""A past in order, and how many requests of any window of it were bad: what replaying asks thousands of times."""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from llmops.slo.objectives import Objective, Tally
from llmops.slo.verdict import windows_needed

Ended: TypeAlias = tuple[float, float, float | None, bool]
"""An eligible request: when it ended (Unix seconds), how long it took, its time to first token, whether it failed."""


class History:
    """Counts as the store counts, from sums that are made once. `requests` come in order of their end."""

    def __init__(self, requests: Iterable[Ended], objectives: Sequence[Objective]) -> None:
        self.objectives = tuple(objectives)
        self._moments = array("d")
        self._bad = [array("q", [0]) for _ in self.objectives]
        for request in requests:
            self._moments.append(request[0])
            for objective, bad in zip(self.objectives, self._bad, strict=True):
                bad.append(bad[-1] + is_bad(objective, request))
        self._windows = [windows_needed(objective) for objective in self.objectives]

    def __len__(self) -> int:
        """How many requests."""
        return len(self._moments)

    def tally(self, objective: Objective, window_s: float, now: float) -> Tally:
        """Requests that ended within the last `window_s`, and by `now`."""
        bad = self._bad[self.objectives.index(objective)]
        begin, end = self._place(now - window_s), self._end(now)
        return Tally(end - begin, bad[end] - bad[begin])

    def tallies(self, now: float) -> list[dict[float, Tally]]:
        """What `judge` asks for, of each objective."""
        end = self._end(now)
        lengths = {length for windows in self._windows for length in windows}
        begins = {length: self._place(now - length) for length in lengths}
        return [
            {length: Tally(end - begins[length], bad[end] - bad[begins[length]]) for length in windows}
            for windows, bad in zip(self._windows, self._bad, strict=True)
        ]

    def _place(self, since: float) -> int:
        return bisect.bisect_left(self._moments, since)

    def _end(self, now: float) -> int:
        return bisect.bisect_right(self._moments, now)


def is_bad(objective: Objective, request: Ended) -> bool:
    """As the store counts it: failed, or slower than the threshold whatever became of it."""
    _, duration_s, _, failed = request
    return failed if objective.measure == "success" else duration_s > (objective.threshold_s or 0.0)
