"""A driver for the tests of this station."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpu.driver import Driver, compiled, in_this_process


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in for NVIDIA's library."""
    return compiled(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def driver(library: Path, tmp_path: Path) -> Iterator[Driver]:
    """Without a card at first, in this process; the test adds them."""
    yield from in_this_process(library, tmp_path)
