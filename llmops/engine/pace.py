"""How many threads share a step on a CPU: as many as made steps of its size quickest lately.

Threads wait for each other some hundred times in a step. Where memory gives weights no quicker to two than to one, or
where another program takes a core, more of them make a step slower, up to ten times (docs/decisions/0005).
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

_TRIES = 3
"""Steps of one look at a number of threads; the first wakes threads and is not counted."""
_LOOK_EVERY = 64
_LOOK_AT_MOST_EVERY = 1024
_MUCH_WORSE = 1.5
_WORTH_A_THREAD = 0.98
"""More threads are taken for a gain of 2 % or more: a core that is left alone serves the clients."""
_WEIGHT = 0.25
_MOST_SURPRISE = 4.0
"""A step that took longer than so many usual ones counts as so many: it was interrupted."""


@dataclasses.dataclass(slots=True)
class _Size:
    """Steps of about so many rows. took_s: a moving mean for each number of threads that was tried.

    looking_at: another number than the best that is tried again, for `looks_left` steps; `left` until the next time.
    """

    took_s: dict[int, float] = dataclasses.field(default_factory=dict)
    looks: dict[int, int] = dataclasses.field(default_factory=dict)
    left: int = _LOOK_EVERY
    every: int = _LOOK_EVERY
    looking_at: int = 0
    looks_left: int = 0

    def look_at(self, threads: int) -> int:
        """Try this number for the next few steps."""
        self.looks[threads] = self.looks.get(threads, 0) + 1
        self.looking_at, self.looks_left = threads, _TRIES
        return threads

    def note(self, threads: int, took_s: float) -> None:
        """What a step took. A look goes by its quickest step: what was known before it is old."""
        known = self.took_s.get(threads)
        if self.looks_left:
            is_first = self.looks_left == _TRIES - 1
            self.took_s[threads] = took_s if known is None or is_first else min(known, took_s)
        elif known is not None:
            self.took_s[threads] = known + _WEIGHT * (min(took_s, _MOST_SURPRISE * known) - known)

    def best(self) -> int:
        """The quickest; of those that are nearly as quick the fewest."""
        fewest, *more = sorted(self.took_s)
        for threads in more:
            if self.took_s[threads] < _WORTH_A_THREAD * self.took_s[fewest]:
                fewest = threads
        return fewest


class Pace:
    """Lives on the thread that runs the steps: `begin` before each, `end` after it.

    most: threads that there are. change: called with a number of threads when it is another than before.
    """

    def __init__(
        self, most: int, change: Callable[[int], None], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._choices = _choices(most)
        self._change = change
        self._clock = clock
        self._sizes: dict[int, _Size] = {}
        self._size = _Size()
        self._began: float | None = None
        self._fresh = False
        self.threads = most

    def begin(self, rows: int) -> None:
        """A step of so many rows begins: 1 to the batch's tokens."""
        self._size = self._sizes.setdefault(rows.bit_length(), _Size())
        chosen = self._choose(self._size)
        self._fresh = chosen != self.threads
        if self._fresh:
            self.threads = chosen
            self._change(chosen)
        self._began = self._clock()

    def end(self) -> None:
        """It is over. Without a `begin` nothing happens."""
        if self._began is None:
            return
        took_s, self._began = self._clock() - self._began, None
        size = self._size
        if not self._fresh or size.looks_left == 1:
            size.note(self.threads, took_s)
        if size.looks_left:
            size.looks_left -= 1
            if not size.looks_left:
                self._looked(size)

    def _choose(self, size: _Size) -> int:
        if size.looks_left:
            return size.looking_at
        if not size.took_s:
            return size.look_at(self._choices[0])
        best = size.best()
        near = self._near(best)
        for choice in near:
            if choice not in size.took_s:
                return size.look_at(choice)
        size.left -= 1
        if size.left > 0 or not near:
            return best
        return size.look_at(min(near, key=size.looks.__getitem__))

    def _near(self, best: int) -> list[int]:
        """Twice and half as many: one far off may be so slow that a single look is too dear."""
        place = self._choices.index(best)
        return [self._choices[each] for each in (place - 1, place + 1) if 0 <= each < len(self._choices)]

    def _looked(self, size: _Size) -> None:
        is_much_worse = size.took_s[size.looking_at] > _MUCH_WORSE * size.took_s[size.best()]
        size.every = min(2 * size.every, _LOOK_AT_MOST_EVERY) if is_much_worse else _LOOK_EVERY
        size.left = size.every


def _choices(most: int) -> list[int]:
    """All, half of them, and so on to one."""
    choices = [most]
    while choices[-1] > 1:
        choices.append(choices[-1] // 2)
    return choices
