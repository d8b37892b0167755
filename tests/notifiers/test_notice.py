"""What people are told, also when strangers chose the words."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from llmops.alerts import say
from tests.alerts.test_lifecycle import SLO
from tests.notifiers.notices import item, notice, notification


def test_the_line_says_what_since_when_why_and_where_to_go_on() -> None:
    assert notice(exemplars=("q1", "q2")).line == (
        "PAGE firing: Fast. 3 of 14 failures used. Since 2023-11-14T22:13:20.000Z. "
        "Look at: llmops requests show --state /var/lib/llmops -- q1; "
        "llmops requests show --state /var/lib/llmops -- q2. Runbook: docs/runbooks/slo.md"
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
    told = notice(exemplars=("'; touch pwned; '", "$(touch pwned)", "--help"), state=str(tmp_path / "a b"))
    ours = 'llmops() { printf "%s|" "$@"; echo; }; '
    said = subprocess.run(
        ["bash", "-c", ours + (told.command or "")], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines() == [
        f"requests|show|--state|{tmp_path}/a b|--|{identity}|"
        for identity in ("'; touch pwned; '", "$(touch pwned)", "--help")
    ]
    assert not (tmp_path / "pwned").exists()


def test_a_chinese_reader_gets_chinese(tmp_path: Path) -> None:
    told = notice(language="zh", name=say("vram"), reason=say("vram.above", device="卡", value=0.83, threshold=0.8))
    assert told.line.startswith("紧急 触发：显存即将用尽。卡 已用显存 83%（上限 80%）。开始于 2023-11-14")
    assert told.to_json()["name"] == "显存即将用尽"


def test_a_notification_has_the_worst_first_and_all_of_them() -> None:
    both = notification(item(), item("resolved", rule_id="slo.availability.ticket", severity="ticket"))
    assert both.title == "[llmops] PAGE firing: Fast (+1)"
    assert both.text.count("\n") == 1
    body = both.to_json()
    assert (body["action"], [each["action"] for each in body["alerts"]]) == ("firing", ["firing", "resolved"])
    assert (body["schema_version"], body["id"], body["group"]) == ("1", both.id, "slo")
    assert not both.is_over
    assert notification(item("resolved")).is_over


def test_a_repetition_has_an_identity_of_its_own() -> None:
    once, again = notification(item()), notification(item("repeat"))
    assert again.first.line.startswith("PAGE still firing: Fast")
    assert (once.id != again.id, once.first.event_id != again.first.event_id) == (True, True)
    assert once.first.fingerprint == again.first.fingerprint


def test_an_endless_id_is_cut() -> None:
    assert len(notice(exemplars=("x" * 10_000,)).exemplars[0]) == 128
