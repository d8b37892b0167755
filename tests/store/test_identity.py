"""What a journal file is known by stays the same however it grows, and no other file has it."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmops.store import JournalFollower, MemoryStore
from llmops.store.segments import first_event_id
from tests.store.events import alert, lines, request

NOW = 1_700_000_000.0


def test_two_files_that_begin_with_the_same_alert_are_two_files(tmp_path: Path) -> None:
    told: dict[str, Any] = dict(alert(NOW))
    for name, more in (("a", 1), ("b", 2)):
        held = [told | {"message": name}, request(NOW + more)]
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in held))
    store = MemoryStore()
    follower = JournalFollower(tmp_path, store)
    while follower.follow().behind:
        pass
    assert store.totals() == {"llmops.alert": 1, "llmops.request": 2}


def test_a_file_whose_only_line_is_two_joined_events_is_read_and_stays_the_same_file(tmp_path: Path) -> None:
    joined = lines([request(NOW)]).rstrip() + lines([request(NOW)])
    (tmp_path / "a.jsonl").write_bytes(joined)
    store = MemoryStore()
    follower = JournalFollower(tmp_path, store)
    assert follower.follow().new == 2
    with (tmp_path / "a.jsonl").open("ab") as file:
        file.write(lines([request(NOW)]))
    progress = follower.follow()
    assert (progress.new, progress.garbage) == (1, 0), "it goes on behind the joined line"
    assert progress.read_bytes < len(joined)


@pytest.mark.parametrize("before", [b"", b"\x00\x00"])
def test_a_damaged_copy_of_a_file_is_another_file(tmp_path: Path, before: bytes) -> None:
    first, second = request(NOW), request(NOW)
    sound, damaged = lines([first, second]), before + lines([first]).rstrip() + lines([second])
    (tmp_path / "sound.jsonl").write_bytes(sound)
    (tmp_path / "damaged.jsonl").write_bytes(damaged)
    with (tmp_path / "sound.jsonl").open("rb") as one, (tmp_path / "damaged.jsonl").open("rb") as two:
        assert first_event_id(one) == first["event.id"]
        assert first_event_id(two) == f"{first['event.id']}/{zlib.crc32(damaged):08x}"


@given(st.lists(st.sampled_from([b"garbage\n", b"\x00", b"{]", b"\n"]), max_size=5), st.integers(0, 3), st.booleans())
def test_what_a_file_is_known_by_never_changes_while_it_grows(garbage: list[bytes], sound: int, joined: bool) -> None:
    two = lines([request(NOW)]).rstrip() + lines([request(NOW)]) if joined else lines([alert(NOW)])
    content = b"".join(garbage) + two + lines([request(NOW) for _ in range(sound)])
    known = {
        first_event_id(io.BytesIO(content[:end])) for end in range(len(content) + 1) if content[end - 1 : end] == b"\n"
    }
    assert len(known - {None}) == 1
