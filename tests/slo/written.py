"""Objectives as somebody may have written them."""

from __future__ import annotations

from hypothesis import strategies as st

from llmops.slo import Objective
from llmops.slo.objectives import LIMITED, Measure

ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True)
names = st.text(st.characters(exclude_categories=["C", "Z"], include_characters=" \"'\\"), max_size=40)
windows = st.integers(3 * 1440, 10**7).map(lambda minutes: minutes * 60.0)
measures: st.SearchStrategy[Measure] = st.sampled_from(["success", "duration", "ttft", "duration_for_length", "probe"])


@st.composite
def an_objective(draw: st.DrawFn) -> Objective:
    measure = draw(measures)
    return Objective(
        id=draw(ids),
        measure=measure,
        target=draw(st.floats(0.0, 1.0, exclude_min=True, exclude_max=True)),
        window_s=draw(windows),
        threshold_s=draw(st.floats(1e-9, 1e9)) if measure in LIMITED else None,
        name=draw(names),
    )


some_objectives = st.lists(an_objective(), min_size=1, max_size=4, unique_by=lambda one: one.id).map(tuple)
