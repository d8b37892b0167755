"""Writers, a shipper and a server through power cuts, full disks, lost answers and rollovers: each event is there once.

`LLMOPS_TEST_EXAMPLES=300 pytest tests/elastic/test_exactly_once.py --timeout=0` goes on for minutes.
"""

from __future__ import annotations

import contextlib
import os
import random
import tempfile
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from llmops.elastic.check import occurrences
from llmops.elastic.delivery import Stopped
from llmops.elastic.errors import ElasticProblem
from llmops.elastic.shipper import Shipper
from llmops.elastic.streams import REQUESTS, SAMPLES
from llmops.events import Document, Origin, RequestEvent, SampleEvent
from llmops.sinks import JournalFile
from tests.elastic.proxy import FAULTS, Fault, FaultProxy, fault_proxy
from tests.elastic.server import ElasticServer
from tests.sinks.crashing_disk import CrashingDisk, ids_in
from tests.sinks.disks import Clock

pytestmark = pytest.mark.elastic

NOW = 1_700_000_000.0
SEGMENT_BYTES = 6000
"""Some five events."""


class JournalToElasticsearch(RuleBasedStateMachine):
    """Two processes write, one shipper ships, over a proxy that loses and refuses, into streams that roll over."""

    server: ClassVar[ElasticServer]
    proxy: ClassVar[FaultProxy]

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.folder = Path(self.temporary.name) / "journal"
        self.folder.mkdir()
        self.disk, self.clock = CrashingDisk(), Clock()
        self.namespace = f"x{uuid.uuid4().hex[:12]}"
        self.journals: dict[int, JournalFile] = {}
        self.starts = 0
        self.written: set[str] = set()
        self.client = self.server.connect(self.proxy.url)
        self.proxy.faults.clear()
        self.shipper = self.new_shipper()

    def new_shipper(self, patience: int | None = 0) -> Shipper:
        """It gives up at the first trouble, as one that is killed while it waits."""
        folder = Path(self.temporary.name) / "ship"
        return Shipper(
            self.client,
            self.folder,
            folder,
            self.namespace,
            stop=threading.Event(),
            patience=patience,
            longest_wait_s=0.01,
            rng=random.Random(0),
        )

    @initialize()
    def begins(self) -> None:
        self.writes(1, 2)

    @rule(process_id=st.sampled_from([1, 2]), count=st.integers(1, 6))
    def writes(self, process_id: int, count: int) -> None:
        for _ in range(count):
            document = self.document(process_id)
            self.written.add(document["event.id"])
            self.journal(process_id).append(document)

    def document(self, process_id: int) -> Document:
        """Requests of one process, samples of the other."""
        origin = Origin(
            service_name="serve",
            service_version="0",
            instance_id="i",
            host_name="box",
            host_id="h",
            process_id=process_id,
            namespace=self.namespace,
        )
        if process_id == 1:
            return origin.document(RequestEvent(at=NOW, request_id=f"r{len(self.written)}"))
        return origin.document(SampleEvent(at=NOW, device_id="GPU-0", device_name="card"))

    def journal(self, process_id: int) -> JournalFile:
        """The living one, or a new process."""
        if process_id not in self.journals:
            self.starts += 1
            self.journals[process_id] = JournalFile(
                self.folder,
                "serve",
                started_at=NOW + self.starts,
                process_id=process_id,
                segment_bytes=SEGMENT_BYTES,
                fsync="always" if process_id == 1 else "interval",
                clock=self.clock,
                write=self.disk.write,
                sync=self.disk.sync,
            )
        return self.journals[process_id]

    @rule(seconds=st.sampled_from([0.5, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        for journal in self.journals.values():
            journal.tick()

    @rule(room_bytes=st.one_of(st.integers(0, 3000), st.just(1 << 40)))
    def the_disk_has_room_for(self, room_bytes: int) -> None:
        self.disk.room_bytes = room_bytes

    @rule(seed=st.integers(0, 1 << 30))
    def the_power_fails(self, seed: int) -> None:
        for journal in self.journals.values():
            journal._segment.close()
        self.journals.clear()
        self.disk.power_cut(self.folder, random.Random(seed))
        self.shipper = self.new_shipper()

    @rule()
    def ships(self) -> None:
        with contextlib.suppress(ElasticProblem):
            self.shipper.look()

    @rule(
        faults=st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3),
        patience=st.sampled_from([0, 3]),
        rolls_over=st.booleans(),
    )
    def ships_over_a_bad_road(self, faults: list[Fault], patience: int, rolls_over: bool) -> None:
        self.writes(1, 3)
        self.proxy.faults.extend(faults)
        self.proxy.after_fault = self.the_streams_roll_over if rolls_over else lambda: None
        if patience:
            self.shipper = self.new_shipper(patience)
        self.ships()
        self.proxy.faults.clear()

    @rule()
    def loses_an_answer_and_the_stream_rolls_over(self) -> None:
        self.proxy.faults.append("lose the answer")
        self.ships()
        self.proxy.faults.clear()
        self.the_streams_roll_over()

    @rule()
    def the_shipper_is_killed_and_starts_anew(self) -> None:
        self.shipper = self.new_shipper()

    @rule()
    def the_shipper_is_stopped_while_it_waits(self) -> None:
        self.shipper = self.new_shipper(None)
        self.shipper._stop.set()
        with contextlib.suppress(Stopped):
            self.shipper.look()
        self.shipper = self.new_shipper()

    @precondition(lambda self: (Path(self.temporary.name) / "ship" / "checkpoint.json").exists())
    @rule(garbage=st.sampled_from([None, b"", b'{"version": 1, "fi']))
    def the_checkpoint_is_lost(self, garbage: bytes | None) -> None:
        file = Path(self.temporary.name) / "ship" / "checkpoint.json"
        file.unlink() if garbage is None else file.write_bytes(garbage)
        self.shipper = self.new_shipper()

    @rule()
    def the_streams_roll_over(self) -> None:
        for stream in (REQUESTS, SAMPLES):
            url = f"{self.server.url}/{stream.name(self.namespace)}/_rollover"
            httpx.post(url, auth=self.server.auth, timeout=30)

    def teardown(self) -> None:
        self.disk.room_bytes = 1 << 40
        self.clock.now += 60.0
        for journal in self.journals.values():
            journal.tick()
            journal.close()
        self.proxy.faults.clear()
        self.new_shipper().look()
        self.client.indices.refresh(index=f"*-llmops.*-{self.namespace}")
        there: dict[str, int] = {}
        for stream in (REQUESTS, SAMPLES):
            there |= occurrences(self.client, stream.name(self.namespace), self.written)
        readable = {event for path in self.folder.glob("*.jsonl") for event in ids_in(path)}
        assert self.disk.acknowledged <= readable
        assert readable <= there.keys(), "nothing of the journal is missing"
        assert set(there.values()) <= {1}, "nothing is there twice"
        assert self.new_shipper().look() == 0
        self.client.close()
        self.temporary.cleanup()


@pytest.fixture
def road(prepared_elastic: ElasticServer) -> Iterator[None]:
    with fault_proxy(prepared_elastic.port) as proxy:
        JournalToElasticsearch.server, JournalToElasticsearch.proxy = prepared_elastic, proxy
        yield


EXAMPLES = int(os.environ.get("LLMOPS_TEST_EXAMPLES", "10"))
TestJournalToElasticsearch: Any = JournalToElasticsearch.TestCase
TestJournalToElasticsearch.settings = settings(
    max_examples=EXAMPLES, stateful_step_count=12, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestJournalToElasticsearch = pytest.mark.usefixtures("road")(TestJournalToElasticsearch)
