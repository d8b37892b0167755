"""The demo, as far as it decides anything itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmops.demo import parse_duration
from llmops.settings import BadConfiguration
from tests.route.processes import Box


@pytest.mark.parametrize(("text", "seconds"), [("60", 60), ("90s", 90), ("1.5m", 90), ("1h", 3600)])
def test_a_duration_is_read_as_written(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "abc", "0s", "-5s", "5d", "s"])
def test_what_is_no_duration_is_one_sentence(text: str) -> None:
    with pytest.raises(BadConfiguration, match="give a duration such as 60s"):
        parse_duration(text)


@pytest.mark.route
def test_a_headless_demo_prints_what_happened_and_exits_0_when_all_is_well(tmp_path: Path) -> None:
    done = Box(tmp_path).call("demo", "--headless", "--for", "6s", "--engine", "echo", timeout_s=90)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("success", "P99", "slo latency", "slo availability", "all is well"):
        assert word in done.stdout
