"""How fast is `llmops ship` beside a bare `streaming_bulk` of documents of the same kind, in one run on one server?

`python -m benchmarks.shipping [--documents 10000] [--rounds 20]`, with the Elasticsearch of the tests. In every round
both send so many documents, into streams of their own, and every second time the other one is first: the client's
helper from dictionaries in memory, the shipper from a file of the journal on disk, with its question what the stream
has already and its checkpoints. Exit code 1: below 0.9.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch
from elasticsearch.helpers import streaming_bulk

from benchmarks.record import Elastic, write_journal
from llmops.elastic.journal import BYTES, LINES
from llmops.elastic.shipper import Shipper
from llmops.elastic.streams import stream_of

_TARGET = 0.9
_WARM_UP = 6
"""Rounds that are not counted: the server's code is compiled as it runs."""


def main() -> None:
    """Print documents a second of both, and the ratio."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    took_s: dict[str, list[float]] = {"streaming_bulk": [], "ship": []}
    with Elastic() as elastic, tempfile.TemporaryDirectory() as folder:
        print(f"Elasticsearch {elastic.version}, {os.cpu_count()} cores, Python {platform.python_version()}")
        for number in range(_WARM_UP + arguments.rounds):
            round_s = _round(elastic, Path(folder), arguments.documents, number)
            for name, seconds in round_s.items():
                took_s[name] += [seconds] if number >= _WARM_UP else []
    for name, times in took_s.items():
        rates = sorted(arguments.documents / seconds for seconds in times)
        middle = statistics.median(rates)
        print(
            f"{name}: median {middle:,.0f} documents/s ({rates[0]:,.0f} to {rates[-1]:,.0f}), {sum(times):.1f} s in all"
        )
    ratio = sum(took_s["streaming_bulk"]) / sum(took_s["ship"])
    pairs = [bulk / ship for bulk, ship in zip(*took_s.values(), strict=True)]
    print(f"ship / streaming_bulk: {ratio:.2f} over all rounds, {statistics.median(pairs):.2f} in the median round")
    sys.exit(ratio < _TARGET)


def _round(elastic: Elastic, folder: Path, count: int, number: int) -> dict[str, float]:
    """Seconds of both."""
    took_s: dict[str, float] = {}
    order = [("streaming_bulk", _bare), ("ship", _ship)]
    for name, send in order if number % 2 else reversed(order):
        state = folder / f"{name}-{number}"
        write_journal(state / "journal", count, namespace=name, seed=number)
        took_s[name] = send(elastic.client, state / "journal")
    return took_s


def _bare(client: Elasticsearch, journal: Path) -> float:
    """What a script of ten lines would do; reading and parsing are not counted."""
    documents = [json.loads(line) for path in journal.iterdir() for line in path.read_bytes().splitlines()]
    actions = [_action(document) for document in documents]
    began = time.perf_counter()
    sent = sum(ok for ok, _ in streaming_bulk(client, actions, chunk_size=LINES, max_chunk_bytes=BYTES))
    assert sent == len(documents)
    return time.perf_counter() - began


def _action(document: dict[str, Any]) -> dict[str, Any]:
    stream = stream_of(document["event.dataset"])
    assert stream is not None
    target = stream.name(document["data_stream.namespace"])
    return {"_op_type": "create", "_index": target, "_id": document["event.id"], "_source": document}


def _ship(client: Elasticsearch, journal: Path) -> float:
    shipper = Shipper(client, journal, journal.parent / "ship", "default", patience=0)
    began = time.perf_counter()
    sent = shipper.look()
    took_s = time.perf_counter() - began
    assert sent == shipper.report.created
    return took_s


if __name__ == "__main__":
    main()
