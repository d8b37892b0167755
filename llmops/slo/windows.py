"""A past in order, and how much of any window of it was bad: what replaying asks thousands of times."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from llmops.slo.objectives import Objective, Tally
from llmops.slo.verdict import windows_needed

Ended: TypeAlias = tuple[float, float, float | None, bool, bool | None]
"""An eligible request: when it ended (Unix seconds), how long it took, its time to first token, whether it failed, and
whether it took longer than the limit for its length (None: it has none)."""
Probed: TypeAlias = tuple[float, bool]
"""A probe of the canary: when, and whether it failed."""


class History:
    """Counts as the store counts. Requests and probes come in order of their end."""

    def __init__(
        self, requests: Iterable[Ended], objectives: Sequence[Objective], *, probes: Iterable[Probed] = ()
    ) -> None:
        self.objectives = tuple(objectives)
        self._all: dict[str, list[float]] = {"requests": [], "first tokens": [], "limited": [], "probes": []}
        self._bad: dict[str, list[float]] = {objective.id: [] for objective in self.objectives}
        self._windows = {objective.id: windows_needed(objective) for objective in self.objectives}
        self._take_requests(requests)
        self._take_probes(probes)

    def _take_requests(self, requests: Iterable[Ended]) -> None:
        ended, awaited, limited = (self._all[which] for which in ("requests", "first tokens", "limited"))
        judges = [(_bad_for(each), self._bad[each.id]) for each in self.objectives if each.measure != "probe"]
        for request in requests:
            at, _, ttft_s, failed, over_limit = request
            ended.append(at)
            if failed or ttft_s is not None:
                awaited.append(at)
            if over_limit is not None:
                limited.append(at)
            for is_bad, bad in judges:
                if is_bad(request):
                    bad.append(at)

    def _take_probes(self, probes: Iterable[Probed]) -> None:
        judges = [self._bad[each.id] for each in self.objectives if each.measure == "probe"]
        for at, failed in probes:
            self._all["probes"].append(at)
            for bad in judges:
                bad.extend([at] if failed else ())

    def tally(self, objective: Objective, window_s: float, now: float) -> Tally:
        """Of the last `window_s`; what ended at `now` belongs to it."""
        return self._tallies(objective, (window_s,), now)[window_s]

    def tallies(self, objective: Objective, now: float) -> dict[float, Tally]:
        """What `judge` asks for."""
        return self._tallies(objective, self._windows[objective.id], now)

    def _tallies(self, objective: Objective, windows: Sequence[float], now: float) -> dict[float, Tally]:
        judged, bad = self._all[_JUDGED.get(objective.measure, "requests")], self._bad[objective.id]
        end, bad_end = bisect_right(judged, now), bisect_right(bad, now)
        return {
            window_s: Tally(end - bisect_left(judged, now - window_s), bad_end - bisect_left(bad, now - window_s))
            for window_s in windows
        }


_JUDGED: Mapping[str, str] = {"ttft": "first tokens", "duration_for_length": "limited", "probe": "probes"}
"""What a measure judges, if not every eligible request: those that had a first token or failed before it; those with a
limit of their own; probes."""


def _bad_for(objective: Objective) -> Callable[[Ended], bool]:
    """As the store counts: slow ones whatever became of them, and first tokens that never came."""
    limit_s = objective.threshold_s or 0.0
    if objective.measure == "success":
        return lambda request: request[3]
    if objective.measure == "duration":
        return lambda request: request[1] > limit_s
    if objective.measure == "duration_for_length":
        return lambda request: request[4] is True
    return lambda request: request[3] if request[2] is None else request[2] > limit_s
