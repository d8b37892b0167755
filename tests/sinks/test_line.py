from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.sinks.line import line_of

VALUES = st.one_of(
    st.text(), st.integers(), st.booleans(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.text())
)


@given(st.dictionaries(st.text(), VALUES))
def test_any_document_is_one_ascii_line_that_reads_back(document: dict[str, object]) -> None:
    line = line_of(document)
    assert line.endswith(b"\n") and line.count(b"\n") == 1 and line.isascii()
    assert json.loads(line) == document


def test_lone_surrogates_are_replaced_and_pairs_are_kept() -> None:
    line = line_of({"a": "x\ud800y", "b": ["🙂", "\udfff"], "c": "\\ud800"})
    assert json.loads(line) == {"a": "x\ufffdy", "b": ["🙂", "\ufffd"], "c": "\\ud800"}


@pytest.mark.parametrize("value", [math.nan, math.inf, object(), b"x"])
def test_what_json_cannot_say_is_an_error(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        line_of({"a": value})
