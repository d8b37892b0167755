"""What can be wrong with a question about a model and a card: one sentence names the part and the fix."""

from __future__ import annotations

from collections.abc import Iterable


class BadFit(Exception):
    """`str(error)` is the sentence; `slug` says which part is wrong."""

    def __init__(self, slug: str, sentence: str) -> None:
        super().__init__(sentence)
        self.slug = slug


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that somebody may have meant."""
    import difflib  # only a question that was wrong pays for it

    spelled = {each.casefold(): each for each in known}
    found = difflib.get_close_matches(name.casefold(), spelled, n=1, cutoff=0.5)
    return spelled[found[0]] if found else None
