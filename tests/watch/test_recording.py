"""Watch over the record itself: full disks, losses, files that go at the hard cap."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from llmops.store import MemoryStore, open_store
from tests.alerts.test_serving import snapshot
from tests.store.events import request, write
from tests.watch.looks import NOW, Bench


def failing(**values: Any) -> Any:
    return dataclasses.replace(snapshot(), **values)


def test_a_journal_that_cannot_be_written_is_a_page_until_it_can(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    bench.answer = failing(events_waiting=12, events_trouble="No space left on device")
    bench.looks(4)
    assert bench.told() == []
    bench.looks(3)
    assert bench.told() == ["firing journal_full"]
    assert bench.notices[0].runbook == "docs/runbooks/journal_full.md"
    bench.answer = snapshot()
    bench.looks(12)
    assert bench.told() == ["firing journal_full", "resolved journal_full"]
    bench.close()


def test_lost_events_are_told_once_over_a_restart_of_watch(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", open_store(tmp_path / "s"))
    bench.answer = failing(events_dropped=3)
    bench.looks(5)
    bench.restart()
    bench.looks(400)
    assert bench.told() == ["firing record_lost", "resolved record_lost"]
    assert bench.notices[0].reason == "events lost by serve: 3"
    bench.answer = failing(events_dropped=4)
    bench.looks(1)
    assert bench.told()[-1] == "firing record_lost"
    assert bench.notices[-1].reason == "events lost by serve: 1"
    bench.close()


def test_files_that_go_at_the_hard_cap_are_told_with_their_events(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    write(tmp_path / "journal" / "old.jsonl", [request(NOW) for _ in range(10)])
    write(tmp_path / "ship" / "checkpoint.json", [])
    (tmp_path / "ship" / "checkpoint.json").write_text('{"version": 1, "files": {}}')
    bench.keep_bytes, bench.max_bytes = 1, 5000
    bench.restart()
    bench.looks(1)
    assert bench.told() == ["firing record_lost"]
    assert bench.notices[0].reason == (
        "events that left the journal at its hard cap before all its readers had them: 10"
    )
    assert not (tmp_path / "journal" / "old.jsonl").exists()
    bench.close()


class _Broken(MemoryStore):
    def load_state(self, key: str) -> Any:
        raise OSError("disk I/O error")

    def checkpoint(self, first_event_id: str) -> int:
        raise RuntimeError("database disk image is malformed")


def test_a_store_and_a_folder_that_fail_do_not_hide_a_full_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(tmp_path / "journal", MemoryStore())
    write(tmp_path / "journal" / "old.jsonl", [request(NOW) for _ in range(10)])
    bench.looks(1)
    bench.keep_bytes = 1
    broken = _Broken()
    keeper = bench.build(broken)._record
    for second in range(30):
        full, lost = keeper.findings(failing(events_trouble="full", events_dropped=1), NOW + second)
        assert (full.active, lost.active) == (True, second == 0)
    assert caplog.text.count("could not be removed") == 3
    bench.close()
