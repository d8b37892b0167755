"""How a step is computed on a CPU: in the way that made steps of its size quickest lately.

Threads wait for each other some hundred times in a step. Where memory gives weights no quicker to two than to one, or
another program takes a core, more of them make a step slower, up to ten times (docs/decisions/0005). The order of its
products may make it twice as slow, or as quick (docs/decisions/0017).
"""

from __future__ import annotations

import collections
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

_TRIES = 4
"""Steps of one look at a way; the first wakes threads and is not counted."""
_LOOK_EVERY, _LOOK_SOON = 72, 16
_LOOK_AT_MOST_EVERY = 1024
_MUCH_WORSE = 1.5
_WORTH_A_THREAD, _WORTH_AN_ORDER = 0.9, 0.98
"""More threads are taken for a gain of 10 % or more: a core that is left alone serves the event loop and clients."""
_WEIGHT = 0.25
_LOOKS_WEIGHT = 0.35
_MOST_SURPRISE = 4.0
"""A step that took longer than so many usual ones counts as so many: it was interrupted."""
_TINY_S = 1e-9
_SLOWED, _IN_A_ROW = 1.7, 2
"""Two steps that take so many times as long as usual are reason for another look, at once and beside these alone."""


class Way(NamedTuple):
    """How to compute a step: threads that share it, and the order of its products (`engine/cpu_linear.py`)."""

    threads: int
    weights_first: bool = False


@dataclasses.dataclass(slots=True)
class _Size:
    """Steps of about so many rows. share: what steps take in each way that was tried, over what they take in the one in
    use.

    Answers grow and machines slow down, so a time of some steps ago says nothing; a share is of steps around one look:
    some before it and as many after it in the way in use, and between them those of another.
    looking_at: that other way, for `looks_left` steps; `after_left`: so many are still to come after it; `left`:
    until the next look. now_s: a moving mean; least_s: the least that it was since the last look.
    """

    using: Way
    share: dict[Way, float] = dataclasses.field(default_factory=dict)
    looks: dict[Way, int] = dataclasses.field(default_factory=dict)
    left: int = _LOOK_EVERY
    every: int = _LOOK_EVERY
    looking_at: Way = Way(1)
    looks_left: int = 0
    after_left: int = 0
    hurries: bool = False
    beside: collections.deque[float] = dataclasses.field(default_factory=lambda: collections.deque(maxlen=2 * _TRIES))
    looked: list[float] = dataclasses.field(default_factory=list)
    now_s: float = 0.0
    least_s: float = 0.0

    def begin_with(self, way: Way) -> None:
        """Without having compared anything."""
        if way != self.using:
            self.using, self.now_s = way, 0.0
            self.beside.clear()

    def look_at(self, way: Way) -> Way:
        """Try this for the next few steps."""
        self.looks[way] = self.looks.get(way, 0) + 1
        self.looking_at, self.looks_left, self.after_left = way, _TRIES, 0 if self.hurries else _TRIES
        self.looked.clear()
        while len(self.beside) > (_IN_A_ROW if self.hurries else _TRIES):
            self.beside.popleft()
        return way

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

    def _best(self) -> Way:
        """The quickest; of those that are nearly as quick the one with fewest threads."""
        share = {**self.share, self.using: 1.0}
        best, *more = sorted(share)
        for way in more:
            worth = _WORTH_A_THREAD if way.threads > best.threads else _WORTH_AN_ORDER
            if share[way] < worth * share[best]:
                best = way
        return best

    def _use(self, way: Way) -> None:
        if way != self.using:
            share = {**self.share, self.using: 1.0}
            self.share = {each: share[each] / share[way] for each in share if each != way}
            self.using, self.now_s = way, 0.0
            self.beside.clear()

    def due(self, ways: Sequence[Way]) -> Way:
        """Which of these to look at next: one that was never tried, else seldom those that are slow."""
        untried = [way for way in ways if way not in self.share]
        return untried[0] if untried else min(ways, key=lambda way: self.looks.get(way, 0) * self.share[way] ** 2)


def _middle(values: Sequence[float]) -> float:
    return sorted(values)[len(values) // 2]


class Pace:
    """Lives on the thread that runs the steps: `begin` before each, `end` after it.

    threads: numbers of them to choose from, the most first, each about half of the one before. has_orders: products can
    be computed in either order. change: called with a way at once, and whenever it is another than before.
    """

    def __init__(
        self,
        threads: Sequence[int],
        change: Callable[[Way], None],
        *,
        has_orders: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._threads = tuple(threads)
        self._change = change
        self._has_orders = has_orders
        self._clock = clock
        self._sizes: dict[int, _Size] = {}
        self.way = Way(self._threads[0])
        self._size = _Size(self.way)
        self._rows = 1
        self._began: float | None = None
        self._fresh = False
        change(self.way)

    def begin(self, rows: int) -> None:
        """A step of so many rows begins: 1 to the batch's tokens."""
        self._rows = rows
        self._size = self._size_of(rows.bit_length())
        chosen = self._choose(self._size)
        self._fresh = chosen != self.way
        if self._fresh:
            self.way = chosen
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

    def _size_of(self, bits: int) -> _Size:
        """Until two ways were compared for it, a size is computed as the nearest for which they were.

        Some sizes come too seldom to learn soon."""
        size = self._sizes.setdefault(bits, _Size(Way(self._threads[0])))
        learned = [each for each in self._sizes if self._sizes[each].share]
        if not size.looks and learned:
            nearest = min(learned, key=lambda each: abs(each - bits))
            size.begin_with(Way(self._sizes[nearest].using.threads))
        return size

    def _choose(self, size: _Size) -> Way:
        if size.looks_left:
            return size.looking_at
        near = self._near(size.using)
        if size.after_left or not near or (len(size.beside) < _TRIES and not size.hurries):
            return size.using
        size.left -= 1
        if size.left <= 0 or not size.share.keys() >= set(near):
            return size.look_at(size.due(near))
        return size.using

    def _near(self, way: Way) -> list[Way]:
        """The other order, twice and half as many threads: what is far off may be so slow that one look is too dear."""
        place = self._threads.index(way.threads)
        beside = [self._threads[each] for each in (place - 1, place + 1) if 0 <= each < len(self._threads)]
        orders = [not way.weights_first] if self._has_orders and self._rows > 1 else []
        return [way._replace(weights_first=order) for order in orders] + [way._replace(threads=each) for each in beside]


def halves(most: int) -> list[int]:
    """All, half of them, and so on to one."""
    numbers = [most]
    while numbers[-1] > 1:
        numbers.append(numbers[-1] // 2)
    return numbers
