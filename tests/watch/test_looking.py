"""Looks of a watch with a clock in the hand of the test."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmops.client import RequestRefused
from llmops.slo import Guard, Objective
from llmops.store import MemoryStore, Store, open_store
from llmops.watching.cards import memory_shares
from llmops.watching.judging import Judge
from tests.alerts.test_serving import snapshot
from tests.store.events import probe, request
from tests.watch.looks import FIRST_TOKEN, NOW, OBJECTIVES, Bench, with_memory


@pytest.fixture(params=["sqlite", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    store: Store = open_store(tmp_path / "s") if request.param == "sqlite" else MemoryStore()
    made = Bench(tmp_path / "journal", store)
    yield made
    made.close()


def actions(bench: Bench, count: int) -> list[tuple[str, str]]:
    """The transitions in the store, oldest first, once watch has read its own journal."""

    def is_indexed() -> bool:
        bench.watch._follower.follow()
        return len(found()) >= count

    def found() -> list[tuple[str, str]]:
        changes = (each for each in reversed(bench.store.alerts()) if "llmops.notification.channel" not in each)
        return [(each["event.action"], each["rule.id"]) for each in changes]

    bench.settle(is_indexed)
    return found()


def test_a_healthy_stack_is_silent(bench: Bench) -> None:
    bench.write([request(NOW - n) for n in range(200)])
    bench.looks(30)
    assert bench.told() == []
    assert bench.store.alerts() == []


def test_a_killed_serve_is_told_recorded_and_its_return_as_well(bench: Bench) -> None:
    bench.looks(3)
    bench.serve_is_gone()
    bench.looks(8)
    assert bench.told() == ["firing serve_down"]
    bench.answer = snapshot("b", previous_exit="crash")
    bench.looks(8)
    assert bench.told() == ["firing serve_down", "resolved serve_down"]
    assert actions(bench, 3) == [("pending", "serve_down"), ("firing", "serve_down"), ("resolved", "serve_down")]


def test_a_refusal_and_a_surprise_count_as_no_answer(bench: Bench) -> None:
    bench.answer = RequestRefused(404, "not_found", "another program")
    bench.looks(3)
    bench.answer = ZeroDivisionError()
    bench.looks(4)
    assert bench.told() == ["firing serve_down"]
    assert bench.notices[0].reason == "serve does not answer: ZeroDivisionError"


def test_a_restart_neither_tells_again_nor_forgets(bench: Bench) -> None:
    bench.serve_is_gone()
    bench.looks(8)
    bench.restart()
    bench.looks(20)
    assert bench.told() == ["firing serve_down"]
    bench.answer = snapshot()
    bench.looks(8)
    assert bench.told() == ["firing serve_down", "resolved serve_down"]


def test_a_crash_while_watch_was_restarted_is_still_told(bench: Bench) -> None:
    bench.looks(2)
    bench.restart()
    bench.answer = snapshot("b", previous_exit="crash")
    bench.looks(1)
    assert bench.told() == ["firing serve_down"]


def test_a_lost_store_is_rebuilt_with_its_alerts_from_the_journal(bench: Bench, tmp_path: Path) -> None:
    bench.serve_is_gone()
    bench.looks(8)
    actions(bench, 2)
    rebuilt = open_store(tmp_path / "rebuilt")
    bench.restart(rebuilt)
    bench.looks(8)
    assert bench.told() == ["firing serve_down"]
    bench.answer = snapshot()
    bench.looks(8)
    assert bench.told() == ["firing serve_down", "resolved serve_down"]
    rebuilt.close()


@pytest.mark.parametrize("saved", [[], {"x": {}}, {"x": {"finding": None}}, "text", 7])
def test_saved_alerts_that_cannot_be_used_are_replaced_by_the_record(
    bench: Bench, caplog: pytest.LogCaptureFixture, saved: Any
) -> None:
    bench.store.save_state("alerts", saved)
    bench.serve_is_gone()
    bench.looks(8)
    assert bench.told() == ["firing serve_down"]
    assert "cannot be used" in caplog.text


def test_failing_requests_are_a_page_with_exemplars_and_the_command_that_opens_them(bench: Bench) -> None:
    bench.write([request(NOW - 400 + n) for n in range(300)])
    bench.looks(2)
    bench.write([request(NOW, outcome="failure", error_type="oom", request_id=f"bad{n}") for n in range(60)])
    bench.looks(2)
    assert bench.told() == ["firing slo.availability.page"]
    heard = bench.notices[0]
    assert heard.exemplars == ("bad59", "bad58", "bad57")
    assert heard.command is not None
    assert "bad59" in heard.command
    assert heard.slo is not None
    assert (heard.slo.total, heard.slo.bad) == (360, 60)


def test_slow_requests_are_a_page_whose_exemplars_are_the_slowest(bench: Bench) -> None:
    bench.write([request(NOW, duration_s=3.5 + n, request_id=f"slow{n}") for n in range(60)])
    bench.write([request(NOW, outcome="failure", slo_eligible=False)])
    bench.looks(2)
    assert bench.told() == ["firing slo.latency.page"]
    assert bench.notices[0].exemplars == ("slow59", "slow58", "slow57")


def test_late_first_tokens_are_a_page_whose_exemplars_are_the_latest(bench: Bench) -> None:
    bench.watch._judge = Judge(bench.store, [*OBJECTIVES, FIRST_TOKEN], Guard())
    bench.write([request(NOW, duration_s=2.9, ttft_s=2.1 + n / 100, request_id=f"late{n}") for n in range(80)])
    bench.looks(2)
    assert bench.told() == ["firing slo.ttft.page"]
    assert bench.notices[0].exemplars == ("late79", "late78", "late77")
    assert bench.notices[0].reason.endswith("; the budget is spent")


def test_probes_that_fail_are_a_page_and_show_no_request(bench: Bench) -> None:
    canary = Objective(id="canary", measure="probe", target=0.99, window_s=3 * 86400.0)
    bench.watch._judge = Judge(bench.store, [canary], Guard())
    bench.write([probe(NOW - n, completed=0, failed=1) for n in range(60)])
    bench.looks(2)
    assert bench.told() == ["firing slo.canary.page"]
    assert bench.notices[0].exemplars == ()


def test_where_no_first_token_came_late_those_that_failed_before_one_are_shown(bench: Bench) -> None:
    bench.watch._judge = Judge(bench.store, [FIRST_TOKEN], Guard())
    bench.write([request(NOW, outcome="failure", request_id=f"failed{n}") for n in range(60)])
    bench.looks(2)
    assert len(bench.told()) == 1
    assert bench.notices[0].exemplars == ("failed59", "failed58", "failed57")


def test_refusals_synthetic_requests_and_departures_are_nobodys_fault(bench: Bench) -> None:
    refused = [request(NOW, outcome="failure", error_type="rate_limited", slo_eligible=False) for _ in range(100)]
    synthetic = [request(NOW, outcome="failure", synthetic=True, slo_eligible=False) for _ in range(100)]
    gone = [request(NOW, outcome="unknown", slo_eligible=False, duration_s=100.0) for _ in range(100)]
    bench.write(refused + synthetic + gone + [request(NOW) for _ in range(100)])
    bench.looks(20)
    assert bench.told() == []


def test_while_serve_is_down_nobody_hears_of_errors(bench: Bench) -> None:
    bench.serve_is_gone()
    bench.looks(1)
    bench.write([request(NOW, outcome="failure", error_type="engine_stopped") for _ in range(100)])
    bench.looks(20)
    assert bench.told() == ["firing serve_down"]


def test_a_full_card_is_told_after_two_minutes(bench: Bench) -> None:
    bench.answer = with_memory(0.85)
    bench.looks(119)
    assert bench.told() == []
    bench.looks(3)
    assert bench.told() == ["firing vram"]
    bench.answer = with_memory(0.77)
    bench.looks(400)
    assert bench.told() == ["firing vram"]
    bench.answer = with_memory(0.5)
    bench.looks(302)
    assert bench.told() == ["firing vram", "resolved vram"]


def test_only_gpus_that_tell_their_memory_count() -> None:
    assert memory_shares(with_memory(0.5)) == {"card": 0.5}
    assert memory_shares(snapshot()) == {}
    assert memory_shares("silence") == {}


def test_the_fuller_of_two_equal_cards_is_told_with_its_id() -> None:
    full, empty = with_memory(0.9).devices[0], dataclasses.replace(with_memory(0.1).devices[0], id="GPU-1")
    answer = dataclasses.replace(snapshot(), devices=(full, empty))
    assert memory_shares(answer) == {"card (GPU-0)": 0.9, "card (GPU-1)": 0.1}


def test_the_loop_goes_on_until_it_is_told_to_stop(bench: Bench) -> None:
    bench.write([request(NOW)])
    stop = threading.Event()
    thread = threading.Thread(target=bench.watch.run, args=(stop, 0.05))
    thread.start()
    bench.settle(lambda: bench.store.totals() == {"llmops.request": 1})
    stop.set()
    thread.join(5)
    assert not thread.is_alive()


def test_long_windows_are_not_counted_at_every_look(tmp_path: Path) -> None:
    class Counting(MemoryStore):
        asked = 0

        def counts(self, since: float, until: float, *, slow_s: float) -> Any:
            self.asked += 1
            return super().counts(since, until, slow_s=slow_s)

    store = Counting()
    bench = Bench(tmp_path / "journal", store)
    bench.looks(1)
    first, store.asked = store.asked, 0
    bench.looks(1)
    assert (first, store.asked) == (8, 3)
    store.asked = 0
    bench.looks(20)
    assert store.asked == 20 * 3 + 2 * 5
    bench.close()


def test_a_look_costs_milliseconds_with_a_day_of_requests(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    for start in range(0, 20_000, 5000):
        bench.store.record([request(NOW - (start + n) * 4.0) for n in range(5000)])
    bench.looks(1)
    began = time.perf_counter()
    bench.looks(20)
    assert (time.perf_counter() - began) / 20 < 0.05
    bench.close()
