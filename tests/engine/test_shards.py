from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from llmops.engine.errors import ModelNotLoaded
from llmops.engine.shards import read_shards


def write(path: Path, tensors: dict[str, Any], data: bytes = b"") -> None:
    header = json.dumps(tensors).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + data)


@pytest.fixture
def sharded(tmp_path: Path) -> Path:
    """Two files of one tensor each, and their list."""
    for number in (1, 2):
        write(
            tmp_path / f"model-{number}.safetensors",
            {f"layer.{number}.weight": {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}},
            b"\0" * 16,
        )
    listed = {f"layer.{number}.weight": f"model-{number}.safetensors" for number in (1, 2)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": listed}))
    return tmp_path


def test_shapes_and_sizes_are_read_from_all_files_of_a_list(sharded: Path) -> None:
    shards = read_shards(sharded)
    assert {tensor.name: tensor.shape for tensor in shards.tensors} == {
        "layer.1.weight": (2, 2),
        "layer.2.weight": (2, 2),
    }
    assert (shards.total_bytes, shards.files) == (32, 2)


def test_a_real_file_is_read(tiny_folder: Path) -> None:
    shards = read_shards(tiny_folder)
    assert shards.files == 1
    assert shards.total_bytes < (tiny_folder / "model.safetensors").stat().st_size < shards.total_bytes + 10_000


def test_a_shard_that_is_missing_is_named(sharded: Path) -> None:
    (sharded / "model-2.safetensors").unlink()
    with pytest.raises(ModelNotLoaded, match=r"lacks 1 of its 2 shards \(model-2\.safetensors\): download them again"):
        read_shards(sharded)


def test_a_file_that_was_cut_off_is_told_by_its_size(sharded: Path) -> None:
    path = sharded / "model-1.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelNotLoaded, match=r"model-1\.safetensors has \d+ bytes instead of \d+: download it again"):
        read_shards(sharded)


@pytest.mark.parametrize(
    "header",
    [
        "[]",
        '{"a": 1}',
        '{"a": {"shape": [1]}}',
        '{"a": {"shape": "x", "data_offsets": [0, 4]}}',
        '{"a": {"shape": [1], "data_offsets": 7}}',
        '{"',
    ],
)
def test_a_header_that_is_no_header_is_refused_in_one_sentence(tmp_path: Path, header: str) -> None:
    text = header.encode()
    (tmp_path / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text)
    with pytest.raises(ModelNotLoaded, match=r"header of .* is corrupted: download it again"):
        read_shards(tmp_path)


@pytest.mark.parametrize("content", [b"", b"abc", b"\xff" * 64, (1 << 40).to_bytes(8, "little") + b"{}"])
def test_a_file_that_is_no_safetensors_is_refused_without_reading_what_it_claims(
    tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(ModelNotLoaded, match="no safetensors file"):
        read_shards(tmp_path)


@pytest.mark.parametrize("index", ["{", "[]", '{"weight_map": 3}', '{"weight_map": ["a"]}'])
def test_a_list_that_is_no_list_is_refused(sharded: Path, index: str) -> None:
    (sharded / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ModelNotLoaded, match="can't be read as a list of shards"):
        read_shards(sharded)


def test_a_list_that_leaves_its_folder_is_refused(sharded: Path) -> None:
    (sharded / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../../etc/passwd"}}')
    with pytest.raises(ModelNotLoaded, match="outside its folder"):
        read_shards(sharded)


def test_a_folder_without_weights_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(ModelNotLoaded, match=r"no weights \(\*\.safetensors\)"):
        read_shards(tmp_path)
    (tmp_path / "model-q4.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelNotLoaded, match="llama-server"):
        read_shards(tmp_path)


def test_older_weights_are_left_to_the_library(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"PK")
    assert read_shards(tmp_path).tensors == ()


def test_a_copy_has_the_same_shapes(tiny_folder: Path, tmp_path: Path) -> None:
    assert read_shards(shutil.copytree(tiny_folder, tmp_path / "copy")) == read_shards(tiny_folder)
