"""Three hundred clients at once against one real serve with a queue of a hundred."""

from __future__ import annotations

import collections
import json
import statistics
from pathlib import Path

import pytest

from benchmarks.flood import flood
from tests.route.processes import Box, until


@pytest.mark.route
def test_each_of_three_hundred_gets_one_answer_and_the_journal_adds_up(tmp_path: Path) -> None:
    box = Box(tmp_path, engine__echo_tokens_per_s=50, gpu__kind="none", admission__burst=1000)
    with box.program("serve"):
        box.until_ready()
        answers = flood(box.port, 300, "one two three four five")
        until(lambda: len(box.documents("llmops.request")) >= 300, 10)
    refused = [answer for answer in answers if answer.status == 503]
    assert collections.Counter(answer.status for answer in answers) == {200: 300 - len(refused), 503: len(refused)}
    assert len(refused) == 300 - 116, "16 run and 100 wait; a slot frees only after a tenth of a second"
    for answer in refused:
        assert json.loads(answer.body)["error"]["code"] == "queue_full"
        assert 1 <= int(answer.headers["retry-after"]) <= 120
    events = box.documents("llmops.request")
    assert len({event["event.id"] for event in events}) == len(events) == 300
    outcomes = collections.Counter((event["event.outcome"], event.get("error.type")) for event in events)
    assert outcomes == {("success", None): 116, ("failure", "queue_full"): 184}
    refusals = [event["gen_ai.server.request.duration"] for event in events if event.get("error.type")]
    assert statistics.median(refusals) < 0.05, "benchmarks/refusals.py measures the slowest"
