"""A line drawn with braille dots, two columns and four rows of them in each cell."""

from __future__ import annotations

from collections.abc import Sequence

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))  # Unicode braille: bit of (column, row from the top)
_BLANK = 0x2800


def braille(values: Sequence[float | None], rows: int, top: float) -> list[str]:
    """`rows` lines of text, one cell for two values, 0 at the bottom and `top` at the top; None leaves a gap."""
    cells = [[_BLANK] * ((len(values) + 1) // 2) for _ in range(rows)]
    highest = rows * 4 - 1
    before: int | None = None
    for column, value in enumerate(values):
        if value is None:
            before = None
            continue
        dot = highest - round(min(1.0, max(0.0, value / top)) * highest)
        for row in _connected(before, dot):
            cells[row // 4][column // 2] |= _DOTS[column % 2][row % 4]
        before = dot
    return ["".join(map(chr, line)) for line in cells]


def _connected(before: int | None, dot: int) -> range:
    """The dots of one column: down or up from the last value, so that a jump stays one line."""
    if before is None or abs(before - dot) <= 1:
        return range(dot, dot + 1)
    return range(dot, before) if dot < before else range(before + 1, dot + 1)


def nice_top(peak: float, floor: float = 1.0) -> float:
    """A round number at or above `peak`: 1, 2 or 5 times a power of ten."""
    top = 1e-3
    steps = (2.0, 2.5, 2.0)
    turn = 0
    while top < max(peak, floor) * (1 - 1e-9):
        top *= steps[turn % 3]
        turn += 1
    return top
