"""Objectives that no server of this speed meets: a default is silent with its reason, a promise alerts with it."""

from __future__ import annotations

import dataclasses

import pytest

from llmops.alerts.backtest import replay
from llmops.alerts.evaluate import slo_findings, unattainable_phrase
from llmops.events.speed import StreamSpeed
from llmops.slo import Guard, Length, Objective, Tally, Unattainable, Verdict, judge, unattainable, windows_needed
from llmops.slo.windows import History

NOW = 1_700_000_000.0
LATENCY = Objective(
    id="latency",
    measure="duration",
    target=0.99,
    window_s=30 * 86400.0,
    threshold_s=3.0,
    is_explicit=False,
    threshold_setting="latency_threshold_s",
)
PROMISE = dataclasses.replace(LATENCY, is_explicit=True, threshold_setting="")


USUAL = Length(0, 140)


def why(objective: Objective, length: Length | None = USUAL) -> Unattainable:
    found = unattainable(objective, StreamSpeed(14.0, 200.0), [] if length is None else [length] * 50, longest=512)
    assert found is not None
    return found


def verdict(objective: Objective, bad: int = 60) -> Verdict:
    return judge(objective, dict.fromkeys(windows_needed(objective), Tally(60, bad)), Guard(), why(objective))


def test_a_default_alerts_for_nothing_and_says_why_and_what_to_set() -> None:
    for finding in slo_findings(verdict(LATENCY)):
        assert (finding.active, finding.keep_s) == (False, 0.0)
        assert str(finding.reason) == (
            "not attainable here: 50 of the last 50 answers take longer than 3 s even alone (at 14 tokens/s, 140 "
            "tokens take 10.0 s), and 1 % may; set latency_threshold_s = 20 under [objectives] in llmops.toml; the "
            "objective speed judges each request by its length"
        )


def test_a_promise_pages_and_its_message_says_that_it_cannot_be_kept() -> None:
    page, _ = slo_findings(verdict(PROMISE))
    assert page.active is True
    assert "the budget is spent; not attainable here: 50 of the last 50" in str(page.reason)
    assert "set threshold_s = 20 for latency in the file of objectives" in str(page.reason)
    calm, _ = slo_findings(verdict(PROMISE, bad=0))
    assert str(calm.reason) == "0 of 0 failures of the last 30d used"


@pytest.mark.parametrize(
    ("objective", "length", "words"),
    [
        (
            LATENCY,
            None,
            (
                "an answer of 512 tokens, as is expected where a request names no length, takes 37 s",
                "512 个 token 的回答",
            ),
        ),
        (
            dataclasses.replace(LATENCY, id="ttft", measure="ttft", threshold_setting="ttft_threshold_s"),
            Length(4000, 9),
            ("50 of the last 50 prompts take longer than 3 s to read", "个提示中有 50 个即使单独运行"),
        ),
    ],
)
def test_each_reason_has_its_words_in_both_languages(
    objective: Objective, length: Length | None, words: tuple[str, str]
) -> None:
    found = judge(objective, dict.fromkeys(windows_needed(objective), Tally(0, 0)), Guard(), why(objective, length))
    phrase = unattainable_phrase(found)
    assert phrase is not None
    assert words[0] in phrase.text("en")
    assert words[1] in phrase.text("zh")


def test_a_past_is_judged_the_same_way() -> None:
    def told(objective: Objective) -> list[str]:
        history = History([(NOW + n * 10.0, 10.0, None, False, False) for n in range(60)], [objective])
        found = replay(
            history, Guard(), since=NOW, until=NOW + 600, step_s=60.0, unattainable={"latency": why(objective)}
        )
        return [each.action for each in found if each.finding.severity == "page"]

    assert told(LATENCY) == []
    assert told(PROMISE) == ["pending", "firing"]
