from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from llmops.client import ServeUnreachable
from llmops.events.snapshot import ServeSnapshot
from llmops.overview import Overview, exit_code, look, to_json
from llmops.settings import ObjectiveSettings
from llmops.shell.status import as_table
from llmops.store.contract import Store
from llmops.store.memory import MemoryStore
from tests.store.events import probe
from tests.tui.worlds import NOW, alert_document, request_document, sample_document, snapshot

OBJECTIVES = ObjectiveSettings()


def away(url: str, timeout_s: float) -> ServeSnapshot:
    raise ServeUnreachable(url, "nothing listens there")


def here(url: str, timeout_s: float) -> ServeSnapshot:
    return snapshot()


def seen(store: Store | None, *, serve: bool = True, now: float = NOW, previous: Overview | None = None) -> Overview:
    fetch = here if serve else away
    return look(store, "http://there", now, objectives=OBJECTIVES, fetch=fetch, previous=previous)


def busy_store() -> MemoryStore:
    store = MemoryStore()
    store.record([request_document(NOW - 10 - i, duration_s=0.5, ttft_s=0.1, slo_eligible=True) for i in range(100)])
    store.record([sample_document(NOW - 1)])
    return store


def test_a_serve_that_answers_over_a_fresh_record_is_ok() -> None:
    overview = seen(busy_store())
    assert (overview.health, overview.reason, exit_code(overview)) == ("ok", "all_good", 0)
    assert overview.latency.p50 == pytest.approx(0.5)
    assert overview.outcomes == {"success": 100}
    assert [chip.state for chip in overview.slo] == ["ok", "ok", "ok", "no_data"]


def test_without_serve_the_record_still_speaks() -> None:
    overview = seen(busy_store(), serve=False)
    assert (overview.health, overview.reason, exit_code(overview)) == ("degraded", "serve_unreachable", 1)
    assert "nothing listens there" in (overview.serve_error or "")
    assert [device.name for device in overview.devices] == ["card"]


def test_with_neither_there_is_nothing_to_read() -> None:
    assert exit_code(seen(None, serve=False)) == 2


def test_a_serve_without_a_record_is_judged_by_nobody() -> None:
    assert seen(None).reason == "record_missing"


def test_many_failures_breach_and_few_do_not() -> None:
    store = busy_store()
    store.record([request_document(NOW - 5, outcome="failure", status_code=500, error_type="cuda_oom")])
    assert seen(store).slo[0].state == "at_risk"
    store.record([request_document(NOW - i, outcome="failure", status_code=500) for i in range(5)])
    overview = seen(store)
    assert (overview.slo[0].state, overview.slo[0].bad, overview.reason) == ("breached", 6, "slo_breach")


def test_without_traffic_an_objective_has_no_data() -> None:
    chip = seen(MemoryStore()).slo[0]
    assert (chip.state, chip.good_ratio, chip.budget_remaining) == ("no_data", None, None)


def test_objectives_of_a_file_are_shown_in_its_order(tmp_path: Path) -> None:
    store = busy_store()
    store.record([probe(NOW - 5), probe(NOW - 4, completed=0, failed=1)])
    path = tmp_path / "objectives.toml"
    path.write_text(
        '[[objective]]\nid = "canary"\nmeasure = "probe"\ntarget = 0.9\nwindow = "7d"\n'
        '[[objective]]\nid = "first"\nmeasure = "ttft"\nthreshold_s = 0.05\ntarget = 0.9\nwindow = "3d"\n'
    )
    canary, first = look(store, "http://there", NOW, objectives=ObjectiveSettings(file=str(path)), fetch=here).slo
    assert (canary.name, canary.total, canary.bad, canary.window_s) == ("canary", 2, 1, 7 * 86400.0)
    assert (first.name, first.total, first.bad, first.exhausted_in_s) == ("first", 100, 100, 0.0)


def test_objectives_that_cannot_be_read_are_told_and_everything_else_is_shown(tmp_path: Path) -> None:
    settings = ObjectiveSettings(file=str(tmp_path / "missing.toml"))
    overview = look(busy_store(), "http://there", NOW, objectives=settings, fetch=here)
    again = look(busy_store(), "http://there", NOW + 1, objectives=settings, fetch=here, previous=overview)
    without = look(None, "http://there", NOW, objectives=settings, fetch=here)
    assert (without.reason, without.objectives_error) == ("record_missing", overview.objectives_error)
    for each in (overview, again):
        assert (each.health, each.reason, each.slo) == ("degraded", "objectives_unreadable", ())
        assert each.objectives_error == (
            f"objectives.file names {tmp_path / 'missing.toml'}, which cannot be read (No such file or directory): "
            "mend it, or leave the dial empty."
        )
        assert to_json(each)["objectives_error"] == each.objectives_error
    out = io.StringIO()
    Console(file=out, width=250).print(as_table(overview, None))
    assert "mend it, or leave the dial empty" in out.getvalue()


