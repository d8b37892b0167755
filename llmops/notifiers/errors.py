"""How telling people fails."""

from __future__ import annotations


class DeliveryFailed(Exception):
    """A channel did not take a notice; `str(error)` says why and after how many tries."""

    slug = "delivery_failed"
