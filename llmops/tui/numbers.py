"""Numbers of fixed width, so that nothing jitters: `--` is missing, `~` an estimate."""

from __future__ import annotations

import math
import time

MISSING = "--"


def _known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def fixed(value: float | None, width: int, decimals: int = 0) -> str:
    """Right-aligned in `width`; a number that is too long loses its decimals, then gets a unit prefix."""
    if value is None or not _known(value):
        return MISSING.rjust(width)
    for digits in range(decimals, -1, -1):
        text = f"{value:.{digits}f}"
        if len(text) <= width:
            return text.rjust(width)
    for scale, suffix in ((1e3, "k"), (1e6, "M"), (1e9, "G")):
        text = f"{value / scale:.0f}{suffix}"
        if len(text) <= width:
            return text.rjust(width)
    return ">" * width


def milliseconds(seconds: float | None, width: int = 6) -> str:
    """Seconds shown in ms."""
    return fixed(None if seconds is None else seconds * 1000.0, width)


def percent(fraction: float | None, width: int = 4, decimals: int = 0) -> str:
    """A fraction shown in percent, without the sign."""
    return fixed(None if fraction is None else fraction * 100.0, width, decimals)


def gibibytes(count: float | None, width: int = 5) -> str:
    """Bytes shown in GiB, one decimal."""
    return fixed(None if count is None else count / 2**30, width, 1)


def clock(at: float) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(at))


def span(seconds: float) -> str:
    """A length of time in its two largest units: `3 d 4 h`, `5 min 2 s`."""
    whole = max(0, int(seconds))
    for size, unit, lower_size, lower in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // lower_size
            return f"{whole // size} {unit} {rest} {lower}" if rest else f"{whole // size} {unit}"
    return f"{whole} s"


def bar(fraction: float | None, width: int) -> str:
    """A horizontal bar in eighths of a cell."""
    if fraction is None or not math.isfinite(fraction):
        return "·" * width
    eighths = round(min(1.0, max(0.0, fraction)) * width * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + ("▏▎▍▌▋▊▉"[part - 1] if part else "")).ljust(width, "·")
