"""A token bucket for each user: so many requests at once, so many a second after that."""

from __future__ import annotations

import collections

MAX_USERS = 10_000
"""Buckets kept; the one unused longest is forgotten, which can only be generous to it."""


class Buckets:
    """Lazy token buckets: a bucket is its level and the moment it was last looked at."""

    def __init__(self, *, rate_per_s: float, burst: int, max_users: int = MAX_USERS) -> None:
        self._rate_per_s = rate_per_s
        self._burst = float(burst)
        self._max_users = max_users
        self._levels: collections.OrderedDict[str, tuple[float, float]] = collections.OrderedDict()

    def take(self, user: str, now: float) -> float:
        """Take one token from the user's bucket: 0.0 when there was one, else seconds until there is."""
        level, seen = self._levels.get(user, (self._burst, now))
        level = min(self._burst, level + max(0.0, now - seen) * self._rate_per_s)
        wait_s = 0.0 if level >= 1.0 else (1.0 - level) / self._rate_per_s
        self._levels[user] = (level - 1.0 if wait_s == 0.0 else level, now)
        self._levels.move_to_end(user)
        if len(self._levels) > self._max_users:
            self._levels.popitem(last=False)
        return wait_s
