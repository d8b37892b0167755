from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from llmops.engine import content
from llmops.engine.content import content_hash
from llmops.engine.progress import Progress


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with one large file that was written an hour ago."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    write(folder, b"a" * (2 << 20))
    return folder


def write(folder: Path, content: bytes, age_s: float = 3600.0) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(content)
    then = path.stat().st_mtime - age_s
    os.utime(path, (then, then))


def count_reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    read: list[str] = []
    original = content._file_hash

    def counting(path: Path, done: int, progress: Progress) -> bytes:
        read.append(path.name)
        return original(path, done, progress)

    monkeypatch.setattr(content, "_file_hash", counting)
    return read


def test_a_large_file_is_read_once(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read = count_reads(monkeypatch)
    version = content_hash(folder, tmp_path / "cache")
    assert content_hash(folder, tmp_path / "cache") == version == content_hash(folder)
    assert read.count("model.safetensors") == 2  # once remembered, once without a memory


def test_a_file_that_changed_is_read_again(folder: Path, tmp_path: Path) -> None:
    version = content_hash(folder, tmp_path / "cache")
    write(folder, b"b" * (2 << 20), age_s=60.0)
    assert content_hash(folder, tmp_path / "cache") != version


def test_a_file_that_is_being_written_is_not_remembered(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(folder, b"c" * (2 << 20), age_s=0.0)
    content_hash(folder, tmp_path / "cache")
    read = count_reads(monkeypatch)
    content_hash(folder, tmp_path / "cache")
    assert "model.safetensors" in read


@pytest.mark.parametrize("text", ["", "[]", "{", '{"x": 1}', '{"PATH": [1, 2]}', '{"PATH": [SIZE, TIME, "no hex"]}'])
def test_a_broken_memory_costs_time_and_nothing_else(folder: Path, tmp_path: Path, text: str) -> None:
    path = folder / "model.safetensors"
    stat = path.stat()
    filled = text.replace("PATH", str(path)).replace("SIZE", str(stat.st_size)).replace("TIME", str(stat.st_mtime_ns))
    (tmp_path / "content-hashes.json").write_text(filled)
    assert content_hash(folder, tmp_path) == content_hash(folder)


def test_a_place_that_cannot_be_written_is_no_error(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert content_hash(folder, tmp_path / "file" / "below") == content_hash(folder)


def test_what_is_gone_is_forgotten(folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    content_hash(copy, tmp_path / "cache")
    shutil.rmtree(copy)
    content_hash(folder, tmp_path / "cache")
    assert str(copy) not in (tmp_path / "cache" / "content-hashes.json").read_text()
