from __future__ import annotations

import io
import json
import os
import re
from pathlib import Path

from llmops import __version__
from llmops.events import RequestEvent
from llmops.sinks import host_id, open_bus


def test_an_event_reaches_the_disk_with_the_whole_header(tmp_path: Path) -> None:
    stream = io.StringIO()
    bus = open_bus(
        service_name="llmops-serve",
        instance_id="i-1",
        journal_directory=tmp_path,
        environment="test",
        namespace="ns",
        labels=[("team", "chat")],
        stream=stream,
    )
    bus.emit(RequestEvent(at=1.0, request_id="r-1"))
    assert bus.close()
    (path,) = tmp_path.iterdir()
    assert re.fullmatch(rf"llmops-serve-\d{{8}}T\d{{6}}-{os.getpid()}\.jsonl", path.name)
    document = json.loads(path.read_text())
    assert document["service.name"] == "llmops-serve"
    assert document["service.version"] == __version__
    assert document["service.node.name"] == "i-1"
    assert document["service.environment"] == "test"
    assert document["data_stream.namespace"] == "ns"
    assert document["labels.team"] == "chat"
    assert document["process.pid"] == os.getpid()
    assert document["host.name"]
    assert "r-1" in stream.getvalue()


def test_without_a_folder_nothing_is_recorded(tmp_path: Path) -> None:
    bus = open_bus(service_name="s", instance_id="i", journal_directory=None, stream=io.StringIO())
    bus.emit(RequestEvent(at=1.0, request_id="r-1"))
    assert bus.close()
    assert (bus.dropped, bus.failed_writes) == (0, 0)


def test_the_host_is_named_by_a_hash_of_its_machine_id(tmp_path: Path) -> None:
    file = tmp_path / "machine-id"
    file.write_text("0123456789abcdef\n")
    known = host_id([tmp_path / "missing", file])
    assert known == host_id([file])
    assert re.fullmatch("[0-9a-f]{32}", known)
    assert "0123456789abcdef" not in known
    file.write_text("")
    assert host_id([file]) == host_id([]) != known
