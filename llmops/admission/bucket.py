"""A bucket for each user: so much at once, so much a second after that; of requests, or of tokens."""

from __future__ import annotations

import collections

MAX_USERS = 10_000
"""Buckets kept; the one unused longest is forgotten, which can only be generous to it."""


class Buckets:
    """Lazy buckets: a bucket is its level and the moment it was last looked at.

    What a request costs may be known only afterwards: `spend` takes any amount, and gives back what is negative, so a
    level can fall below nothing; it then fills up first.
    """

    def __init__(self, *, rate_per_s: float, burst: float, max_users: int = MAX_USERS) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._max_users = max_users
        self._levels: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()

    def wait_s(self, user: str, now: float, amount: float = 1.0) -> float:
        """0.0 when the user may spend this much now, else seconds until then; what exceeds a full bucket needs one."""
        missing = min(amount, self._burst) - self._level(user, now)
        return missing / self._rate_per_s if missing > 0 else 0.0

    def spend(self, user: str, now: float, amount: float = 1.0) -> None:
        """Take this much; a negative amount gives it back, never beyond a full bucket."""
        self._levels[user] = (min(self._burst, self._level(user, now) - amount), now)
        self._levels.move_to_end(user)
        if len(self._levels) > self._max_users:
            self._levels.popitem(last=False)

    def _level(self, user: str, now: float) -> float:
        level, seen = self._levels.get(user, (self._burst, now))
        return min(self._burst, level + max(0.0, now - seen) * self._rate_per_s)
