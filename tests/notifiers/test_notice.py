"""What people are told, also when strangers chose the words."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.alerts.test_lifecycle import SLO
from tests.notifiers.notices import notice


def test_the_line_says_what_since_when_why_and_where_to_go_on() -> None:
    assert notice(exemplars=("q1", "q2")).line == (
        "PAGE firing: Fast. 3 of 14 failures used. Since 2023-11-14T22:13:20.000Z. "
        "Look at: grep -hF -e q1 -e q2 /var/lib/llmops/journal/*.jsonl. Runbook: docs/runbooks/slo.md"
    )


def test_the_body_has_every_key_always() -> None:
    full, bare = notice(slo=SLO, exemplars=("q",)).to_json(), notice().to_json()
    assert full.keys() == bare.keys()
    assert full["slo"]["budget_remaining"] == -2.0
    assert (full["duration_s"], full["value"], full["threshold"]) == (120.0, 20.0, 14.4)
    assert (bare["slo"], bare["exemplars"], bare["command"]) == (None, [], None)
    assert json.loads(json.dumps(full)) == full


@pytest.mark.parametrize("hostile", ["\x1b]0;title\x07", "a\nPAGE firing: forged", "\x9b2J", "\u202egnp", "\r\x00"])
def test_no_control_character_of_a_stranger_survives(hostile: str) -> None:
    told = notice(name=hostile, reason=hostile, exemplars=(hostile,))
    for text in (told.line, told.name, told.reason, told.exemplars[0], told.command or ""):
        assert all(character.isprintable() for character in text)


def test_an_id_of_a_stranger_cannot_run_anything_in_the_shell_of_the_reader(tmp_path: Path) -> None:
    told = notice(exemplars=("'; touch pwned; '", "$(touch pwned)", "-r --include=*"), journal=str(tmp_path))
    (tmp_path / "a.jsonl").write_text("nothing here\n$(touch pwned) is here\n")
    found = subprocess.run(told.command or "", shell=True, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "$(touch pwned) is here\n"
    assert not (tmp_path / "pwned").exists()


def test_an_endless_id_is_cut() -> None:
    assert len(notice(exemplars=("x" * 10_000,)).exemplars[0]) == 128
