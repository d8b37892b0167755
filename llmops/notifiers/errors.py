"""How telling people fails."""

from __future__ import annotations


class DeliveryFailed(Exception):
    """A channel did not take a notification; `str(error)` says why, without a secret. `is_final`: it will not take it
    later either."""

    slug = "delivery_failed"

    def __init__(self, why: str, *, is_final: bool = False) -> None:
        super().__init__(why)
        self.is_final = is_final


class BadChannel(Exception):
    """A channel that cannot be opened as its dials are; one sentence, without a secret."""

    slug = "bad_channel"
