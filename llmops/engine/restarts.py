"""When a dead engine may start again, and when it must give up."""

from __future__ import annotations

import dataclasses

LIMIT = 3
WINDOW_S = 300.0


@dataclasses.dataclass(slots=True)
class Restarts:
    """Remembers recent restarts: the wait grows with each; more than LIMIT within WINDOW_S is the end."""

    _at: list[float] = dataclasses.field(default_factory=list)

    def wait_s(self, now: float) -> float | None:
        """Seconds to wait before the next restart, which this call counts; None: give up."""
        self._at = [at for at in self._at if now - at < WINDOW_S]
        if len(self._at) >= LIMIT:
            return None
        self._at.append(now)
        return float(0.1 * 4 ** (len(self._at) - 1))
