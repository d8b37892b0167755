"""What is read of the machine itself: its memory, a container's limit, and how fast its memory copies."""

from __future__ import annotations

from pathlib import Path

import psutil

from llmops.gpu.host import copy_bandwidth, memory_bytes, read_host


def test_a_machine_tells_its_cores_memory_and_bandwidth() -> None:
    box = read_host()
    assert (box.kind, box.count, box.is_simulated) == ("cpu", 1, False)
    assert 0 < box.card.free_bytes <= box.card.memory_bytes
    assert box.card.bandwidth > 1e8


def test_a_container_has_what_its_limit_leaves(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(str(1 << 30))
    (tmp_path / "memory.current").write_text(str(1 << 29))
    assert memory_bytes(tmp_path) == (1 << 30, 1 << 29)
    (tmp_path / "memory.max").write_text("max")
    assert memory_bytes(tmp_path)[0] == psutil.virtual_memory().total


def test_the_bandwidth_is_measured_in_a_moment() -> None:
    assert copy_bandwidth(1) > 1e8
