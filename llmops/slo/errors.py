"""What can be wrong with objectives that somebody wrote: one sentence names the objective, the field and the fix."""

from __future__ import annotations


class BadObjectives(Exception):
    """A text or document that holds no usable objectives; `str(error)` is the sentence."""

    slug = "bad_objectives"
