"""What goes wrong with Elasticsearch: one sentence each, with the fix."""

from __future__ import annotations


class ElasticProblem(Exception):
    """The server cannot be used; `str(error)` is the sentence. `passing`: it may go away by itself, so wait."""

    def __init__(self, slug: str, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.slug = slug
        self.passing = passing


class AlreadyShipping(Exception):
    """Another shipper holds this state directory; the sentence says which process."""

    slug = "already_shipping"
