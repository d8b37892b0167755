"""How fast watch takes a journal into the store: events/s, beside what SQLite needs for bare rows of the same journal.

`python -m benchmarks.indexing [--events 60000] [--runs 5]`. Nine of ten events are full requests, the rest samples.
Each run follows a fresh journal into a fresh file; the bare arm reads the same lines, takes `event.id` out of each, and
inserts two columns, in as many transactions. The arms take turns in one process; the ratio is of their medians.
"""

from __future__ import annotations

import argparse
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from llmops.events import Event, Origin, RequestEvent, SampleEvent
from llmops.sinks.line import line_of
from llmops.store import JournalFollower, open_store
from llmops.store.follow import CHUNK_BYTES

NOW = 1_790_000_000.0
GOAL_PER_S = 15_000


def main() -> None:
    """Print both rates, their ratio, and whether the goal is met."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--events", type=int, default=60_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--apart", type=float, default=0.1, help="seconds between two events")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size_bytes = write_journal(folder / "journal" / "serve-1.jsonl", arguments.events, arguments.apart)
        print(f"{arguments.events} events, {size_bytes / arguments.events:.0f} bytes each, {arguments.apart:g} s apart")
        indexed, bare = [], []
        for run in range(arguments.runs):
            indexed.append(arguments.events / index(folder / "journal", folder / f"{run}.sqlite"))
            bare.append(arguments.events / insert_bare(folder / "journal", folder / f"{run}-bare.sqlite"))
            print(f"  run {run + 1}: indexed {indexed[-1]:.0f}/s, bare rows {bare[-1]:.0f}/s")
            for path in folder.glob("*.sqlite*"):
                path.unlink()
    rate, plain = statistics.median(indexed), statistics.median(bare)
    print(f"median {rate:.0f} events/s, {rate / plain:.2f} of bare rows; goal {GOAL_PER_S}: {rate >= GOAL_PER_S}")


def write_journal(path: Path, events: int, apart_s: float) -> int:
    """A journal as serve writes it; how many bytes it has."""
    origin = Origin(
        service_name="serve", service_version="0", instance_id="a1", host_name="box", host_id="h1", process_id=1
    )
    path.parent.mkdir()
    with path.open("wb") as file:
        for event in made_up(events, apart_s):
            file.write(line_of(origin.document(event)))
    return path.stat().st_size


def made_up(events: int, apart_s: float) -> Iterator[Event]:
    """Requests with every field that an answered one has, and samples between them."""
    chance = random.Random(7)
    for number in range(events):
        at = NOW + number * apart_s
        if number % 10 == 9:
            yield SampleEvent(at=at, device_id="GPU-0", device_name="card", utilization=0.7, power_w=250.0)
            continue
        duration_s = chance.lognormvariate(0.0, 0.7)
        yield RequestEvent(
            at=at,
            request_id=f"req-{number:012d}",
            trace_id=f"{chance.getrandbits(128):032x}",
            span_id=f"{chance.getrandbits(64):016x}",
            user_hash=f"{number % 20:016x}",
            request_model="llmops-demo",
            response_model="llmops-demo",
            model_version="0123456789ab",
            engine="transformers",
            max_tokens=512,
            temperature=0.7,
            stream=True,
            finish_reasons=("stop",),
            input_tokens=chance.randrange(20, 2000),
            output_tokens=chance.randrange(10, 500),
            start=at - duration_s,
            end=at,
            duration_ns=int(duration_s * 1e9),
            duration_s=duration_s,
            ttft_s=0.2 * duration_s,
            tpot_s=0.01 * duration_s,
            queue_s=0.02 * duration_s,
            prefill_s=0.18 * duration_s,
            decode_s=0.8 * duration_s,
            batch_size=4,
            queue_depth=1,
        )


def index(journal: Path, path: Path) -> float:
    """Seconds until the store has the whole journal."""
    store = open_store(path)
    follower = JournalFollower(journal, store)
    began = time.perf_counter()
    while follower.follow().behind:
        pass
    took_s = time.perf_counter() - began
    store.close()
    return took_s


def insert_bare(journal: Path, path: Path) -> float:
    """Seconds of parsing the lines and inserting two columns."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA page_size = 8192")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE bare (id TEXT NOT NULL UNIQUE, body TEXT NOT NULL)")
    began = time.perf_counter()
    for file in journal.glob("*.jsonl"):
        with file.open("rb") as lines:
            while found := lines.readlines(CHUNK_BYTES):
                connection.execute("BEGIN IMMEDIATE")
                rows = ((json.loads(line)["event.id"], line.decode()) for line in found)
                connection.executemany("INSERT INTO bare VALUES (?, ?) ON CONFLICT DO NOTHING", rows)
                connection.execute("COMMIT")
    took_s = time.perf_counter() - began
    connection.close()
    return took_s


if __name__ == "__main__":
    main()
