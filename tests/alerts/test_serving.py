"""Is serve there? Crashes, restarts, silences."""

from __future__ import annotations

import dataclasses
from typing import Literal

from llmops.alerts import AlertState, advance
from llmops.alerts.evaluate import is_firing
from llmops.alerts.serving import observe, serve_finding
from llmops.events.snapshot import ModelSnapshot, ServeSnapshot, ServeState

NOW = 1_700_000_000.0


def snapshot(
    instance_id: str = "a",
    state: ServeState = "ready",
    previous_exit: Literal["none", "clean", "crash"] = "none",
) -> ServeSnapshot:
    return ServeSnapshot(
        schema_version="1",
        at=NOW,
        instance_id=instance_id,
        process_id=1,
        started_at=NOW,
        previous_exit=previous_exit,
        state=state,
        model=ModelSnapshot(id="m", version="1", engine="echo"),
        running=0,
        running_capacity=1,
        waiting=0,
        waiting_capacity=1,
        output_tokens_per_s=0.0,
        requests_by_outcome={},
        refusals_by_slug={},
    )


def live(answers: dict[int, ServeSnapshot | str], until: int) -> list[tuple[int, str]]:
    """Looks every second; `answers` holds from its second on."""
    states: dict[str, AlertState] = {}
    instance_id: str | None = None
    answer: ServeSnapshot | str = "silence"
    happened = []
    for second in range(until):
        answer = answers.get(second, answer)
        serving = observe(instance_id, answer)
        instance_id = serving.instance_id
        found = serve_finding(serving, down_for_s=5.0, is_firing=is_firing(states, "serve_down"))
        states, transitions = advance(states, [found], NOW + second)
        happened += [(second, str(transition.action)) for transition in transitions]
    return happened


def test_a_serve_that_was_never_seen_is_down_all_the_same() -> None:
    assert live({}, 10) == [(0, "pending"), (5, "firing")]


def test_a_killed_serve_is_told_in_time_and_its_return_after_five_good_seconds() -> None:
    assert live({0: snapshot(), 3: "nothing listens there", 20: snapshot("b", previous_exit="crash")}, 40) == [
        (3, "pending"),
        (8, "firing"),
        (26, "resolved"),
    ]


def test_a_crash_that_a_supervisor_mended_between_two_looks_is_told_at_once() -> None:
    assert live({0: snapshot(), 3: snapshot("b", previous_exit="crash")}, 20) == [
        (3, "pending"),
        (3, "firing"),
        (9, "resolved"),
    ]


def test_an_old_crash_is_no_news_to_a_watch_that_knew_no_instance_before() -> None:
    assert live({0: snapshot("b", previous_exit="crash")}, 9) == []


def test_a_clean_restart_between_two_looks_is_no_alert() -> None:
    answers: dict[int, ServeSnapshot | str] = {
        0: snapshot(),
        3: snapshot(state="draining"),
        13: snapshot("b", "starting", "clean"),
        30: snapshot("b", previous_exit="clean"),
    }
    assert live(answers, 40) == []


def test_a_short_silence_is_no_alert_that_people_hear_of() -> None:
    assert live({0: snapshot(), 3: "no answer in time", 6: snapshot()}, 20) == [(3, "pending"), (6, "inactive")]


def test_a_serve_that_starts_again_is_not_back_before_it_is_ready() -> None:
    answers: dict[int, ServeSnapshot | str] = {0: "gone", 8: snapshot("b", "starting"), 30: snapshot("b")}
    assert live(answers, 60) == [(0, "pending"), (5, "firing"), (35, "resolved")]


def test_an_engine_that_died_is_down_although_serve_answers() -> None:
    assert live({0: snapshot(), 2: snapshot(state="dead")}, 10) == [(2, "pending"), (7, "firing")]
    dead = serve_finding(observe("a", snapshot(state="dead")), down_for_s=5.0, is_firing=False)
    assert str(dead.reason) == "serve answers, but its engine is dead"


def test_a_degraded_serve_is_not_down() -> None:
    assert live({0: dataclasses.replace(snapshot(), state="degraded")}, 10) == []


def test_a_serve_that_crashes_again_and_again_is_one_alert() -> None:
    answers: dict[int, ServeSnapshot | str] = {0: snapshot()}
    answers |= {second: snapshot(str(second), previous_exit="crash") for second in (3, 6, 9, 12)}
    assert live(answers, 30) == [(3, "pending"), (3, "firing"), (18, "resolved")]
