"""A histogram whose buckets grow by a constant factor: percentiles within 1 %, and the sum of two is one.

The shape is OpenTelemetry's exponential histogram (opentelemetry.io/docs/specs/otel/metrics/data-model): at scale `s`
the base is 2^(2^-s), bucket `i` holds the values in (base^i, base^(i+1)], and what is too small to tell from nothing is
counted as zero. At scale 6 a value and the middle of its bucket differ by at most 0.55 %.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections import defaultdict
from collections.abc import Iterable

SCALE = 6
"""2^(1/64) is 1.0109: half of that between a bucket's middle and its ends."""
RELATIVE_ERROR = (2.0 ** (2.0**-SCALE) - 1) / (2.0 ** (2.0**-SCALE) + 1)
"""0.0054, of any percentile against the nearest rank of the values themselves."""
ZERO_BELOW = 1e-9
"""A nanosecond: shorter durations are none."""
_LANES = "BHIQ"
_SPARSE = b"s"
_BYTES_OF_SPARSE = 12
_HEAD_BYTES = 14


class BadSketch(ValueError):
    """These bytes are no histogram that this program wrote."""


def bucket_of(value: float, scale: int = SCALE) -> int:
    """The bucket of a value over `ZERO_BELOW`; infinity has none."""
    return math.ceil(math.log2(value) * (1 << scale)) - 1


def middle_of(index: int, scale: int = SCALE) -> float:
    """The value whose relative distance to both ends of the bucket is the same."""
    low: float = 2.0 ** (index / (1 << scale))
    factor: float = 2.0 ** (1 / (1 << scale))
    return low * (2 * factor / (1 + factor))


class Sketch:
    """Counts by bucket. A negative duration counts as zero; what is no finite number is not taken."""

    __slots__ = ("buckets", "scale", "zeros")

    def __init__(self, values: Iterable[float] = (), *, scale: int = SCALE) -> None:
        self.scale = scale
        self.zeros = 0
        self.buckets: dict[int, int] = defaultdict(int)
        for value in values:
            self.add(value)

    def add(self, value: float) -> None:
        """Count one value, in seconds."""
        if ZERO_BELOW < value < math.inf:
            self.buckets[bucket_of(value, self.scale)] += 1
        elif value <= ZERO_BELOW:
            self.zeros += 1

    def merge(self, other: Sketch) -> None:
        """Count what the other counted. Of two scales the coarser one remains, as OpenTelemetry has it."""
        self._take(other.scale, other.zeros, other.buckets.items())

    def _take(self, scale: int, zeros: int, counts: Iterable[tuple[int, int]]) -> None:
        if scale < self.scale:
            fine, self.buckets = self.buckets, defaultdict(int)
            for index, count in fine.items():
                self.buckets[index >> (self.scale - scale)] += count
            self.scale = scale
        self.zeros += zeros
        buckets, shift = self.buckets, scale - self.scale
        for index, count in counts:
            if count:
                buckets[index >> shift] += count

    @property
    def count(self) -> int:
        """How many values."""
        return self.zeros + sum(self.buckets.values())

    def quantiles(self, *percents: int) -> list[float | None]:
        """About the nearest ranks of these percentages, in ascending order; None for an empty histogram."""
        total, seen, found = self.count, self.zeros, list[float | None]()
        ordered = iter(sorted(self.buckets.items()))
        value = 0.0
        for percent in percents:
            rank = max(1, -(-total * percent // 100))
            while seen < rank and (step := next(ordered, None)):
                value, seen = middle_of(step[0], self.scale), seen + step[1]
            found.append(value if total else None)
        return found

    def above(self, threshold: float) -> int:
        """How many values are larger; those within a bucket of the threshold count with the bucket's middle."""
        return sum(count for index, count in self.buckets.items() if middle_of(index, self.scale) > threshold)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sketch) and self._known() == other._known()

    __hash__ = None  # type: ignore[assignment]  # it changes

    def _known(self) -> tuple[int, int, dict[int, int]]:
        return self.scale, self.zeros, {index: count for index, count in self.buckets.items() if count}

    def __repr__(self) -> str:
        return f"Sketch(scale={self.scale}, zeros={self.zeros}, buckets={dict(sorted(self.buckets.items()))})"

    def to_bytes(self) -> bytes:
        """Lane width, scale, zeros, first bucket, then counts: of every bucket of the range, or index by index."""
        found = sorted((index, count) for index, count in self.buckets.items() if count)
        first, width = (found[0][0], found[-1][0] - found[0][0] + 1) if found else (0, 0)
        lane = _lane(max((count for _, count in found), default=0))
        head = bytes([self.scale]) + self.zeros.to_bytes(8, "little") + first.to_bytes(4, "little", signed=True)
        if width * array(lane).itemsize > _BYTES_OF_SPARSE * len(found):
            return (
                _SPARSE
                + head
                + b"".join(
                    index.to_bytes(4, "little", signed=True) + count.to_bytes(8, "little") for index, count in found
                )
            )
        counts = array(lane, bytes(width * array(lane).itemsize))
        for index, count in found:
            counts[index - first] = count
        return lane.encode() + head + _little(counts).tobytes()

    @classmethod
    def from_bytes(cls, written: bytes) -> Sketch:
        """As `to_bytes` wrote it. Raises BadSketch."""
        made = cls(scale=written[1] if len(written) > 1 else SCALE)
        made.merge_bytes(written)
        return made

    def merge_bytes(self, written: bytes) -> None:
        """`merge` of one that was written. Raises BadSketch."""
        lane, head, body = written[:1], written[1:_HEAD_BYTES], written[_HEAD_BYTES:]
        if len(head) < _HEAD_BYTES - 1 or lane not in (_SPARSE, *(each.encode() for each in _LANES)):
            raise BadSketch(f"{written[:20]!r} is no histogram")
        first = int.from_bytes(head[9:], "little", signed=True)
        try:
            counts = _sparse(body) if lane == _SPARSE else enumerate(_little(array(lane.decode(), body)), first)
        except ValueError:
            raise BadSketch(f"a histogram of {len(written)} bytes is cut off") from None
        self._take(head[0], int.from_bytes(head[1:9], "little"), counts)


def merged(parts: Iterable[bytes | None]) -> Sketch:
    """The sum of many written ones; None is an empty one."""
    whole = Sketch()
    for part in parts:
        if part:
            whole.merge_bytes(part)
    return whole


def _sparse(body: bytes) -> list[tuple[int, int]]:
    if len(body) % _BYTES_OF_SPARSE:
        raise ValueError
    return [
        (
            int.from_bytes(body[at : at + 4], "little", signed=True),
            int.from_bytes(body[at + 4 : at + _BYTES_OF_SPARSE], "little"),
        )
        for at in range(0, len(body), _BYTES_OF_SPARSE)
    ]


def _lane(largest: int) -> str:
    """The narrowest unsigned integer that holds this count."""
    return next(lane for lane in _LANES if largest < 1 << (8 * array(lane).itemsize))


def _little(counts: array[int]) -> array[int]:
    """Little endian in the file, whatever the machine."""
    if sys.byteorder == "big":
        counts.byteswap()
    return counts
