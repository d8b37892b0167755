"""One test of a suite for each implementation."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llmops.store import Record, Store
from tests.contracts.records import RECORDS, STORES


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.elastic if name == "elasticsearch" else ()) for name in RECORDS]
)
def record(request: pytest.FixtureRequest) -> Iterator[Record]:
    made = RECORDS[request.param](request)
    yield made
    made.close()


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    made = STORES[request.param](request)
    yield made
    made.close()
