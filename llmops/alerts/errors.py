"""What people can get wrong when they speak of alerts; each error is one sentence, or a few words of one."""

from __future__ import annotations


class BadMatcher(Exception):
    """A silence that would match nothing; the sentence says how to write one."""

    slug = "bad_matcher"


class BadOrders(Exception):
    """The file of silences and acknowledgements cannot be used; says why in a few words."""

    slug = "bad_orders"
