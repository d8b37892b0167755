"""The machine of each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.planting import Machine
from tests.gpu.driver import Driver


@pytest.fixture
def machine(
    tmp_path: Path, driver: Driver, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Machine:
    return Machine(tmp_path, driver, monkeypatch, capsys)
