"""Is every event there, once? 100,000 of them while Elasticsearch is killed twice and once answers 429 for ten seconds.

`python -m benchmarks.shipping_torture [--events 100000]`, with the Elasticsearch of the tests. One process writes a
journal in small segments; `llmops ship` follows it over a proxy. On the way the server is killed with `kill -9` twice,
the proxy answers 429 for ten seconds and loses answers, the streams roll over twice, and the shipper itself is killed
once. At the end each `event.id` of the journal is counted at the server. Exit code 1: one is missing, or there twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.record import Elastic, event, origin
from llmops.elastic.check import occurrences
from llmops.elastic.checkpoints import read_checkpoints
from llmops.elastic.report import FILE, read_report
from llmops.elastic.shipper import CHECKPOINT_FILE
from llmops.elastic.streams import REQUESTS, SAMPLES
from llmops.sinks import JournalFile
from llmops.store import journal_bytes
from tests.elastic.proxy import FaultProxy, fault_proxy

_SEGMENT_BYTES = 8 << 20
_PER_S = 1200
_REFUSED_S = 10.0
_NAMESPACE = "torture"
_PATIENCE_S = 240.0


class Shipping:
    """`llmops ship` as a process that can be killed and started again."""

    def __init__(self, state: Path, elastic: Elastic, url: str) -> None:
        self._state = state
        who = {"LLMOPS_ELASTIC__PASSWORD": elastic.server.password, "LLMOPS_ELASTIC__LONGEST_WAIT_S": "3"}
        self._environment = {**os.environ, **who, "LLMOPS_ELASTIC__URL": url}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """In the background; what it says goes on."""
        command = [sys.executable, "-m", "llmops", "ship", "--state", str(self._state)]
        self._process = subprocess.Popen(command, env=self._environment)

    def end(self, number: signal.Signals) -> None:
        """Send the signal and wait."""
        assert self._process is not None
        self._process.send_signal(number)
        self._process.wait()


def main() -> None:
    """Print what happens when, and the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--events", type=int, default=100_000)
    count = parser.parse_args().events
    with tempfile.TemporaryDirectory() as folder, Elastic() as elastic, fault_proxy(elastic.process.port) as proxy:
        state = Path(folder)
        shipping = Shipping(state, elastic, proxy.url)
        shipping.start()
        began = time.monotonic()
        written = _write(state / "journal", count, _accidents(count, elastic, proxy, shipping), began)
        _wait_until_shipped(state, began)
        shipping.end(signal.SIGTERM)
        good = _compare(elastic, state, written)
        print(f"the proxy saw {proxy.bulks} bulk requests and spoilt {proxy.faulty}")
    sys.exit(not good)


def _accidents(
    count: int, elastic: Elastic, proxy: FaultProxy, shipping: Shipping
) -> dict[int, tuple[str, Callable[[], object]]]:
    """What happens when so many events are written; each goes on beside the writing."""

    def crash() -> None:
        elastic.process.kill()
        time.sleep(3)
        elastic.process.start()

    def refuse() -> None:
        proxy.refusing.set()
        time.sleep(_REFUSED_S)
        proxy.refusing.clear()

    def roll_over() -> None:
        for stream in (REQUESTS, SAMPLES):
            url = f"{elastic.server.url}/{stream.name(_NAMESPACE)}/_rollover"
            httpx.post(url, auth=elastic.server.auth, timeout=30)

    def restart_shipper() -> None:
        shipping.end(signal.SIGKILL)
        shipping.start()

    script = {
        0.10: ("three answers are lost, and the streams roll over in between", lambda: _lose(proxy, roll_over)),
        0.20: ("kill -9 of Elasticsearch", crash),
        0.55: ("429 for ten seconds", refuse),
        0.70: ("kill -9 of the shipper", restart_shipper),
        0.80: ("kill -9 of Elasticsearch again", crash),
    }
    return {int(share * count): accident for share, accident in script.items()}


def _lose(proxy: FaultProxy, roll_over: Callable[[], None]) -> None:
    proxy.after_fault = roll_over
    proxy.faults.extend(["lose the answer", "some are busy", "lose the answer"])


def _write(
    folder: Path, count: int, accidents: dict[int, tuple[str, Callable[[], object]]], began: float
) -> dict[str, set[str]]:
    """Write at a steady pace; gives the ids of each stream."""
    rng, writer = random.Random(1), origin(_NAMESPACE)
    journal = JournalFile(
        folder, "serve", started_at=time.time(), process_id=os.getpid(), segment_bytes=_SEGMENT_BYTES, fsync="interval"
    )
    ids: dict[str, set[str]] = {REQUESTS.dataset: set(), SAMPLES.dataset: set()}
    threads = []
    for number in range(count):
        if number in accidents:
            words, act = accidents[number]
            print(f"{time.monotonic() - began:6.1f} s, {number:,} written: {words}", flush=True)
            threads.append(threading.Thread(target=act))
            threads[-1].start()
        document = writer.document(event(number, time.time(), rng))
        ids[document["event.dataset"]].add(document["event.id"])
        journal.append(document)
        if ahead_s := max(0.0, number / _PER_S - (time.monotonic() - began)):
            time.sleep(ahead_s)
    journal.close()
    print(f"{time.monotonic() - began:6.1f} s, {count:,} written: the journal is complete", flush=True)
    for thread in threads:
        thread.join()
    return ids


def _wait_until_shipped(state: Path, began: float) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        shipped = sum(read_checkpoints(state / "ship" / CHECKPOINT_FILE).values())
        if shipped == journal_bytes(state / "journal"):
            report = read_report(state / "ship" / FILE)
            words = report.sentence() if report else "no report"
            print(f"{time.monotonic() - began:6.1f} s: all shipped; since its start, {words}", flush=True)
            return
        time.sleep(0.5)
    print("gave up waiting for the shipper")


def _compare(elastic: Elastic, state: Path, written: dict[str, set[str]]) -> bool:
    """By each id, exactly, and once more as `llmops elk check` tells it."""
    good = True
    for stream in (REQUESTS, SAMPLES):
        ids = sorted(written[stream.dataset])
        name = stream.name(_NAMESPACE)
        elastic.client.indices.refresh(index=name)
        there: dict[str, int] = {}
        for start in range(0, len(ids), 5000):
            there |= occurrences(elastic.client, name, ids[start : start + 5000])
        twice = sum(times > 1 for times in there.values())
        backing = elastic.client.indices.resolve_index(name=name).body["data_streams"][0]["backing_indices"]
        print(f"{name}: {len(ids):,} written, {len(there):,} there, {twice} twice, in {len(backing)} indices")
        good = good and len(there) == len(ids) and not twice
    environment = {**os.environ, "LLMOPS_ELASTIC__PASSWORD": elastic.server.password}
    command = [sys.executable, "-m", "llmops", "elk", "check", "--json", "--state", str(state)]
    asked = subprocess.run(
        [*command, "--elastic", elastic.server.url], env=environment, capture_output=True, check=False
    )
    counted = json.loads(asked.stdout)
    print("llmops elk check:", "all there" if asked.returncode == 0 else counted)
    return good and asked.returncode == 0


if __name__ == "__main__":
    main()
