"""Every implementation of the record, by name: one line each. The suites of this folder run on all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeAlias

import pytest

from llmops.elastic.record import ElasticRecord
from llmops.store import MemoryStore, Record, Store, open_store
from tests.elastic.server import ElasticServer


def on_disk(request: pytest.FixtureRequest) -> Store:
    folder: Path = request.getfixturevalue("tmp_path")
    return open_store(folder / "llmops.sqlite")


def in_memory(request: pytest.FixtureRequest) -> Store:
    return MemoryStore()


def in_elasticsearch(request: pytest.FixtureRequest) -> Record:
    server: ElasticServer = request.getfixturevalue("prepared_elastic")
    return ElasticRecord(server.connect(), request.getfixturevalue("namespace"))


Factory: TypeAlias = Callable[[pytest.FixtureRequest], Record]
"""An empty record of a test's own; it may ask for fixtures, and skip. The suite closes it."""

STORES: Mapping[str, Callable[[pytest.FixtureRequest], Store]] = {"sqlite": on_disk, "memory": in_memory}
RECORDS: Mapping[str, Factory] = {**STORES, "elasticsearch": in_elasticsearch}