def test_only_the_newest_transition_of_an_alert_counts() -> None:
    store = busy_store()
    store.record(
        [
            alert_document(NOW - 60, action="pending", state="pending", fingerprint="vram"),
            alert_document(NOW - 30, action="firing", state="firing", fingerprint="vram", start=NOW - 60, value=0.9),
            alert_document(NOW - 50, action="firing", state="firing", fingerprint="gone"),
            alert_document(NOW - 20, action="resolved", state="inactive", fingerprint="gone"),
        ]
    )
    overview = seen(store)
    assert [(alert.state, alert.value, alert.since) for alert in overview.alerts] == [("firing", 0.9, NOW - 60)]
    assert overview.reason == "alert_firing"


def test_an_old_record_beside_a_living_serve_is_stale() -> None:
    store = MemoryStore()
    store.record([sample_document(NOW - 100), request_document(NOW - 100)])
    overview = seen(store)
    assert overview.reason == "record_stale"
    assert overview.record_age_s == pytest.approx(100)


@pytest.mark.parametrize(
    ("started_before_s", "reason"), [(3600.0, "record_stale"), (16.0, "record_stale"), (5.0, "all_good")]
)
def test_a_quiet_serve_whose_samples_nobody_takes_in_is_stale_unless_it_just_started(
    started_before_s: float, reason: str
) -> None:
    store = MemoryStore()
    store.record([sample_document(NOW - 3600)])

    def quiet(url: str, timeout_s: float) -> ServeSnapshot:
        return snapshot(started_at=NOW - started_before_s)

    assert look(store, "http://there", NOW, objectives=OBJECTIVES, fetch=quiet).reason == reason


def test_a_serve_that_samples_rarely_is_given_five_samples_before_its_record_is_stale() -> None:
    def rare(url: str, timeout_s: float) -> ServeSnapshot:
        return snapshot(started_at=NOW - 3600, sample_interval_s=30.0)

    store = MemoryStore()
    store.record([sample_document(NOW - 140)])
    assert look(store, "http://there", NOW, objectives=OBJECTIVES, fetch=rare).reason == "all_good"
    assert look(store, "http://there", NOW + 20, objectives=OBJECTIVES, fetch=rare).reason == "record_stale"


def test_a_serve_without_devices_writes_no_samples_to_miss() -> None:
    def bare(url: str, timeout_s: float) -> ServeSnapshot:
        return snapshot(devices=())

    assert look(MemoryStore(), "http://there", NOW, objectives=OBJECTIVES, fetch=bare).reason == "all_good"


def test_slow_questions_are_asked_again_only_after_a_while() -> None:
    store = busy_store()
    first = seen(store)
    store.record([alert_document(NOW - 1, state="firing", fingerprint="x")])
    assert seen(store, now=NOW + 1, previous=first).alerts == ()
    assert len(seen(store, now=NOW + 6, previous=first).alerts) == 1


def test_the_json_is_json_with_units_in_its_names() -> None:
    printed = json.loads(json.dumps(to_json(seen(busy_store())), allow_nan=False))
    assert printed["schema_version"] == "1"
    assert printed["latency"] == {"count": 100, "p50_s": 0.5, "p95_s": 0.5, "p99_s": 0.5}
    assert printed["at"].endswith("Z")
    assert printed["requests"][0]["at"].endswith("Z")
    assert printed["serve"]["output_tokens_per_s"] == 12.5
    assert printed["slo"][0]["allowed_bad"] == 0


def test_it_says_what_the_journal_takes_and_what_is_in_memory_only(tmp_path: Path) -> None:
    (tmp_path / "serve.jsonl").write_bytes(b"x" * 100)

    def full(url: str, timeout_s: float) -> ServeSnapshot:
        return snapshot(events_waiting=312, events_dropped=1, events_trouble="No space left on device")

    overview = look(None, "http://there", NOW, objectives=OBJECTIVES, journal=tmp_path, fetch=full)
    assert (overview.journal_bytes, overview.events_waiting, overview.events_dropped) == (100, 312, 1)
    assert to_json(overview)["events_waiting"] == 312
    rows = io.StringIO()
    Console(file=rows, width=200).print(as_table(overview, None))
    assert (
        "0.0 MiB on disk, 312 events in memory, 1 lost, cannot be written: No space left on device" in rows.getvalue()
    )
    assert seen(None).journal_bytes is None
