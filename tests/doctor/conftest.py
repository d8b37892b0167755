"""The machine of each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.planting import Machine


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Machine:
    return Machine(tmp_path, monkeypatch, capsys)
