"""A few kills at random moments; `python -m benchmarks.killing` does fifty."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.route.kills import Killing


@pytest.mark.route
def test_whoever_is_killed_no_reader_sees_a_torn_line_and_store_and_journal_agree(tmp_path: Path) -> None:
    killing = Killing(tmp_path, random.Random(5))
    try:
        killing.begin()
        killed = {killing.kill() for _ in range(3)}
        verdict = killing.end()
    finally:
        killing.abandon()
    assert killed == {"serve", "watch"}
    assert verdict.torn == []
    assert verdict.holds, verdict
    assert verdict.unrecorded == 0, "an answer that a client has whole has its event"
