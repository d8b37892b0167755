"""Is the record whole? Disks that do not take it, memory that is full, files that went unread."""

from __future__ import annotations

import pytest

from llmops.alerts import AlertState, advance
from llmops.alerts.recording import Disk, Writer, journal_finding, loss_finding, told

NOW = 1_700_000_000.0
SERVE, WATCH = Writer(name="serve", instance_id="a"), Writer(name="watch", instance_id="w")
FULL = Writer(name="serve", instance_id="a", waiting=312, trouble="No space left on device")


def test_a_disk_that_takes_events_and_has_room_is_no_finding() -> None:
    found = journal_finding([WATCH, SERVE], Disk(used_bytes=1 << 30, max_bytes=8 << 30), is_complete=True)
    assert found.active is False
    assert str(found.reason) == "the journal is written, and holds 1.0 GiB of at most 8.0 GiB"


@pytest.mark.parametrize("is_complete", [True, False])
def test_events_that_wait_in_memory_are_told_with_the_reason(is_complete: bool) -> None:
    found = journal_finding([WATCH, FULL], Disk(), is_complete=is_complete)
    assert found.active is True
    assert found.severity == "page"
    assert str(found.reason) == (
        "the journal of serve cannot be written (No space left on device); 312 events wait in memory"
    )


def test_a_journal_near_its_hard_cap_is_told_before_unread_events_go() -> None:
    found = journal_finding([WATCH, SERVE], Disk(used_bytes=29 << 30, max_bytes=32 << 30), is_complete=True)
    assert (found.active, found.value) == (True, 29 / 32)
    assert str(found.reason).startswith("the journal holds 29.0 GiB of at most 32.0 GiB")


def test_while_serve_is_silent_a_full_disk_is_neither_told_nor_taken_back() -> None:
    assert journal_finding([WATCH], Disk(), is_complete=False).active is None


def test_a_loss_is_told_once_and_over_after_five_quiet_minutes() -> None:
    states: dict[str, AlertState] = {}
    known: dict[str, int] = {}
    happened: list[tuple[int, str, str]] = []
    for second in range(700):
        writers = [WATCH, Writer(name="serve", instance_id="a", lost=0 if second < 10 else 5 if second < 200 else 9)]
        found = loss_finding(known, writers, removed=0)
        known = told(known, writers, is_complete=True)
        states, transitions = advance(states, [found], NOW + second)
        happened += [(second, each.action, str(each.finding.reason)) for each in transitions]
    assert happened == [
        (10, "pending", "events lost by serve: 5"),
        (10, "firing", "events lost by serve: 5"),
        (501, "resolved", "no further event was lost"),
    ]


def test_what_was_told_before_is_not_told_again_and_a_new_process_counts_from_zero() -> None:
    lost = Writer(name="serve", instance_id="a", lost=5)
    known = told({}, [lost], is_complete=True)
    assert known == {"a": 5}
    assert told(known, [WATCH], is_complete=False) == {"a": 5}
    assert told(known, [WATCH, SERVE], is_complete=True) == {}
    assert not loss_finding(known, [lost], removed=0).active
    fresh = loss_finding(known, [Writer(name="serve", instance_id="b", lost=2)], removed=0)
    assert (fresh.active, fresh.value, str(fresh.reason)) == (True, 2.0, "events lost by serve: 2")


def test_files_that_went_unread_are_a_loss_beside_that_of_a_writer() -> None:
    found = loss_finding({}, [Writer(name="watch", instance_id="w", lost=1)], removed=40)
    assert (found.value, found.severity) == (41.0, "ticket")
    assert str(found.reason) == (
        "events lost by watch: 1; events that left the journal at its hard cap before all its readers had them: 40"
    )
