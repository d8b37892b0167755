"""The text of a mail: all that is known, in the reader's language."""

from __future__ import annotations

import pytest

from llmops.alerts import say
from llmops.notifiers.letter import letter_of
from tests.alerts.test_lifecycle import SLO
from tests.notifiers.notices import item, notification


def test_a_letter_has_a_line_for_each_thing_that_a_person_asks() -> None:
    assert letter_of(notification(item(slo=SLO, exemplars=("q1", "q2")))).splitlines() == [
        "PAGE firing: Fast",
        "3 of 14 failures used",
        "Since: 2023-11-14T22:13:20.000Z (120 s)",
        "Value: 20, threshold 14.4",
        f"Objective: {SLO.name}, {100 * SLO.target:g} % over {SLO.window}",
        f"Budget left: -200% ({SLO.bad} of {SLO.allowed} failures used, {SLO.total} requests)",
        f"Burn rate: {SLO.burn_long:.1f} over {SLO.window_long}, {SLO.burn_short:.1f} over {SLO.window_short}",
        "Requests: q1, q2",
        "Look at them: llmops requests show --state /var/lib/llmops -- q1; "
        "llmops requests show --state /var/lib/llmops -- q2",
        "Runbook: docs/runbooks/slo.md",
    ]


def test_what_is_not_known_has_no_line() -> None:
    bare = item(rule_id="serve_down", name="serve is down", reason="", value=None, threshold=None)
    assert letter_of(notification(bare)).splitlines() == [
        "PAGE firing: serve is down",
        "Since: 2023-11-14T22:13:20.000Z (120 s)",
        "Runbook: docs/runbooks/serve_down.md",
    ]
    assert "Value: 3\n" in letter_of(notification(item(value=3.0, threshold=None)))


def test_every_alert_of_a_group_has_a_paragraph_in_the_language_of_the_reader() -> None:
    both = notification(item(name=say("vram"), slo=SLO), item("resolved", exemplars=("q",)), language="zh")
    first, second = letter_of(both).split("\n\n")
    assert first.startswith("紧急 触发：显存即将用尽\n")
    assert "剩余错误预算：-200%" in first
    assert second.startswith("紧急 已恢复：Fast\n")
    assert "查看命令：llmops requests show --state /var/lib/llmops -- q\n" in second


@pytest.mark.parametrize("hostile", ["a\nSince: never", "\x1b[31m", "\r\n\r\n.\r\n", "\u2028x", "\ud800"])
def test_no_words_of_strangers_make_a_line_or_move_a_cursor(hostile: str) -> None:
    plain = len(letter_of(notification(item(exemplars=("q",)))).splitlines())
    text = letter_of(notification(item(name=hostile, reason=hostile, exemplars=(hostile,))))
    assert len(text.splitlines()) == plain
    assert text.replace("\n", "").isprintable()
    assert text.encode()
