"""How many threads share a step on a CPU: as many as made steps of its size quickest lately.

Threads wait for each other some hundred times in a step. Where memory gives weights no quicker to two than to one, or
where another program takes a core, more of them make a step slower, up to ten times (docs/decisions/0005).
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Sequence

_TRIES = 4
"""Steps of one look at a number of threads; the first wakes threads and is not counted."""
_LOOK_EVERY, _LOOK_SOON = 72, 16
_LOOK_AT_MOST_EVERY = 1024
_MUCH_WORSE = 1.5
_WORTH_A_THREAD = 0.98
"""More threads are taken for a gain of 2 % or more: a core that is left alone serves the clients."""
_WEIGHT = 0.25
_LOOKS_WEIGHT = 0.35
_MOST_SURPRISE = 4.0
"""A step that took longer than so many usual ones counts as so many: it was interrupted."""
_TINY_S = 1e-9
_SLOWED, _IN_A_ROW = 1.7, 2
"""Two steps that take so many times as long as usual are reason for another look, at once and beside these alone."""


@dataclasses.dataclass(slots=True)
class _Size:
    """Steps of about so many rows. share: what steps take with each number of threads that was tried, over what they
    take with the one in use.

    Answers grow and machines slow down, so a time of some steps ago says nothing; a share is of steps around one look:
    some before it and as many after it with the number in use, and between them those of another number.
    looking_at: that other number, for `looks_left` steps; `after_left`: so many are still to come after it; `left`:
    until the next look. now_s: a moving mean; least_s: the least that it was since the last look.
    """

    using: int
    share: dict[int, float] = dataclasses.field(default_factory=dict)
    looks: dict[int, int] = dataclasses.field(default_factory=dict)
    left: int = _LOOK_EVERY
    every: int = _LOOK_EVERY
    looking_at: int = 0
    looks_left: int = 0
    after_left: int = 0
    hurries: bool = False
    beside: collections.deque[float] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=2 * _TRIES))
    looked: list[float] = dataclasses.field(default_factory=list)
    now_s: float = 0.0
    least_s: float = 0.0

    def look_at(self, threads: int) -> int:
        """Try this number for the next few steps."""
        self.looks[threads] = self.looks.get(threads, 0) + 1
        self.looking_at, self.looks_left, self.after_left = threads, _TRIES, 0 if self.hurries else _TRIES
        self.looked.clear()
        while len(self.beside) > (_IN_A_ROW if self.hurries else _TRIES):
            self.beside.popleft()
        return threads

    def note_look(self, took_s: float) -> None:
        """What a step of the look took."""
        if self.looks_left < _TRIES:
            self.looked.append(took_s)
        self.looks_left -= 1
        if not self.looks_left and not self.after_left:
            self._compare()

    def note(self, took_s: float) -> None:
        """What a step with the number in use took."""
        self.beside.append(took_s)
        if not self.now_s:
            self.now_s = self.least_s = took_s
        self.now_s += _WEIGHT * (min(took_s, _MOST_SURPRISE * self.now_s) - self.now_s)
        self.least_s = min(self.least_s, self.now_s)
        if self.after_left:
            self.after_left -= 1
            if not self.after_left:
                self._compare()
        elif min(list(self.beside)[-_IN_A_ROW:]) > _SLOWED * self.least_s and len(self.beside) > _IN_A_ROW:
            self.left, self.hurries = 0, True

    def _compare(self) -> None:
        """A look is over. One of several does not decide, unless it tells of another world."""
        found = max(_middle(self.looked), _TINY_S) / max(_middle(self.beside), _TINY_S)
        known = self.share.get(self.looking_at)
        if known is not None and max(known, found) < _MUCH_WORSE * min(known, found):
            found = known + _LOOKS_WEIGHT * (found - known)
        self.share[self.looking_at] = found
        if found > _MUCH_WORSE:
            self.every = min(2 * self.every, _LOOK_AT_MOST_EVERY)
        else:
            self.every = _LOOK_SOON if self.hurries else _LOOK_EVERY
        self.left, self.least_s, self.hurries = self.every, self.now_s, False
        self._use(self._best())

    def _best(self) -> int:
        """The quickest; of those that are nearly as quick the fewest."""
        share = {**self.share, self.using: 1.0}
        fewest, *more = sorted(share)
        for threads in more:
            if share[threads] < _WORTH_A_THREAD * share[fewest]:
                fewest = threads
        return fewest

    def _use(self, threads: int) -> None:
        if threads != self.using:
            share = {**self.share, self.using: 1.0}
            self.share = {each: share[each] / share[threads] for each in share if each != threads}
            self.using, self.now_s = threads, 0.0
            self.beside.clear()


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


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
        self._size = _Size(most)
        self._began: float | None = None
        self._fresh = False
        self.threads = most

    def begin(self, rows: int) -> None:
        """A step of so many rows begins: 1 to the batch's tokens."""
        self._size = self._sizes.setdefault(rows.bit_length(), _Size(self._choices[0]))
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
        if size.looks_left:
            size.note_look(took_s)
        elif not self._fresh:
            size.note(took_s)

    def _choose(self, size: _Size) -> int:
        if size.looks_left:
            return size.looking_at
        near = self._near(size.using)
        if size.after_left or not near or (len(size.beside) < _TRIES and not size.hurries):
            return size.using
        size.left -= 1
        untried = [choice for choice in near if choice not in size.share]
        if untried or size.left <= 0:
            return size.look_at(untried[0] if untried else min(near, key=lambda each: size.looks.get(each, 0)))
        return size.using

    def _near(self, threads: int) -> list[int]:
        """Twice and half as many: one far off may be so slow that a single look is too dear."""
        place = self._choices.index(threads)
        return [self._choices[each] for each in (place - 1, place + 1) if 0 <= each < len(self._choices)]


def _choices(most: int) -> list[int]:
    """All, half of them, and so on to one."""
    choices = [most]
    while choices[-1] > 1:
        choices.append(choices[-1] // 2)
    return choices
