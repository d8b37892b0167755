"""`llmops explain` over a real record."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from llmops.cli import app
from llmops.events import SampleEvent
from llmops.shell.explain import TOPICS
from llmops.store import open_store
from tests.store.events import document, request

HOSTILE = "\x1b[2J[bold]evil"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    now = time.time()
    store = open_store(tmp_path / "llmops.sqlite")
    loops = [request(now - 60 - n, temperature=0.0, loop_detected=True, request_id=f"{HOSTILE}{n}") for n in range(4)]
    well = [request(now - 90 - n, temperature=0.8, repetition_ratio=0.1) for n in range(8)]
    slow = [
        request(now - 120 - n, duration_s=9.0, queue_s=8.0, prefill_s=0.5, decode_s=0.5, ttft_s=8.5, batch_size=16)
        for n in range(3)
    ]
    oom = [
        request(now - 150, outcome="failure", error_type="oom", input_tokens=5),
        request(now - 5 * 86400, error_type="oom"),
    ]
    odd = [request(now - 30) | {"llmops.prefill.time": "soon", "llmops.output.repetition_ratio": {"a": 1}}]
    own = [request(now - 30, synthetic=True, duration_s=99.0)]
    cards = [
        document(
            SampleEvent(at=now - n, device_id=f"GPU-{at}", device_name="c", utilization=use, memory_utilization=use)
        )
        for n in range(1, 5)
        for at, use in enumerate((0.9, 0.0))
    ]
    store.record([*loops, *well, *slow, *oom, *odd, *own, *cards])
    store.close()
    return tmp_path


def told(state: Path, *arguments: str) -> dict[str, Any]:
    answer = CliRunner().invoke(app, ["explain", *arguments, "--json", "--state", str(state)])
    assert answer.exit_code == 0, answer.stderr
    read: dict[str, Any] = json.loads(answer.stdout)
    return read


def test_each_topic_is_read_out_of_the_record(state: Path) -> None:
    assert [each["name"] for each in told(state, "repetition")["causes"]] == ["temperature"]
    assert [each["name"] for each in told(state, "uneven-gpus")["causes"]] == ["model on one card"]
    assert told(state, "oom")["summary"].startswith("1 of 17")
    assert told(state, "oom", "--since", "7d")["summary"].startswith("2 of 18")
    slow = told(state, "slow")
    assert slow["summary"].startswith("3 of 16"), "synthetic requests are not users'"
    assert [each["name"] for each in slow["causes"]] == ["queue"]


def test_a_person_reads_it_and_no_id_moves_the_cursor(state: Path) -> None:
    answer = CliRunner().invoke(app, ["explain", "repetition", "--state", str(state)])
    assert answer.exit_code == 0
    assert "temperature (the record shows it)" in answer.stdout
    assert "temperature: 0.7 to 1.0" in answer.stdout
    assert "[bold]evil" in answer.stdout
    assert "\x1b" not in answer.stdout
    answer = CliRunner().invoke(app, ["explain", "oom", "--since", "1s", "--state", str(state)])
    assert "None of 0 requests failed with oom.\n\nWhat would show it:" in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["lag"], "lag is nothing that is explained: give one of oom, repetition, uneven-gpus, slow."),
        (["\x1b[2J"], "\\x1b[2J is nothing that is explained: give one of oom, repetition, uneven-gpus, slow."),
        (["oom", "--since", "soon"], "--since soon is no moment: write 2h, 7d, or 2026-01-31T12:00Z."),
        (
            ["oom", "--since", "2999-01-01"],
            "--since 2999-01-01 is not in the past: write 2h, 7d, or 2026-01-31T12:00Z.",
        ),
        (
            ["oom", "--since", "9" * 400 + "d"],
            f"--since {'9' * 400}d is no moment: write 2h, 7d, or 2026-01-31T12:00Z.",
        ),
    ],
)
def test_bad_input_is_one_sentence(state: Path, arguments: list[str], complaint: str) -> None:
    answer = CliRunner().invoke(app, ["explain", *arguments, "--state", str(state)])
    assert (answer.exit_code, answer.stderr) == (2, f"llmops explain: {complaint}\n")


def test_without_a_record_it_says_so(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["explain", "slow", "--state", str(tmp_path)])
    assert answer.exit_code == 2
    assert "There is no record at" in answer.stderr


def test_the_page_names_every_topic() -> None:
    page = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert not [topic for topic in TOPICS if f"| `{topic}` |" not in page]
