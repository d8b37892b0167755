"""How fast is `llmops ship` beside a bare `streaming_bulk` of the same documents, on the same server, in one run?

`python -m benchmarks.shipping [--documents 20000] [--rounds 5]`, with the Elasticsearch of the tests. A round sends as
many documents of the same kind twice, each into streams of their own: once with the client's helper, from dictionaries
in memory, and once with the shipper, from the journal on disk and with its checkpoints. Exit code 1: below 0.9.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
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


def main() -> None:
    """Print documents a second of both, and the ratio of each round."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--documents", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with Elastic() as elastic, tempfile.TemporaryDirectory() as folder:
        print(f"Elasticsearch {elastic.version}, {os.cpu_count()} cores, Python {platform.python_version()}")
        ratios = []
        for number in range(arguments.rounds + 1):  # the first one warms the server up
            ratio = _round(elastic, Path(folder) / str(number), arguments.documents, number)
            ratios += [ratio] if number else []
    middle = statistics.median(ratios)
    print(f"ship / streaming_bulk: {middle:.2f} (median of {len(ratios)}; {min(ratios):.2f} to {max(ratios):.2f})")
    sys.exit(middle < _TARGET)


def _round(elastic: Elastic, folder: Path, count: int, number: int) -> float:
    """Both, the other one first in every second round; ship's rate over the helper's."""
    rates: dict[str, float] = {}
    order = [("streaming_bulk", _bare), ("ship", _ship)]
    for name, send in order if number % 2 else reversed(order):
        journal = folder / name / "journal"
        write_journal(journal, count, namespace=f"{name[0]}{number}n{random.randrange(1 << 30)}", seed=number)
        took_s = send(elastic.client, journal)
        rates[name] = count / took_s
    ratio = rates["ship"] / rates["streaming_bulk"]
    label = f"round {number}" if number else "warm-up"
    print(f"{label}: bulk {rates['streaming_bulk']:,.0f}/s, ship {rates['ship']:,.0f}/s, ratio {ratio:.2f}", flush=True)
    return ratio


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
