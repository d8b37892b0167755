"""Joules per request: the power that the samples tell, shared at every moment by the requests alive then.

Between two samples of a device that are at most `LONGEST_GAP_S` apart, its energy is the difference of its energy
counter where both have one, else the mean of their powers times the time between them, spread evenly over that time.
With P(t) the power of all devices and n(t) the requests alive, a request that lives from a to b has used the integral
of P(t) / n(t) from a to b. What is used while nobody is alive is idle and nobody's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from llmops.events import Document, SampleEvent
from llmops.events.names import name_of, seconds_of
from llmops.store.contract import Questions

LONGEST_GAP_S = 10.0
"""Samples come every second; between two that are further apart nobody looked, and nothing is known."""
_DEVICE, _POWER, _COUNTER = (name_of(SampleEvent, name) for name in ("device_id", "power_w", "energy_j"))


class Stretch(NamedTuple):
    """Energy that one device used between two moments, evenly."""

    begin: float
    end: float
    joules: float


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What a span used, in joules: `total_j` is `idle_j` plus what the requests have, by `event.id`."""

    total_j: float
    idle_j: float
    by_request: Mapping[str, float]


def energy(questions: Questions, since: float, until: float) -> Energy | None:
    """What was used within the span, a request's part before or after it left out; None where no sample tells.

    For spans of up to a day: it reads every sample.
    """
    samples = questions.samples(since - LONGEST_GAP_S, until + LONGEST_GAP_S)
    used = [clipped for each in stretches(samples) if (clipped := _clip(each, since, until)).joules > 0.0]
    if not used:
        return None
    alive = questions.alive(since, until)
    shares, idle_j = shared([(max(row.started_at, since), min(row.at, until)) for row in alive], used)
    return Energy(
        total_j=sum(each.joules for each in used),
        idle_j=idle_j,
        by_request=dict(zip((row.event_id for row in alive), shares, strict=True)),
    )


def stretches(samples: Sequence[Document]) -> Iterator[Stretch]:
    """From samples, oldest first, to energy; pairs that tell nothing are left out."""
    by_device: dict[str, list[Document]] = {}
    for sample in samples:
        by_device.setdefault(str(sample.get(_DEVICE)), []).append(sample)
    for seen in by_device.values():
        for before, after in pairwise(seen):
            begin, end = seconds_of(before["@timestamp"]), seconds_of(after["@timestamp"])
            joules = _joules(before, after, end - begin)
            if joules is not None and 0.0 < end - begin <= LONGEST_GAP_S:
                yield Stretch(begin, end, joules)


def _joules(before: Document, after: Document, width_s: float) -> float | None:
    counted = _number(before, _COUNTER), _number(after, _COUNTER)
    if counted[0] is not None and counted[1] is not None and counted[1] >= counted[0]:
        return counted[1] - counted[0]
    power_w = _number(before, _POWER), _number(after, _POWER)
    return None if power_w[0] is None or power_w[1] is None else (power_w[0] + power_w[1]) / 2 * width_s


def _number(sample: Document, name: str) -> float | None:
    value = sample.get(name)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _clip(stretch: Stretch, since: float, until: float) -> Stretch:
    begin, end = max(stretch.begin, since), min(stretch.end, until)
    part = max(0.0, end - begin) / (stretch.end - stretch.begin)
    return Stretch(begin, end, stretch.joules * part)


def shared(lives: Sequence[tuple[float, float]], used: Sequence[Stretch]) -> tuple[list[float], float]:
    """What each of these lives had, and what nobody had, in joules.

    One sweep over all moments at which anything changes: `each_j` grows by power over the number alive, and what a life
    had is what it grew by between its beginning and its end.
    """
    changes: list[tuple[float, int, float, int]] = []  # when, what (0 power, 1 a birth, 2 a death), watts, which life
    for begin, end, joules in used:
        watts = joules / (end - begin)
        changes += [(begin, 0, watts, 0), (end, 0, -watts, 0)]
    for index, (begin, end) in enumerate(lives):
        changes += [(begin, 1, 0.0, index), (max(begin, end), 2, 0.0, index)]
    had = [0.0] * len(lives)
    watts, alive, each_j, idle_j, last = 0.0, 0, 0.0, 0.0, 0.0
    for moment, what, more, index in sorted(changes):
        if alive:
            each_j += watts * (moment - last) / alive
        else:
            idle_j += watts * (moment - last)
        last = moment
        if what == 0:
            watts += more
        else:
            alive += 1 if what == 1 else -1
            had[index] += -each_j if what == 1 else each_j
    return [max(0.0, joules) for joules in had], idle_j
